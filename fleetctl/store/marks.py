"""
A mark in the state folder for each run that is recorded from this machine: a small file, locked
while the run goes on.

The system takes the lock away from a process that is killed, so a run whose mark is not locked is
lost. The mark also says whether the journal of the run is whole. It can say otherwise when the
database cannot: a byte is overwritten, which needs no room on the disk.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FOLDER = "live"
_WHOLE = b"journal=whole\n"
_BROKEN = b"journal=lacks\n"
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC


class Mark:
    """The mark of one run, locked from `make` to `remove`."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = _path(folder, run_id)
        self._descriptor: int | None = None

    def make(self) -> None:
        """
        Make and lock it; nothing happens if that was done. Blocks.

        Raises:
            OSError: It cannot be made; a run of that id going on is one reason.
        """
        if self._descriptor is not None:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.pwrite(descriptor, _WHOLE, 0)
                is_there = _is_same(descriptor, self._path)
            except BaseException:
                os.close(descriptor)
                raise
            if is_there:
                self._descriptor = descriptor
                return
            os.close(descriptor)  # somebody took it for one that was left behind

    def say(self, *, is_whole: bool) -> None:
        """Say whether every host whose command may have left is in the database."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.pwrite(self._descriptor, _WHOLE if is_whole else _BROKEN, 0)

    def remove(self) -> None:
        """Remove it: the run has its end in the database."""
        self._end(is_kept=False)

    def leave(self) -> None:
        """Unlock it and leave it there, for whoever looks after runs that were lost."""
        self._end(is_kept=True)

    def _end(self, *, is_kept: bool) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if not is_kept:
            with suppress(OSError):
                os.unlink(self._path)
        os.close(descriptor)


def is_live(folder: Path, run_id: str) -> bool:
    """Tell whether some process records this run now. Blocks."""
    return _with_lock(_path(folder, run_id), lambda _: None) is None


def is_whole(folder: Path, run_id: str) -> bool:
    """Tell whether the mark of a run that was lost says that its journal is whole. Blocks."""
    try:
        return _path(folder, run_id).read_bytes() != _BROKEN
    except OSError:
        return True


def forget(folder: Path, run_id: str) -> None:
    """Remove the mark of a run that was lost, if nobody holds it. Blocks."""
    path = _path(folder, run_id)
    with suppress(OSError):
        _with_lock(path, lambda descriptor: os.unlink(path) if _is_same(descriptor, path) else None)


def _with_lock(path: Path, use: Callable[[int], None]) -> bool | None:
    """Return None if somebody holds the mark, else whether there was one to use."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        use(descriptor)
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _path(folder: Path, run_id: str) -> Path:
    # Ids are ours, but a file name is made of nothing else all the same.
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in run_id)
    return folder / _FOLDER / (name[:100] or "_")
