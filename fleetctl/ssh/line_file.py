"""
A small text file that outlives a run: its lines are read at once and replaced in one step.

For what may be lost: a file that cannot be read is empty.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from fleetctl.ssh.locked_file import locked

#: Longer lines are not written.
MAX_LINE_LENGTH = 4096


def read_lines(path: Path, *, max_bytes: int) -> list[str]:
    """Return the lines, of a longer file those of its last ``max_bytes``. Blocks; never raises."""
    try:
        with path.open("rb") as file:
            excess = os.fstat(file.fileno()).st_size - max_bytes
            if excess > 0:
                file.seek(excess)
                file.readline(max_bytes)
            text = file.read(max_bytes).decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()


def change_lines(
    path: Path, change: Callable[[Sequence[str]], Iterable[str]], *, max_bytes: int
) -> None:
    """
    Replace the lines by what is made of them, while nobody else does. Blocks.

    The file and its folder are made when needed, for the owner alone. Lines that are too long are
    left out.

    Raises:
        OSError: It cannot be written; the old file is untouched.
    """
    with locked(str(path)):
        lines = [
            f"{line}\n"
            for line in change(read_lines(path, max_bytes=max_bytes))
            if len(line) <= MAX_LINE_LENGTH
        ]
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.writelines(lines)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
