"""
What is different between two outputs, as a unified diff that costs a bounded amount of work.

Hosts choose both texts, so the search for the shortest diff is given up when it gets long; what is
shown then is longer than need be, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Equal lines shown round a change.
CONTEXT = 3
#: Lines taken out and put in up to which the shortest diff is looked for.
MAX_CHANGES = 200
#: Lines of each text that are compared; the rest is left out.
MAX_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Edit:
    """One line: ``mark`` is a space (in both), ``-`` (only in the old) or ``+`` (in the new)."""

    mark: str
    line: bytes


def unified(old: bytes, new: bytes, *, context: int = CONTEXT) -> Iterator[Edit | str]:
    """
    Yield the hunks of a unified diff: each begins with its ``@@`` line, then come its edits.

    Lines end at newlines only. Nothing if both are equal in the lines compared.

    Args:
        context: Equal lines shown round a change.

    Source: POSIX.1-2024 diff(1), "Diff -u Output Format".
    """
    edits = compare(_lines(old), _lines(new))
    changed = [place for place, edit in enumerate(edits) if edit.mark != " "]
    old_line, new_line, seen = 1, 1, 0
    while changed:
        start = max(changed[0] - context, seen)
        last = 0
        while last + 1 < len(changed) and changed[last + 1] - changed[last] <= 2 * context + (
            not context
        ):
            last += 1
        end = min(changed[last] + context + 1, len(edits))
        old_line += start - seen
        new_line += start - seen
        hunk = edits[start:end]
        old_count = sum(edit.mark != "+" for edit in hunk)
        new_count = sum(edit.mark != "-" for edit in hunk)
        yield f"@@ -{_range(old_line, old_count)} +{_range(new_line, new_count)} @@"
        yield from hunk
        old_line, new_line, seen = old_line + old_count, new_line + new_count, end
        del changed[: last + 1]


def compare(old: Sequence[bytes], new: Sequence[bytes]) -> list[Edit]:
    """
    Return the edits that make the new lines of the old ones, removals before additions.

    The fewest possible, if they are at most `MAX_CHANGES`.

    Source: E. Myers, An O(ND) Difference Algorithm and Its Variations (1986).
    """
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle = _shortest(old[head : len(old) - tail], new[head : len(new) - tail])
    return [
        *(Edit(" ", line) for line in old[:head]),
        *middle,
        *(Edit(" ", line) for line in old[len(old) - tail :]),
    ]


def _shortest(old: Sequence[bytes], new: Sequence[bytes]) -> list[Edit]:
    # reached[k]: how far along the old lines one gets on diagonal k = (old - new) with so many
    # changes; the trace remembers it for each number of changes, to walk back.
    reached = {1: 0}
    trace: list[dict[int, int]] = []
    for changes in range(min(len(old) + len(new), MAX_CHANGES) + 1):
        trace.append(dict(reached))
        for k in range(-changes, changes + 1, 2):
            x = _step(reached, k, changes)
            while x < len(old) and x - k < len(new) and old[x] == new[x - k]:
                x += 1
            reached[k] = x
            if x >= len(old) and x - k >= len(new):
                return _walk_back(old, new, trace)
    return [*(Edit("-", line) for line in old), *(Edit("+", line) for line in new)]


def _step(reached: dict[int, int], k: int, changes: int) -> int:
    """Return where one change leads on diagonal k: an addition from above, or a removal."""
    if k == -changes or (k != changes and reached[k - 1] < reached[k + 1]):
        return reached[k + 1]
    return reached[k - 1] + 1


def _walk_back(
    old: Sequence[bytes], new: Sequence[bytes], trace: Sequence[dict[int, int]]
) -> list[Edit]:
    edits: list[Edit] = []
    x, y = len(old), len(new)
    for changes in range(len(trace) - 1, -1, -1):
        reached, k = trace[changes], x - y
        is_addition = k == -changes or (k != changes and reached[k - 1] < reached[k + 1])
        from_k = k + 1 if is_addition else k - 1
        from_x = reached[from_k] if changes else 0
        from_y = from_x - from_k if changes else 0
        while x > from_x and y > from_y:
            x, y = x - 1, y - 1
            edits.append(Edit(" ", old[x]))
        if changes:
            edits.append(Edit("+", new[from_y]) if is_addition else Edit("-", old[from_x]))
        x, y = from_x, from_y
    edits.reverse()
    return edits


def _lines(content: bytes) -> list[bytes]:
    """Return the lines with their newlines, at most `MAX_LINES`."""
    lines = content.split(b"\n", MAX_LINES)
    rest = lines.pop()
    whole = [line + b"\n" for line in lines]
    return [*whole, rest] if rest and len(whole) < MAX_LINES else whole


def _range(line: int, count: int) -> str:
    # An empty range is named by the line before it.
    return f"{line}" if count == 1 else f"{line if count else line - 1},{count}"
