"""
What is typed for us and not for the host: the escape character and a key after a newline.

Bytes in, bytes and wishes out; what a wish means is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

_NEWLINES = b"\r\n"
_CTRL_Z = 0x1A


class Wish(Enum):
    """What somebody wants of us."""

    LEAVE = "leave"
    SUSPEND = "suspend"
    HELP = "help"


_WISHES = {ord("."): Wish.LEAVE, _CTRL_Z: Wish.SUSPEND, ord("?"): Wish.HELP}


class Escapes:
    """
    Finds escapes in what is typed, however it is cut into pieces.

    An escape begins at the start of a line only, the first line included. Twice the character is
    the character, and with any other key both are typed.

    Source: ssh(1), ESCAPE CHARACTERS; OpenSSH, clientloop.c, process_escapes.

    Args:
        character: The escape character's code; None if everything is for the host.
    """

    def __init__(self, character: int | None) -> None:
        self._character = character
        self._is_at_start = True
        self._is_pending = False

    def feed(self, typed: bytes) -> Iterator[bytes | Wish]:
        """Yield what is for the host and what is for us, in order; no empty pieces."""
        if self._character is None:
            if typed:
                yield typed
            return
        for_host = bytearray()
        for key in typed:
            if self._is_pending:
                self._is_pending = False
                wish = _WISHES.get(key)
                if wish is not None:
                    if for_host:
                        yield bytes(for_host)
                        for_host.clear()
                    yield wish
                    continue
                if key != self._character:
                    for_host.append(self._character)
            elif self._is_at_start and key == self._character:
                self._is_pending = True
                continue
            self._is_at_start = key in _NEWLINES
            for_host.append(key)
        if for_host:
            yield bytes(for_host)


def escape_help(character: int) -> str:
    """Return what is shown for the help escape; lines end with CR LF, for a raw terminal."""
    shown = show_key(character)
    lines = (
        "After a newline:",
        f"  {shown}.   leave, and close the connection",
        f"  {shown}^Z  suspend fleetctl; fg comes back",
        f"  {shown}{shown}   send {shown}",
        f"  {shown}?   show this",
    )
    return "".join(f"{line}\r\n" for line in lines)


def show_key(character: int) -> str:
    """Return a key as it is written: ``~``, or ``^]`` for a control character."""
    return chr(character) if 32 <= character < 127 else f"^{chr(character ^ 64)}"
