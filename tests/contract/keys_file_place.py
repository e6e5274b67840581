"""
Where the promises of every `KeysFile` are tried: a user's home on a real host, seen from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetctl.keys.place import KeysFile, Swapped, Target
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote

ONE = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOne one@example.org\n"
TWO = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAITwo two@example.org\n"


@dataclass(frozen=True)
class KeysPlace:
    """
    A user's home, and how to work on the keys in it.

    Attributes:
        home: On this machine; in the host it may be called otherwise.
        uid: Of the user.
        gid: His group.
        remote: Logged in as the user.
        make: Opens a file for a run.
        cut: Ends all sessions on the host at once.
    """

    home: Path
    uid: int
    gid: int
    remote: Remote
    make: Callable[[Remote, Target, str], KeysFile]
    cut: Callable[[], None]

    @property
    def path(self) -> Path:
        return self.home / ".ssh" / "authorized_keys"

    def open(self, run_id: str = "20260701T120000-aa", **target: object) -> KeysFile:
        return self.make(self.remote, Target(**target), run_id)  # type: ignore[arg-type]

    def write(self, data: bytes, *, mode: int = 0o600) -> None:
        """Make the file, and its folder, as the user would."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.write_bytes(data)
        self.path.chmod(mode)
        for path in (self.path.parent, self.path):
            os.chown(path, self.uid, self.gid)

    def beside(self) -> set[str]:
        """Return what lies in the folder, besides the file and its backups."""
        names = {path.name for path in self.path.parent.iterdir()} - {self.path.name}
        return {name for name in names if not name.startswith("authorized_keys.fleetctl-2")}

    def kept(self) -> list[Path]:
        """Return the backups, oldest first."""
        return sorted(self.path.parent.glob("authorized_keys.fleetctl-2*"))

    def state(self) -> dict[str, tuple[object, ...]]:
        """Return what a change of anything in the home would change."""
        found = {}
        for path in (self.home, *sorted(self.home.rglob("*"))):
            info = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            facts = (info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_nlink)
            # Making and removing something in a folder changes its time.
            times = () if path.is_dir() else (info.st_mtime_ns, info.st_size)
            found[str(path.relative_to(self.home))] = (*facts, *times, data)
        return found


async def refused(kind: str, work: Coroutine[None, None, object]) -> FleetError:
    """Return the error, which must be of that kind."""
    with pytest.raises(FleetError) as caught:
        await work
    assert caught.value.kind == kind, caught.value
    return caught.value


async def change(file: KeysFile, data: bytes) -> Swapped:
    """Look and swap."""
    return await file.swap(await file.look(lock=True), data)


Promise = Callable[[KeysPlace], Coroutine[None, None, None]]
