"""
Excerpts of what others wrote: bounded, and marked where something was left out.

Half of a secret is no secret that anybody would find. So whatever is cut before known secrets were
taken out of it has a `CUT` in that place: `fleetctl.sinks.redact` looks beside it for parts of
secrets. Besides, nothing but white space may be changed in an excerpt.
"""

from __future__ import annotations

#: Stands for what was left out: U+2026, horizontal ellipsis.
CUT = "…"
_CUT = CUT.encode()

#: Of one character. Source: RFC 3629 section 3.
_MAX_CHARACTER_BYTES = 4


def beginning(text: str, limit: int) -> str:
    """Return the first of a text, at most so many characters with the `CUT`."""
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def end(text: str, limit: int) -> str:
    """Return the last of a text, at most so many characters with the `CUT`."""
    return text if len(text) <= limit else CUT + text[len(text) - limit + len(CUT) :]


def first_bytes(data: bytes, limit: int) -> bytes:
    """Return the first of a text in UTF-8, at most so many bytes with the `CUT`."""
    if len(data) <= limit:
        return data
    place = limit - len(_CUT)
    while place > max(0, limit - len(_CUT) - _MAX_CHARACTER_BYTES) and _continues(data[place]):
        place -= 1
    return data[:place] + _CUT


def last_bytes(data: bytes, limit: int) -> bytes:
    """Return the last of a text in UTF-8, at most so many bytes with the `CUT`."""
    if len(data) <= limit:
        return data
    place = len(data) - limit + len(_CUT)
    last = min(len(data), place + _MAX_CHARACTER_BYTES)
    while place < last and _continues(data[place]):
        place += 1
    return _CUT + data[place:]


def _continues(byte: int) -> bool:
    """Tell whether a byte is in the middle of a character."""
    return byte & 0xC0 == 0x80
