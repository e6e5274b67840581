"""
How many columns text takes on a terminal, and text cut, padded or broken to fit some.

Text is `escape.visible` and has no newline. What is plain ASCII is measured by its length; only
other text loads a table of wide characters.

Source: Unicode UAX #11 (East Asian width), as in wcwidth(3).
"""

from __future__ import annotations

from collections.abc import Iterator

ELLIPSIS = "…"


def columns_of(text: str) -> int:
    """Return how many columns the text takes; wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, columns: int) -> str:
    """Return the text in at most that many columns, ending with an ellipsis if it was cut."""
    if columns_of(text) <= columns:
        return text
    kept = next(rows(text, columns - 1)) if columns > 1 else ""
    if columns_of(kept) >= columns:  # not even one character fits
        kept = ""
    return kept.rstrip() + ELLIPSIS if columns > 0 else ""


def pad(text: str, columns: int) -> str:
    """Return the text with spaces behind it up to that many columns; longer text stays."""
    return text + " " * (columns - columns_of(text))


def rows(text: str, columns: int) -> Iterator[str]:
    """
    Yield the text in pieces of at most that many columns, broken anywhere.

    At least one piece, and at least one character in each; a tab becomes spaces.
    """
    text = text.expandtabs(8)
    if text.isascii():
        step = max(columns, 1)
        yield from (text[at : at + step] for at in range(0, max(len(text), 1), step))
        return
    from rich.cells import get_character_cell_size

    start, used = 0, 0
    for at, character in enumerate(text):
        size = get_character_cell_size(character)
        if used + size > columns and at > start:
            yield text[start:at]
            start, used = at, 0
        used += size
    yield text[start:]


def words(text: str, columns: int, *, indent: str = "  ", separator: str = " ") -> list[str]:
    """
    Return the text in lines of at most that many columns, broken behind separators if possible.

    Lines after the first begin with the indent.
    """
    lines: list[str] = []
    line = ""
    for piece in text.split(separator):
        longer = f"{line}{separator}{piece}" if line else piece
        room = columns - (columns_of(indent) if lines else 0)
        # A separator one can see stays behind the last word of a line.
        if not line or columns_of(longer + separator.strip()) <= room:
            line = longer
        else:
            lines.append(line + separator.strip())
            line = piece
    lines.append(line)
    broken: list[str] = []
    for whole in lines:
        lead = indent if broken else ""
        first = next(rows(whole, max(columns - columns_of(lead), 1)))
        broken.append(lead + first)
        rest = whole.expandtabs(8)[len(first) :]
        if rest:
            room = max(columns - columns_of(indent), 1)
            broken += (indent + row for row in rows(rest, room))
    return broken
