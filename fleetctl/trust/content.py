"""
What files hold, as the hash that is remembered of them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fleetctl.model.errors import UsageError

MAX_FILES = 10_000
MAX_BYTES = 64 * 1024 * 1024

#: Nothing below is ever read by fleetctl, and all of it changes with every commit.
_NOT_CONTENT = frozenset({".git", ".hg", ".svn"})


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_program(data: bytes) -> bool:
    """Tell whether the system could run a file with this content."""
    return data.startswith((b"#!", b"\x7fELF"))


def read_files(path: Path) -> Iterator[tuple[Path, bytes]]:
    """
    Read a file, or every regular file below a folder; links below it are not followed.

    Yields:
        Path, absolute and without links, and content.

    Raises:
        UsageError: Something cannot be read, is neither file nor folder, or is too large.
    """
    root = Path(os.path.realpath(path))
    try:
        status = root.stat()
        if stat.S_ISREG(status.st_mode):
            yield root, _read(root)
        elif stat.S_ISDIR(status.st_mode):
            for file in _regular_files(root):
                yield file, _read(file)
        else:
            raise UsageError("this is neither a file nor a folder", file=str(path))
    except OSError as error:
        place = error.filename or path
        raise UsageError(f"this cannot be read: {error.strerror}", file=str(place)) from None


def _regular_files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=_complain):
        folders[:] = sorted(name for name in folders if name not in _NOT_CONTENT)
        for name in sorted(names):
            file = Path(folder, name)
            if stat.S_ISREG(file.lstat().st_mode):
                found.append(file)
        if len(found) > MAX_FILES:
            raise UsageError(
                f"more than {MAX_FILES} files are in this folder",
                file=str(root),
                hint="name the files, or a folder inside it",
            )
    return found


def _complain(error: OSError) -> None:
    raise error


def _read(path: Path) -> bytes:
    # Nothing here may wait for the writer of a pipe that took the place of the file.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024**2} MiB", file=str(path))
    return data
