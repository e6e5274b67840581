"""
Changing a text file that others read and write at the same time, without harm to it.

Whoever writes holds a lock on the file itself. Lines are added with one write; everything else
makes a new file that takes the old one's place, which stays beside it as ``FILE.old``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

#: How long another writer is waited for.
LOCK_LIMIT_S = 30.0
#: More than this is no file that somebody edits.
MAX_FILE_BYTES = 1024 * 1024 * 1024
_LOCK_PAUSE_S = 0.01


@contextmanager
def locked(path: str) -> Iterator[int]:
    """Open a file, made if need be, and hold its lock; the file is the one at that path."""
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    until = monotonic() + LOCK_LIMIT_S
    while True:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            _take_lock(descriptor, until)
            # Whoever had it before may have put another file in its place.
            if _is_same(os.fstat(descriptor), path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _take_lock(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES) or monotonic() > until:
                raise
            sleep(_LOCK_PAUSE_S)
        else:
            return


def _is_same(status: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(status, os.stat(path))
    except FileNotFoundError:
        return False


def read_lines(descriptor: int) -> list[bytes]:
    """Return the lines of a file, with their newlines."""
    size = os.fstat(descriptor).st_size
    if size > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    parts, position = [], 0
    while part := os.pread(descriptor, 1024 * 1024, position):
        parts.append(part)
        position += len(part)
    data = b"".join(parts)
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def _ended(lines: Sequence[bytes]) -> Sequence[bytes]:
    """End every line; only the last that was read can have no end."""
    return [line if line.endswith(b"\n") else line + b"\n" for line in lines]


def append(descriptor: int, path: str, lines: bytes) -> None:
    """
    Add lines to a file that is open, on lines of their own, flushed to the disk.

    What was written by halves stays: ssh takes no lock, so what follows may be somebody else's. Who
    reads skips a torn line, and who writes next begins a new one.

    Raises:
        OSError: The disk is full, or broken.
    """
    status = os.fstat(descriptor)
    size = status.st_size
    ends_badly = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    addition = (b"\n" if ends_badly else b"") + lines
    if os.write(descriptor, addition) != len(addition):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    if stat.S_ISREG(status.st_mode):  # /dev/null cannot be flushed
        os.fsync(descriptor)


def replace(path: str, descriptor: int, lines: Sequence[bytes], *, read: Sequence[bytes]) -> None:
    """
    Put a file with these lines in the place of the one that is open; that stays as ``FILE.old``.

    Args:
        read: The lines of the old one, as they were read.

    Raises:
        OSError: It could not be done, or somebody who takes no lock has added to the old one
            meanwhile; nothing has changed then.
    """
    path = os.path.realpath(path)  # a link stays one
    folder, status = os.path.dirname(path), os.fstat(descriptor)
    new, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with open(new, "wb") as stream:
            os.fchmod(new, stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(new, status.st_uid, status.st_gid)
            stream.writelines(_ended(lines))
            stream.flush()
            os.fsync(new)
        if os.fstat(descriptor).st_size != sum(map(len, read)):
            raise OSError(errno.EAGAIN, "it was changed meanwhile; try again", path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.old")
        try:
            os.link(path, f"{path}.old")
        except OSError:  # a file system without links
            shutil.copy2(path, f"{path}.old")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
