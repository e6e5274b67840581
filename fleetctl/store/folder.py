"""
The folder of an SQLite store: its owner's alone, and nobody else's hands on it.

SQLite holds POSIX locks, and those are gone once a process closes any descriptor of the file. So
nothing here opens the database or what belongs to it while it may be open: they are looked at by
path.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from fleetctl.model.errors import UsageError
from fleetctl.store.facts import FindStranger, StoreError

DATABASE = "history.db"
_LOCK = "history.lock"
#: SQLite's own files beside the database; it gives them the mode of the database.
COMPANIONS = ("-wal", "-shm")

_LOCK_PAUSE_S = 0.02
_WRITE_LOCK_AT = 120
_PRIVATE = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def prepare_folder(folder: Path, find_stranger: FindStranger) -> Path:
    """
    Make what is missing of the folder and the database file, and return the path of the file.

    The folder is 0700 and the file 0600 from the moment they exist, whatever the umask.

    Raises:
        UsageError: Somebody else could have written there.
        StoreError: It cannot be made.
    """
    path = folder / DATABASE
    try:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)
        _refuse_strangers(folder, find_stranger)
        for name in (DATABASE, *(f"{DATABASE}{end}" for end in COMPANIONS)):
            _keep_private(folder / name, find_stranger)
        if not path.exists():
            os.close(os.open(path, _PRIVATE | os.O_RDWR, 0o600))
    except OSError as error:
        where = error.filename or folder
        raise StoreError(f"the history cannot be kept in {where}: {error.strerror}") from None
    return path


def _keep_private(path: Path, find_stranger: FindStranger) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(
            "it is not a plain file, so the history cannot be kept in it",
            file=str(path),
            hint="move it away, or name another folder in FLEETCTL_STATE",
        )
    _refuse_strangers(path, find_stranger)
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.chmod(path, 0o600)


def _refuse_strangers(path: Path, find_stranger: FindStranger) -> None:
    stranger = find_stranger(path)
    if stranger is not None:
        raise UsageError(
            f"{stranger}, so the history cannot be kept here",
            file=str(path),
            hint="take that away with chmod go-w, name another folder in FLEETCTL_STATE, "
            "or do without: --no-history",
        )


@contextmanager
def opening(folder: Path, limit_s: float) -> Iterator[None]:
    """
    Let one process at a time make, check and upgrade the database. Blocks.

    Raises:
        StoreError: Another one does it for longer than the limit, or nothing can be written there.
    """
    try:
        descriptor = os.open(folder / _LOCK, _PRIVATE | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreError(f"the history cannot be kept in {folder}: {error.strerror}") from None
    try:
        until = monotonic() + limit_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() > until:
                    raise StoreError(
                        f"another fleetctl has been opening {folder / DATABASE} for {limit_s:g} s"
                    ) from None
                sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Rename a damaged database with all that belongs to it, and return its new path."""
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    new = path.with_name(f"{path.name}.damaged-{now}")
    for end in ("", *COMPANIONS):
        old = Path(f"{path}{end}")
        if old.exists():
            os.rename(old, f"{new}{end}")
    return new


def find_writer(path: Path) -> int | None:
    """
    Return the process that is writing to the database now, as far as the system tells.

    Source: proc_locks(5); sqlite.org/walformat.html, section 2.3: byte 120 of the shared memory
    file is locked by the one writer.
    """
    try:
        shared = os.stat(f"{path}-shm")
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    file = f"{os.major(shared.st_dev):02x}:{os.minor(shared.st_dev):02x}:{shared.st_ino}"
    for line in lines:
        words = line.split()
        # 1: POSIX  ADVISORY  WRITE 4711 08:02:131 120 120
        if len(words) == 8 and words[1] == "POSIX" and words[3] == "WRITE" and words[5] == file:
            last = float("inf") if words[7] == "EOF" else int(words[7])
            if int(words[6]) <= _WRITE_LOCK_AT <= last:
                return int(words[4])
    return None
