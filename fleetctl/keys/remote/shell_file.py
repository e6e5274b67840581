"""
One user's authorized_keys on a host that gives a shell.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from fleetctl.keys.hearing import Quiet
from fleetctl.keys.place import MAX_FILE_BYTES, Backup, DeadMan, Look, Swapped, Target
from fleetctl.keys.remote.answer import Answer, read_answer
from fleetctl.keys.remote.program import COMMAND, DEFAULT_PATH, Program
from fleetctl.keys.remote.programs import WAYS, Change, Guard, Programs
from fleetctl.keys.remote.read_look import Place, read_look
from fleetctl.keys.remote.refusal import refusal_of
from fleetctl.model.errors import FleetError
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote

#: How long a lock that somebody else has is waited for, and the waits between, in seconds.
WAIT_S = 10.0
PAUSES_S = (0.02, 0.2)
#: For one program; a host on which it takes longer has stopped.
TIMEOUT_S = 120.0
#: The file, other sources of keys, and the settings of sshd.
_MAX_ANSWER_BYTES = 8 * MAX_FILE_BYTES

_BACKUP = re.compile(r"\.fleetctl-(\d{8}T\d{6}Z)-(.+?)\+*")
_ODD = re.compile(r"[^A-Za-z0-9_.:-]")
_OTHERS_MAY_WRITE = 0o022
#: What may be wrong with a login that is only there to leave a guard.
_OTHER_WAY = frozenset({"become", "resolve", "connect", "banner", "kex", "auth", "gateway"})


class ShellKeysFile:
    """
    Implements `fleetctl.keys.place.KeysFile` with programs for POSIX ``sh``.

    A change takes two of them, a look under the lock and a swap; with a dead man it is a third one,
    over a login of its own.

    Args:
        remote: Logged in as the user, as root, or as somebody who has become one of them.
        run_id: For the names of backups and the note in the lock.
        hint_blobs: Where sshd reads several files, the one that has one of these keys is meant.
        force_guard: Go on without a dead man where none can be left.
        path: Where the programs look for others, as in PATH.

    Raises:
        FleetError: From every method, as of `KeysFile`; ``session.no_shell``: the account has none;
            ``become.unavailable``: the file is another user's, and we are not root.
    """

    def __init__(
        self,
        remote: Remote,
        target: Target,
        *,
        run_id: str,
        hint_blobs: Collection[bytes] = (),
        force_guard: bool = False,
        path: str = DEFAULT_PATH,
    ) -> None:
        hints = [base64.b64encode(blob).decode() for blob in hint_blobs]
        self._remote = remote
        self._programs = Programs(target, _ODD.sub("_", run_id) or "-", path, hints)
        self._force_guard = force_guard
        self._place: Place | None = None

    async def look(self, *, lock: bool = False) -> Look:
        """
        Look at the file; missing folders are made for the lock, and removed with it if nothing
        comes of it.
        """
        facts = await self._remote.connect()
        version = str(facts.get("server_version") or "")
        server = "dropbear" if "dropbear" in version.lower() else "openssh"
        token = secrets.token_hex(16) if lock else ""
        deadline_s = asyncio.get_running_loop().time() + WAIT_S
        while True:
            answer = await self._run(self._programs.look(server=server, token=token))
            busy = answer.find("busy")
            if busy is None:
                break
            if asyncio.get_running_loop().time() > deadline_s:
                raise _busy(busy.lines)
            await asyncio.sleep(random.uniform(*PAUSES_S))  # noqa: S311 - jitter
        look, self._place = read_look(answer, server_version=version, lock=token or None)
        return look

    async def swap(
        self,
        look: Look,
        data: bytes,
        *,
        dead_man: DeadMan | None = None,
        fix_modes: bool = False,
    ) -> Swapped:
        """
        Put these bytes in the place of those that were looked at.

        ``after`` of the result is what was read back: more than ``data`` if somebody has added to
        it at once. A dead man is not left where the old file has one of its ``never_back``.

        When the host is shut down, a dead man that is not confirmed puts the old file back at once;
        when it crashes or loses its power, the new file stays.
        """
        if len(data) > MAX_FILE_BYTES:
            raise FleetError(
                "keys.too_large",
                f"{look.path} would get {len(data)} bytes, and {MAX_FILE_BYTES} are the most",
                hint="leave keys out that nobody needs",
            )
        modes = _mended(look) if fix_modes else {}
        if dead_man is not None and has_key(look.data or b"", dead_man.never_back):
            dead_man = None
        change = Change(data, modes)
        if dead_man is None:
            return await self._swap(look, change)
        return await self._swap_guarded(look, change, data, dead_man)

    async def swap_back(self, swapped: Swapped) -> None:
        """
        Undo a swap. A dead man that waits does it himself, at once.

        The backup of the old version, which is the file again, is removed.
        """
        if swapped.token is not None:
            answer = await self._run(
                self._programs.settle(await self._find(), swapped.token, action="back")
            )
            said = answer.find("guard")
            if said is not None and said.lines == ["restored"]:
                return
        look = await self.look(lock=True)
        if look.data == swapped.before:
            await self.unlock(look)
            return
        if look.data != swapped.after:
            await self.unlock(look)
            raise FleetError(
                "keys.changed",
                f"{look.path} is not put back: somebody else has written to it since",
                hint="see what it has now: fleetctl keys audit",
            )
        modes = {
            c.path: (c.mode, swapped.changed_modes[c.path])
            for c in look.components
            if swapped.changed_modes and c.path in swapped.changed_modes
        }
        extra = (swapped.backup or "").rpartition("/")[2]
        await self._swap(look, Change(swapped.before, modes, extra=extra, forget=True))

    async def confirm(self, swapped: Swapped, over: Remote) -> None:
        """
        Tell the dead man that all is well; one who is told already need not be told again.

        Where the login may not touch the file, because another user has to be become for that, the
        dead man is told over the first one: that the login works is known then.
        """
        if swapped.token is None:
            return
        place = await self._find()
        program = self._programs.settle(place, swapped.token, action="confirm")
        try:
            answer = await self._run(program, over=over)
        except FleetError as error:
            if error.kind != "become.unavailable":
                raise
            program = self._programs.settle(place, swapped.token, action="confirm")
            answer = await self._run(program)
        said = answer.find("guard")
        words = said.lines if said is not None else []
        if words == ["confirmed"] or (words == ["gone"] and answer.data("data") == swapped.after):
            return
        raise FleetError(
            "keys.restored",
            f"the dead man did not wait any longer: {place.path} is what it was before"
            if words == ["restored"]
            else f"the dead man is gone, and {place.path} is not what was put there",
            hint="the same command once more",
            retryable=True,
        )

    async def unlock(self, look: Look) -> None:
        """Free the lock; one that was taken over is somebody else's."""
        if look.lock is None:
            return
        try:
            await self._run(self._programs.unlock(await self._find(), look.lock))
        except FleetError as error:
            if error.kind != "keys.changed":
                raise

    async def backups(self) -> tuple[Backup, ...]:
        look = await self.look()
        if all(part.path != look.path.rpartition("/")[0] for part in look.components):
            return ()  # there is no folder yet
        place = await self._find()
        answer = await self._run(self._programs.backups(place))
        listed = answer.find("backups")
        found = _read_backups(place, listed.lines if listed is not None else [])
        return tuple(sorted(found, key=lambda each: (each.at, each.path), reverse=True))

    async def read_backup(self, backup: Backup) -> bytes:
        place = await self._find()
        name = backup.path.rpartition("/")[2]
        answer = await self._run(self._programs.backups(place, name=name))
        return answer.data("data") or b""

    async def _swap(self, look: Look, change: Change, guard: Guard | None = None) -> Swapped:
        if look.lock is None:
            raise ValueError("a swap needs a look under the lock")
        program = self._programs.swap(await self._find(), look.lock, change, guard)
        try:
            answer = await self._run(program)
        except FleetError as error:
            if error.kind == "keys.protocol" or error.failure.phase in ("exec", "session"):
                # It was stopped, perhaps before it had the lock in hand.
                with suppress(FleetError):
                    await self.unlock(look)
            raise
        backup = answer.find("backup")
        return Swapped(
            path=look.path,
            backup=backup.lines[0] if backup is not None and backup.lines else None,
            before=look.data,
            after=answer.data("data") or b"",
            token=guard.token if guard else None,
            changed_modes={path: before for path, (before, _) in change.modes.items()} or None,
        )

    async def _swap_guarded(
        self, look: Look, change: Change, data: bytes, dead_man: DeadMan
    ) -> Swapped:
        """Leave a guard, by one way after the other until it outlives its session, and swap."""
        ways = list(WAYS)
        try:
            while True:
                guard = Guard.of(
                    dead_man,
                    id=f"{look.clock:012d}-{secrets.token_hex(4)}",
                    token=secrets.token_hex(16),
                )
                way = await self._arm(look, data, guard, ways)
                try:
                    return replace(await self._swap(look, change, guard), guard=way)
                except FleetError as error:
                    if error.kind != "keys.no_guard" or way == ways[-1]:
                        raise
                ways = ways[ways.index(way) + 1 :]
        except FleetError as error:
            if error.kind == "keys.no_guard" and self._force_guard:
                return await self._swap(look, change)
            with suppress(FleetError):
                await self.unlock(look)
            raise

    async def _arm(self, look: Look, data: bytes, guard: Guard, ways: Sequence[str]) -> str:
        """
        Leave a guard over a login of its own, so that its session has ended afterwards.

        Returns:
            What it runs under.
        """
        place, token = await self._find(), look.lock or ""
        try:
            async with self._remote.login_with(Login()) as fresh:
                program = self._programs.arm(place, token, data, guard, ways, alone=True)
                answer = await self._run(program, over=fresh)
        except FleetError as error:
            if error.failure.phase not in _OTHER_WAY:
                raise
            # Another user has to be become, or only one login is to be had.
            program = self._programs.arm(place, token, data, guard, ways, alone=False)
            answer = await self._run(program)
        way = answer.find("way")
        return way.lines[0] if way is not None and way.lines else ways[0]

    async def _find(self) -> Place:
        if self._place is None:
            await self.look()
        assert self._place is not None
        return self._place

    async def _run(self, program: Program, *, over: Remote | None = None) -> Answer:
        request = ExecRequest(
            COMMAND,
            stdin=program.text,
            timeout_s=TIMEOUT_S,
            max_output_bytes=_MAX_ANSWER_BYTES,
        )
        result = await Quiet(over or self._remote).exec(request)
        answer = read_answer(result, program.mark)
        refusal = refusal_of(answer)
        if refusal is not None:
            raise refusal
        return answer


def has_key(data: bytes, blobs: Collection[bytes]) -> bool:
    """Tell whether a word of a file is one of these keys, in a line of whatever kind."""
    if not blobs:
        return False
    return any(_decoded(word) in blobs for word in data.split())


def _decoded(word: bytes) -> bytes:
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(word + b"=" * (-len(word) % 4))
    return b""


def _mended(look: Look) -> Mapping[str, tuple[int, int]]:
    """
    Return the modes that StrictModes of sshd objects to, before and after.

    What is not in the home is not the user's, and is never touched. Source: sshd(8).
    """
    if look.components[:1] and look.components[0].path == "/":
        return {}
    return {
        c.path: (c.mode, c.mode & ~_OTHERS_MAY_WRITE)
        for c in look.components
        if c.kind in ("directory", "file") and c.mode & _OTHERS_MAY_WRITE
    }


def _busy(lines: Sequence[str]) -> FleetError:
    path, note, now = [*lines, "", "", ""][:3]
    _, host, run_id, since = [*note.split(), "", "", "", ""][:4]
    who = f"run {run_id}" if run_id.strip("-") else "another run"
    where = f", on {host}" if host.strip("-") else ""
    age = f", for {int(now) - int(since)} s" if since.isdecimal() and now.isdecimal() else ""
    return FleetError(
        "keys.busy",
        f"{who} works on {path}{where}{age}",
        hint=f"if nobody does, on the host: rm -r {path}.fleetctl-lock",
        retryable=True,
    )


def _read_backups(place: Place, lines: Sequence[str]) -> Iterator[Backup]:
    for line in lines:
        size, _, name = line.partition(" ")
        found = _BACKUP.fullmatch(name.removeprefix(place.name))
        if found is None or not size.isdecimal():
            continue
        with suppress(ValueError):
            at = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            path = f"{place.folder.rstrip('/')}/{name}"
            yield Backup(path, int(at.timestamp()), found[2], int(size))
