"""
What hosts wrote, line by line behind a gutter that no output can leave.

The gutter is two columns, blank for stdout and ``!`` for stderr. On a terminal a line that is too
long goes on behind the gutter of the next row, where the terminal alone would begin in the first
column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleetctl.model.result import ExecResult
from fleetctl.sinks.color import Style
from fleetctl.sinks.diff import CONTEXT, MAX_LINES, Edit, unified
from fleetctl.sinks.escape import prefix_lines, visible_bytes
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.width import cut, rows
from fleetctl.sinks.wording import render_count, split_kept

OUT_GUTTER = "  "
ERR_GUTTER = "! "

#: Lines of the difference between two outputs that are shown at most.
MAX_DIFFERENCE = 200
#: Lines from which on there is room for equal lines round the different ones.
_WITH_CONTEXT = 12

_MARK_STYLES: Mapping[str, Style] = {"-": "failed", "+": "ok", "@": "name"}


@dataclass(frozen=True, slots=True)
class Limit:
    """
    How much of an output is shown.

    Attributes:
        lines: Of both streams together, what says that there is more included; at least 2.
        rows: Of the terminal, for each line.
    """

    lines: int
    rows: int


def count_lines(run: ExecResult) -> int:
    """Return how many lines of the output were kept."""
    return _count_lines(run.stdout) + _count_lines(run.stderr)


def render_output(run: ExecResult, *, columns: int | None, limit: Limit | None) -> Iterator[str]:
    """
    Yield what a command wrote, in texts that end with a newline.

    Args:
        columns: Of the terminal, or None to leave lines as long as they are.
        limit: None for everything.
    """
    parts = (
        (OUT_GUTTER, "stdout", run.stdout, run.stdout_bytes),
        (ERR_GUTTER, "stderr", run.stderr, run.stderr_bytes),
    )
    limits: tuple[int | None, int | None] = (None, None)
    if limit is not None:
        out, err = _count_lines(run.stdout), _count_lines(run.stderr)
        for_out = limit.lines - min(err, limit.lines // 2)
        limits = (for_out, max(limit.lines - min(out, for_out), 1))
    for (gutter, stream, content, total_bytes), most in zip(parts, limits, strict=True):
        if limit is not None and most is not None and content:
            yield from _beginning(gutter, stream, content, columns, Limit(most, limit.rows))
            continue
        head, tail = split_kept(content, total_bytes)
        yield from _whole(gutter, head, columns)
        if tail:
            yield f"({total_bytes - len(content)} bytes of {stream} left out here)\n"
            yield from _whole(gutter, tail, columns)


def render_difference(
    known: ExecResult, run: ExecResult, name: str, *, out: Printer, limit: Limit | None
) -> Iterator[str]:
    """
    Yield how the output of a command differs from a known one, as unified diffs.

    Args:
        known: The output it is compared with, and ``name`` what to call it.
        out: Its width and colour are used.
        limit: None for `MAX_DIFFERENCE` lines. A small one leaves no room for equal
            lines round the different ones.
    """
    if (known.stdout, known.stderr) == (run.stdout, run.stderr):
        yield f"(output as of {name})\n"
        return
    room = limit.lines if limit is not None else MAX_DIFFERENCE
    is_short = room < _WITH_CONTEXT
    for gutter, stream, old, new in (
        (OUT_GUTTER, "stdout", known.stdout, run.stdout),
        (ERR_GUTTER, "stderr", known.stderr, run.stderr),
    ):
        if old == new:
            continue
        # Both streams share the room; stderr comes last and always has a line.
        most = max(room // 2, 1) if stream == "stdout" and known.stderr != run.stderr else room
        shown = list(_difference(gutter, old, new, out, is_short=is_short))
        if max(_count_lines(old), _count_lines(new)) > MAX_LINES:
            shown.append(f"(of {stream} only the first {MAX_LINES} lines were compared)\n")
        if len(shown) > most:
            more = render_count(len(shown) - most + 1, "more line")
            shown[most - 1 :] = [f"({more} of the difference in {stream})\n"]
        room -= len(shown)
        yield from shown


def _difference(
    gutter: str, old: bytes, new: bytes, out: Printer, *, is_short: bool
) -> Iterator[str]:
    for item in unified(old, new, context=0 if is_short else CONTEXT):
        if not isinstance(item, Edit) and is_short:
            continue
        edit = item if isinstance(item, Edit) else Edit("@", item[1:].encode())
        style = _MARK_STYLES.get(edit.mark)
        text = _text(edit.line)
        if out.width:
            text = cut(text.expandtabs(8), max(out.width - len(gutter) - 1, 1))
        line = gutter + edit.mark + text
        yield (out.paint(style, line) if style else line) + "\n"
        if isinstance(item, Edit) and not item.line.endswith(b"\n") and not is_short:
            yield f"{gutter}\\ No newline at end of file\n"


def _whole(gutter: str, content: bytes, columns: int | None) -> Iterator[str]:
    if columns is None:
        yield prefix_lines(gutter, content)
        return
    if not content:
        return
    room = max(columns - len(gutter), 1)
    for line in visible_bytes(content).removesuffix("\n").split("\n"):
        if len(line) <= room // 2 and "\t" not in line:  # wide or not, it fits
            yield f"{gutter}{line}\n"
        else:
            yield from (f"{gutter}{row}\n" for row in rows(line, room))


def _beginning(
    gutter: str, stream: str, content: bytes, columns: int | None, limit: Limit
) -> Iterator[str]:
    """Yield so many lines at most; if there is more, the last one says how much."""
    count = _count_lines(content)
    shown = count if count <= limit.lines else limit.lines - 1
    for line in content.split(b"\n", shown)[:shown]:
        if columns is None:
            yield f"{gutter}{_text(line)}\n"
            continue
        room = max(columns - len(gutter), 1)
        # No character takes more than four bytes; what takes no column at all is cut off early.
        text = cut(_text(line[: 4 * limit.rows * room]).expandtabs(8), limit.rows * room)
        yield from (f"{gutter}{row}\n" for row in rows(text, room))
    if count > shown:
        yield f"({render_count(count - shown, 'more line')} of {stream})\n"


def _text(line: bytes) -> str:
    return visible_bytes(line.removesuffix(b"\n").removesuffix(b"\r"))


def _count_lines(content: bytes) -> int:
    return content.count(b"\n") + (not content.endswith(b"\n")) if content else 0
