"""
A user's home on a host with other users, for the programs that change keys there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fleetctl.keys.place import Look, Swapped, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from tests.support.accounts import Accounts
from tests.support.drive import run_async
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S

T = TypeVar("T")

OLD = b"ssh-ed25519 AAAA somebody else's\r\n# \xff\x00 odd\n"
NEW = OLD + b"ssh-ed25519 BBBB it's 100% \\new\n"


@dataclass(frozen=True)
class Home:
    """
    A user's home; paths are this machine's, the host has it as ``/home/<user>``.

    The key that logs in stays in the file: `old` and `new` are around it.
    """

    accounts: Accounts
    host: LabHost
    user: str

    @property
    def home(self) -> Path:
        return self.host.directory / "root" if self.user == "root" else self.host.home / self.user

    @property
    def folder(self) -> Path:
        return self.home / ".ssh"

    @property
    def file(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def there(self) -> str:
        """The file, as the host calls it."""
        return f"{'/root' if self.user == 'root' else f'/home/{self.user}'}/.ssh/authorized_keys"

    @property
    def login_line(self) -> bytes:
        return self.accounts._fleet.identity.with_suffix(".pub").read_bytes()

    @property
    def old(self) -> bytes:
        return self.login_line + OLD

    @property
    def new(self) -> bytes:
        return self.login_line + NEW

    @property
    def beside(self) -> set[str]:
        """Names of what lies beside the file."""
        return {entry.name for entry in self.folder.iterdir()} - {"authorized_keys"}

    def reset(self, data: bytes | None = None) -> Home:
        """Make the home as it should be."""
        if self.folder.is_symlink():
            self.folder.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o700)
        self.folder.mkdir(mode=0o700)
        self.file.write_bytes(self.old if data is None else data)
        self.file.chmod(0o600)
        for path in (self.home, self.folder, self.file):
            os.chown(
                path, self.accounts.uid(self.user), self.host.home.joinpath("u-sh").stat().st_gid
            )
        return self

    def inside(self, *argv: str) -> str:
        """Run something in the host's namespace, as root."""
        done = subprocess.run(
            ["nsenter", f"--mount=/proc/{self.host.pid}/ns/mnt", "--", *argv],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout

    def run(
        self,
        work: Callable[[ShellKeysFile], Awaitable[T]],
        *,
        login: str | None = None,
        target: Target | None = None,
        **options: Any,
    ) -> T:
        """Work on the file, logged in as the user, or as another one."""
        return self.run_over(
            lambda remote: work(
                ShellKeysFile(remote, target or Target(), run_id="run-1", **options)
            ),
            login=login,
        )

    def run_over(self, work: Callable[[Remote], Awaitable[T]], *, login: str | None = None) -> T:
        async def main() -> T:
            host = self.accounts.model_host(login or self.user, self.host)
            async with operating_on(host) as remote:
                return await work(remote)

        return run_async(main)

    def failure(
        self, work: Callable[[ShellKeysFile], Awaitable[Any]], **options: Any
    ) -> FleetError:
        with pytest.raises(FleetError) as caught:
            self.run(work, **options)
        return caught.value


async def swap_to(file: ShellKeysFile, data: bytes, **options: Any) -> Swapped:
    """Look, and put these bytes there."""
    return await file.swap(await file.look(lock=True), data, **options)


def locked(file: ShellKeysFile) -> Awaitable[Look]:
    """Look under the lock."""
    return file.look(lock=True)


def only(home: Home, tools: Sequence[str], *, busybox: bool = False) -> str:
    """Return a PATH on the host with these tools and no others."""
    folder = home.host.home / f"bin-{abs(hash((tuple(tools), busybox)))}"
    if not folder.exists():
        folder.mkdir(mode=0o755)
        for tool in tools:
            program = "/bin/busybox" if busybox else shutil.which(tool)
            if program is not None:
                (folder / tool).symlink_to(program)
    return f"/home/{folder.name}"


#: What the programs cannot do without; all of it is POSIX.
NEEDED = tuple("cat chmod cksum cp date id kill ln ls mkdir mv rm rmdir sed sh sleep tr wc".split())


def removed(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
