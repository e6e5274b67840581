"""
The difference between two versions of a small file, as ``diff -u`` prints it.

Bytes that are no UTF-8 become ``\\xNN``; what else a terminal must not see is the sinks' business.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice

_CONTEXT = 3
_NO_NEWLINE = "\\ No newline at end of file"


def diff_files(before: bytes | None, after: bytes | None, path: str = "authorized_keys") -> str:
    """
    Return a unified diff; empty if both are the same.

    Args:
        before: None for a file that is absent; ``/dev/null`` stands for it in the heading.
        path: What to call the file.
    """
    if before == after:
        return ""
    old, new = _lines(before), _lines(after)
    heading = [
        f"--- {'/dev/null' if before is None else path}",
        f"+++ {'/dev/null' if after is None else path}",
    ]
    return "\n".join([*heading, *_hunks(old, new)]) + "\n"


def _lines(data: bytes | None) -> list[str]:
    """Return the lines with their newlines, so that one that has none is told apart."""
    text = (data or b"").decode("utf-8", "backslashreplace")
    parts = text.split("\n")
    lines = [f"{part}\n" for part in parts[:-1]]
    return [*lines, parts[-1]] if parts[-1] else lines


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    # What is the same at both ends is most of it, and comparing it line by line is slow.
    same = _same_at_begin(old, new)
    tail = _same_at_begin(old[same:][::-1], new[same:][::-1])
    begin = max(0, same - _CONTEXT)
    spare = max(0, tail - _CONTEXT)
    left, right = old[begin : len(old) - spare], new[begin : len(new) - spare]
    # Its own two lines of heading are left out.
    for line in islice(difflib.unified_diff(left, right, n=_CONTEXT, lineterm=""), 2, None):
        if line.startswith("@@"):
            yield _shifted(line, begin)
        else:
            yield from _shown(line)


def _same_at_begin(one: list[str], other: list[str]) -> int:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))


def _shown(line: str) -> Iterator[str]:
    if line.endswith("\n"):
        yield line[:-1]
    else:
        yield line
        yield _NO_NEWLINE


def _shifted(heading: str, by: int) -> str:
    """Add to both numbers of ``@@ -1,4 +1,5 @@``."""
    _, old, new, _ = heading.split(" ")
    return f"@@ {_moved(old, by)} {_moved(new, by)} @@"


def _moved(span: str, by: int) -> str:
    start, comma, count = span[1:].partition(",")
    return f"{span[0]}{int(start) + by}{comma}{count}"
