"""
One host in memory for the tests of everybody who changes keys: an authorized_keys whose bytes are
real, logins that go by what is live in them, and faults at every step.

What it does not play: shells, paths, modes. Those are for real hosts.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)

from fleetctl.keys.authorized_keys import AuthorizedKey, liveness, parse
from fleetctl.keys.options import ServerVersion
from fleetctl.keys.place import Backup, Component, DeadMan, KeySource, Look, Swapped
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.key_line import read_key
from fleetctl.testing import exited
from tests.unit.keys.fake_keys import FakeKey, make_key

__all__ = ["NOON", "FakeHost", "FakeKey", "FakeKeysFile", "FakeRemote", "Guard"]
__all__ += ["blobs_in", "host_with", "lost", "make_key", "names", "rows", "why"]

#: When the story begins, in seconds since 1970 (UTC): 2026-11-21 12:00.
NOON = 1_795_262_400


@dataclass
class Guard:
    """A dead man that waits."""

    token: str
    acts_at: float
    old: bytes | None
    new: bytes
    never_back: tuple[bytes, ...]


@dataclass
class FakeHost:
    """
    A host with one user's authorized_keys.

    Attributes:
        data: The file; None if there is none.
        session_key: Blob of the key of the host's usual way in; None logs in by password.
        password_works: Without a session key.
        private_halves: Path of an identity file -> the blob of its key; and the blobs of what an
            agent has, under any other name. What is not here cannot be offered.
        also_live: Blobs that another place grants: a second file, a certificate authority.
        never_live: Blobs that sshd refuses although they are in the file, as StrictModes does.
        takes_everything: Any key logs in (S11).
        sources: What a look says of other places.
        clock: Seconds since 1970; `advance` moves it and lets dead men act.
        faults: Step -> what is raised when it is reached the first, second, ... time; None lets it
            pass, and so does everything after the last one. The name of a step with ``.done``
            behind it is reached when the host has done it: the answer is lost on the way.
            Steps: look swap swap_back confirm unlock backups read_backup login exec; ``swap.armed``
            comes when the dead man waits and nothing has changed yet.
        watchers: Called with each step, before it and (``.done``) after it. What they raise ends
            the story there: a kill.
        log: All steps, in order.
    """

    data: bytes | None = b""
    user: str = "deploy"
    session_key: bytes | None = None
    password_works: bool = True
    private_halves: dict[str, bytes] = field(default_factory=dict)
    also_live: set[bytes] = field(default_factory=set)
    never_live: set[bytes] = field(default_factory=set)
    takes_everything: bool = False
    sources: tuple[KeySource, ...] = ()
    sshd: Mapping[str, str] | None = None
    server_version: str = "OpenSSH_9.2p1 Debian-2+deb12u3"
    utc_offset: int = 0
    clock: float = NOON
    host: Host = field(default_factory=lambda: Host("web1", settings=HostSettings(user="deploy")))
    faults: dict[str, list[Exception | None]] = field(default_factory=dict)
    watchers: list[Callable[[str], None]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    old_versions: list[tuple[Backup, bytes]] = field(default_factory=list)
    lock: str | None = None
    fixed_modes: int = 0

    def reach(self, step: str) -> None:
        """
        Note a step.

        Raises:
            Exception: The fault planned for this time, or a watcher's.
        """
        self.log.append(step)
        for watcher in self.watchers:
            watcher(step)
        planned = self.faults.get(step)
        if planned and (fault := planned.pop(0)) is not None:
            raise fault

    def advance(self, seconds: float) -> None:
        """Let time pass; dead men that are not confirmed act."""
        self.clock += seconds
        for guard in [guard for guard in self.guards if guard.acts_at <= self.clock]:
            self.guards.remove(guard)
            brings_back = any(blob in guard.never_back for blob in blobs_in(guard.old))
            if self.data == guard.new and not brings_back:
                self.data = guard.old

    def takes(self, blob: bytes) -> bool:
        """Tell whether a login with only this key works now."""
        if self.takes_everything:
            return True
        if blob in self.never_live:
            return False
        return blob in self.also_live or blob in self.live_blobs()

    def live_blobs(self) -> set[bytes]:
        """Return the keys of the file with which one can log in now."""
        text = parse(self.data)
        states = liveness(
            text,
            at=int(self.clock),
            utc_offset=self.utc_offset,
            server=ServerVersion.parse(self.server_version),
        )
        return {
            state.key.blob
            for state in states
            if state.key is not None and state.state in ("live", "conditional")
        }

    def remote(self) -> FakeRemote:
        """Return the host as an operation gets it."""
        return FakeRemote(self, Login())

    def file(self) -> FakeKeysFile:
        """Return its authorized_keys."""
        return FakeKeysFile(self)


def blobs_in(data: bytes | None) -> set[bytes]:
    """Return every key of a file, live or not."""
    return {line.key.blob for line in parse(data).lines if line.key is not None}


class FakeRemote:
    """
    A `fleetctl.model.remote.Remote` whose logins are decided by the bytes of the file.

    ``exec`` answers with what `echo` would, for the nonce of a proof; `answers` comes first.
    """

    def __init__(
        self,
        fake: FakeHost,
        login: Login,
        answers: Mapping[str, ExecResult] | None = None,
    ) -> None:
        self.fake = fake
        self.login = login
        self.answers = dict(answers or {})
        self._is_in = False

    @property
    def host(self) -> Host:
        return self.fake.host

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        fingerprint: str | None = None
        if not self._is_in:
            self.fake.reach("login")
        blob = self._credential()
        if blob is not None:
            fingerprint = AuthorizedKey("", blob).fingerprint
        if not self._is_in and not self._is_taken(blob):
            raise FleetError("auth.denied", "publickey was not taken; the host wants publickey")
        if not self._is_in:
            self._is_in = True
            self.fake.reach("login.done")
        return {
            "server_version": self.fake.server_version,
            "cipher": "none",
            "host_key_type": "ssh-ed25519",
            "auth_method": "publickey" if blob is not None else "password",
            "auth_key": fingerprint,
        }

    def _is_taken(self, blob: bytes | None) -> bool:
        return self.fake.password_works if blob is None else self.fake.takes(blob)

    def _credential(self) -> bytes | None:
        login, halves = self.login, self.fake.private_halves
        if login.private_key is not None:
            private = load_ssh_private_key(login.private_key.reveal().encode(), None)
            public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            return read_key(public)[1]
        if login.identity_file is not None:
            if login.identity_file in halves:
                return halves[login.identity_file]
            path = Path(f"{login.identity_file}.pub")
            if not path.exists():
                raise FleetError("auth.key_file", f"{login.identity_file}: No such file")
            return read_key(path.read_bytes().strip())[1]
        if login.key is not None:
            if login.key not in halves.values():
                raise FleetError("auth.no_method", "the private half of the key is not here")
            return login.key
        return self.fake.session_key

    async def exec(self, request: ExecRequest) -> ExecResult:
        await self.connect()
        self.fake.reach("exec")
        if request.command in self.answers:
            return self.answers[request.command]
        program, _, rest = request.command.partition(" ")
        if program in ("echo", "printf"):
            return exited(stdout=rest.strip("'\"").encode() + b"\n")
        return exited()

    async def shell(self, script: ShellScript) -> ExecResult:
        return await self.exec(script.as_request())

    async def become_password(self, user: str) -> Secret | None:
        return None

    def redaction(self) -> None:
        return None

    async def secret(self, source: str) -> Secret | None:
        return None

    @asynccontextmanager
    async def login_with(self, login: Login) -> AsyncGenerator[FakeRemote]:
        yield FakeRemote(self.fake, login, self.answers)


class FakeKeysFile:
    """A `fleetctl.keys.place.KeysFile` in memory."""

    def __init__(self, fake: FakeHost) -> None:
        self.fake = fake
        self.path = f"/home/{fake.user}/.ssh/authorized_keys"

    async def look(self, *, lock: bool = False) -> Look:
        fake = self.fake
        fake.reach("look")
        if lock:
            if fake.lock is not None:
                raise FleetError("keys.busy", "another fleetctl works on it", retryable=True)
            fake.lock = "lock"
        look = Look(
            user=fake.user,
            uid=1000,
            home=f"/home/{fake.user}",
            shell="/bin/sh",
            path=self.path,
            data=fake.data,
            checksum="" if fake.data is None else str(zlib.crc32(fake.data)),
            components=(
                Component(self.path, "absent" if fake.data is None else "file", 1000, mode=0o600),
            ),
            sources=fake.sources,
            sshd=fake.sshd,
            server_version=fake.server_version,
            clock=int(fake.clock),
            utc_offset=fake.utc_offset,
            lock=fake.lock if lock else None,
            waiting=tuple(guard.token for guard in fake.guards),
        )
        fake.reach("look.done")
        return look

    async def swap(
        self,
        look: Look,
        data: bytes,
        *,
        dead_man: DeadMan | None = None,
        fix_modes: bool = False,
    ) -> Swapped:
        fake = self.fake
        assert fake.lock is not None, "a swap takes the lock"
        fake.lock = None
        fake.reach("swap")
        if fake.data != look.data:
            raise FleetError("keys.changed", "somebody else wrote it", retryable=True)
        backup = None
        if fake.data is not None:
            backup = Backup(f"{self.path}.{len(fake.log)}", int(fake.clock), "run", len(fake.data))
            fake.old_versions = [(backup, fake.data), *fake.old_versions][:3]
        token = None
        if dead_man is not None:
            token = f"token{len(fake.log)}"
            guard = Guard(
                token, fake.clock + dead_man.seconds, fake.data, data, dead_man.never_back
            )
            fake.guards.append(guard)
            fake.reach("swap.armed")
        before, fake.data = fake.data, data
        fake.fixed_modes += fix_modes
        fake.reach("swap.done")
        return Swapped(
            path=self.path,
            backup=backup.path if backup else None,
            before=before,
            after=data,
            token=token,
            guard="setsid" if token else None,
        )

    async def swap_back(self, swapped: Swapped) -> None:
        fake = self.fake
        fake.reach("swap_back")
        if fake.data != swapped.after:
            raise FleetError("keys.changed", "somebody else wrote it")
        fake.data = swapped.before
        self._dismiss(swapped.token)
        fake.reach("swap_back.done")

    async def confirm(self, swapped: Swapped, over: Remote) -> None:
        fake = self.fake
        await over.connect()
        fake.reach("confirm")
        is_waiting = swapped.token in {guard.token for guard in fake.guards}
        if not is_waiting and fake.data != swapped.after:
            raise FleetError("keys.restored", "the old file is back")
        self._dismiss(swapped.token)
        fake.reach("confirm.done")

    def _dismiss(self, token: str | None) -> None:
        self.fake.guards = [guard for guard in self.fake.guards if guard.token != token]

    async def unlock(self, look: Look) -> None:
        self.fake.lock = None
        self.fake.reach("unlock")

    async def backups(self) -> tuple[Backup, ...]:
        self.fake.reach("backups")
        return tuple(backup for backup, _ in self.fake.old_versions)

    async def read_backup(self, backup: Backup) -> bytes:
        self.fake.reach("read_backup")
        for known, data in self.fake.old_versions:
            if known.path == backup.path:
                return data
        raise FleetError("keys.read", f"{backup.path}: No such file or directory")


def lost(step: str = "the connection") -> FleetError:
    """Return what a cut connection raises."""
    return FleetError("session.lost", f"{step} was lost", retryable=True)


def host_with(*keys: FakeKey, **changes: object) -> FakeHost:
    """Return a host whose file has these keys, and whose private halves are all here."""
    fake = FakeHost(data=b"".join(key.line for key in keys))
    fake.session_key = keys[0].blob if keys else None
    fake.private_halves = {f"id_{number}": key.blob for number, key in enumerate(keys)}
    return replace(fake, **changes)  # type: ignore[arg-type]  # named by tests


def rows(outcome: Outcome, name: str) -> Sequence[Mapping[str, object]]:
    """Return a list of the data of an outcome."""
    return cast("Sequence[Mapping[str, object]]", outcome.data[name])


def why(outcome: Outcome) -> Failure:
    """Return why an operation failed, which it did."""
    assert outcome.failure is not None
    return outcome.failure


def names(steps: Sequence[str]) -> list[str]:
    """Return the steps that hosts were asked for, without their ends."""
    return [step for step in steps if not step.endswith((".done", ".armed"))]
