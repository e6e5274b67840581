"""
Users on real hosts whose keys are changed, and keys of the test's own for them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetctl.keys.authorized_keys import AuthorizedKey
from fleetctl.keys.guarded import Guarding, Way
from fleetctl.keys.journal_file import RunJournals, start_run
from fleetctl.keys.revoke import Doomed
from fleetctl.keys.rotate import Exchange, RotateKeys
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import status_of
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.result import Outcome
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.key_line import read_key
from tests.support.accounts import Accounts
from tests.support.drive import Secrets, connected, run_async
from tests.support.keys import keygen
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S

RUN = "20261121T120000-7f3a91c0"
WAY = Way(RUN)


@dataclass(frozen=True)
class Pair:
    """A key pair in files, by OpenSSH's own tool."""

    path: Path

    @property
    def line(self) -> bytes:
        return self.path.with_name(f"{self.path.name}.pub").read_bytes()

    @property
    def public(self) -> AuthorizedKey:
        key_type, blob, comment = read_key(self.line.strip())
        return AuthorizedKey(key_type, blob, comment.decode())

    @property
    def blob(self) -> bytes:
        return self.public.blob


@dataclass(frozen=True)
class Seat:
    """One user on one host, who logs in with a key of the test's own."""

    accounts: Accounts
    user: str
    lab_host: LabHost

    @property
    def home(self) -> Path:
        if self.user == "root":
            return self.lab_host.directory / "root"
        return self.lab_host.home / self.user

    @property
    def file(self) -> Path:
        return self.home / ".ssh" / "authorized_keys"

    def write(self, *lines: bytes) -> None:
        """Make the folder and the file as they should be, with these lines."""
        folder = self.file.parent
        gid = self.home.stat().st_gid
        self.home.chmod(0o700)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.file.write_bytes(b"".join(lines))
        self.file.chmod(0o600)
        for path in (folder, self.file):
            os.chown(path, self.accounts.uid(self.user), gid)

    def host(self, *pairs: Pair, **changes: object) -> Host:
        """Return the host as the engine takes it, to log in with these keys."""
        files = tuple(str(pair.path) for pair in pairs)
        return self.accounts.model_host(
            self.user, self.lab_host, **{"identity_files": files, **changes}
        )

    def lets_in(self, pair: Pair) -> bool:
        """Tell whether OpenSSH's client gets in with this key and nothing else."""
        argv = self.accounts.ssh_argv(self.user, "-o", "LogLevel=ERROR", host=self.lab_host)
        place = argv.index("-i") + 1
        argv = [*argv[:place], str(pair.path), *argv[place + 1 :], "exit", "7"]
        done = subprocess.run(
            argv, capture_output=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False
        )
        return done.returncode != 255

    def logs_in(self, pair: Pair) -> bool:
        """Tell whether a login with this key works, whatever may be done then."""

        async def main() -> bool:
            try:
                async with connected(self.host(pair), open_session=False):
                    return True
            except FleetError as error:
                if error.kind != "auth.denied":
                    raise
                return False

        return run_async(main)

    def left_over(self) -> Sequence[str]:
        """Return what lies beside the file and is no backup."""
        return sorted(
            path.name
            for path in self.file.parent.iterdir()
            if path != self.file and ".fleetctl-" not in path.name
        )


def make_pair(folder: Path, name: str, kind: str = "ed25519") -> Pair:
    return Pair(keygen(folder / name, "-t", kind))


def run_on(
    host: Host, operation: Operation, *, check: bool = False, password: str | None = None
) -> Outcome:
    """Run an operation on a real host; a failure that it raises is the outcome's."""

    async def main() -> Outcome:
        async with operating_on(host, secrets=Secrets(login=password)) as remote:
            try:
                return await operation.run(remote, check=check)
            except FleetError as error:
                return Outcome(status_of(error.kind), failure=error.failure)

    return run_async(main)


def journals_in(folder: Path, run_id: str = RUN) -> RunJournals:
    return start_run(folder / "journals", run_id, {"hosts": []}, in_thread)


def rotation(old: Pair, new: Pair, journals: RunJournals, **guarding: object) -> RotateKeys:
    """Return the operation that puts the new key in the place of the old one."""
    doomed = Doomed((old.blob,), private_files={old.public.fingerprint: str(old.path)})
    return RotateKeys(
        Exchange(new.public, str(new.path), doomed),
        WAY,
        journals,
        Guarding(**guarding),  # type: ignore[arg-type]  # named by tests
    )


def inventory_of(
    folder: Path, accounts: Accounts, seats: Mapping[str, Seat], identity: Path | None = None
) -> Path:
    """
    Write an inventory: name of a host -> who logs in where.

    Args:
        identity: The key that logs in; None for the test run's own.
    """
    hosts = {}
    for name, seat in seats.items():
        settings = seat.host().settings
        hosts[name] = {
            "ssh": {
                "HostName": seat.lab_host.address,
                "Port": seat.lab_host.port,
                "User": seat.user,
                "UserKnownHostsFile": settings.user_known_hosts_files[0],
            }
        }
    own = accounts.settings("u-sh").identity_files[0]
    common = {
        "IdentityFile": str(identity or own),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": int(PATIENCE_S),
    }
    path = folder / "inventory.yml"
    # JSON is YAML.
    path.write_text(json.dumps({"all": {"ssh": common, "hosts": hosts}}))
    return path
