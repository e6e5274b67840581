"""
Terminal modes: what termios(3) calls them here, and their numbers on the wire.

Pure tables and conversions; nobody's terminal is touched.
"""

from __future__ import annotations

import termios
from collections.abc import Mapping
from typing import Any

#: As `termios.tcgetattr` returns them: four flag words, two speeds, the characters.
Attributes = list[Any]

_INPUT, _OUTPUT, _CONTROL, _LOCAL, _ISPEED, _OSPEED, _CHARACTERS = range(7)

#: Sent for a character that is turned off. Source: RFC 4254 section 8.
_OFF_ON_WIRE = 255
#: The same here: _POSIX_VDISABLE. Source: termios(3).
_OFF_HERE = b"\0" if termios.VMIN != 16 else b"\xff"  # the BSDs have VMIN at 16

TTY_OP_ISPEED = 128
TTY_OP_OSPEED = 129
#: A speed that every system has; nothing is as slow as that on a network.
USUAL_SPEED = 38400

#: Opcode -> name of the index of a special character.
_CHARACTERS_BY_OPCODE: Mapping[int, str] = {
    1: "VINTR",
    2: "VQUIT",
    3: "VERASE",
    4: "VKILL",
    5: "VEOF",
    6: "VEOL",
    7: "VEOL2",
    8: "VSTART",
    9: "VSTOP",
    10: "VSUSP",
    11: "VDSUSP",
    12: "VREPRINT",
    13: "VWERASE",
    14: "VLNEXT",
    17: "VSTATUS",
    18: "VDISCARD",
}

#: Opcode -> (which word, name of the flag).
_FLAGS_BY_OPCODE: Mapping[int, tuple[int, str]] = {
    30: (_INPUT, "IGNPAR"),
    31: (_INPUT, "PARMRK"),
    32: (_INPUT, "INPCK"),
    33: (_INPUT, "ISTRIP"),
    34: (_INPUT, "INLCR"),
    35: (_INPUT, "IGNCR"),
    36: (_INPUT, "ICRNL"),
    37: (_INPUT, "IUCLC"),
    38: (_INPUT, "IXON"),
    39: (_INPUT, "IXANY"),
    40: (_INPUT, "IXOFF"),
    41: (_INPUT, "IMAXBEL"),
    42: (_INPUT, "IUTF8"),
    50: (_LOCAL, "ISIG"),
    51: (_LOCAL, "ICANON"),
    52: (_LOCAL, "XCASE"),
    53: (_LOCAL, "ECHO"),
    54: (_LOCAL, "ECHOE"),
    55: (_LOCAL, "ECHOK"),
    56: (_LOCAL, "ECHONL"),
    57: (_LOCAL, "NOFLSH"),
    58: (_LOCAL, "TOSTOP"),
    59: (_LOCAL, "IEXTEN"),
    60: (_LOCAL, "ECHOCTL"),
    61: (_LOCAL, "ECHOKE"),
    62: (_LOCAL, "PENDIN"),
    70: (_OUTPUT, "OPOST"),
    71: (_OUTPUT, "OLCUC"),
    72: (_OUTPUT, "ONLCR"),
    73: (_OUTPUT, "OCRNL"),
    74: (_OUTPUT, "ONOCR"),
    75: (_OUTPUT, "ONLRET"),
    90: (_CONTROL, "CS7"),
    91: (_CONTROL, "CS8"),
    92: (_CONTROL, "PARENB"),
    93: (_CONTROL, "PARODD"),
}

#: Flags that Python's termios does not name. Source: Linux, asm-generic/termbits.h; macOS and the
#: BSDs, sys/termios.h (the same number).
_UNNAMED = {"IUTF8": 0x4000}


def encode_modes(attributes: Attributes) -> dict[int, int]:
    """
    Return opcode -> value of a terminal, in the order in which ssh sends them.

    What this system does not have is left out, so that the host's own value stands.

    Source: RFC 4254 section 8, RFC 8160 (IUTF8); OpenSSH, ttymodes.c (order, 255 for off).
    """
    modes = {
        TTY_OP_OSPEED: _SPEEDS.get(attributes[_OSPEED], USUAL_SPEED),
        TTY_OP_ISPEED: _SPEEDS.get(attributes[_ISPEED], USUAL_SPEED),
    }
    for opcode, name in _CHARACTERS_BY_OPCODE.items():
        index = getattr(termios, name, None)
        if index is not None:
            character = _as_bytes(attributes[_CHARACTERS][index])
            modes[opcode] = _OFF_ON_WIRE if character == _OFF_HERE else character[0]
    for opcode, (word, name) in _FLAGS_BY_OPCODE.items():
        flag = _flag(name)
        if flag is not None:
            modes[opcode] = int(attributes[word] & flag != 0)
    return modes


def apply_modes(attributes: Attributes, modes: Mapping[int, int]) -> Attributes:
    """
    Return a terminal's attributes with modes set, as a server does it.

    Opcodes that nobody here knows, and speeds, which a pseudo-terminal does not have, are skipped.
    """
    changed = [*attributes[:_CHARACTERS], list(attributes[_CHARACTERS])]
    for opcode, value in modes.items():
        if opcode in _CHARACTERS_BY_OPCODE:
            index = getattr(termios, _CHARACTERS_BY_OPCODE[opcode], None)
            if index is not None:
                character = _OFF_HERE if value == _OFF_ON_WIRE else bytes([value & 0xFF])
                changed[_CHARACTERS][index] = character
        elif opcode in _FLAGS_BY_OPCODE:
            word, name = _FLAGS_BY_OPCODE[opcode]
            flag = _flag(name) or 0
            changed[word] = changed[word] | flag if value else changed[word] & ~flag
    return changed


def raw_attributes(attributes: Attributes) -> Attributes:
    """
    Return a terminal's attributes with nothing done to what is typed or shown.

    Every key is one byte or several, at once and not echoed, Ctrl-C included.

    Source: OpenSSH, sshtty.c, enter_raw_mode.
    """
    raw = [*attributes[:_CHARACTERS], list(attributes[_CHARACTERS])]
    raw[_INPUT] |= termios.IGNPAR
    raw[_INPUT] &= ~_all("ISTRIP INLCR IGNCR ICRNL IXON IXANY IXOFF IUCLC")
    raw[_LOCAL] &= ~_all("ISIG ICANON ECHO ECHOE ECHOK ECHONL IEXTEN")
    raw[_OUTPUT] &= ~termios.OPOST
    raw[_CHARACTERS][termios.VMIN] = b"\x01"
    raw[_CHARACTERS][termios.VTIME] = b"\x00"
    return raw


def _all(names: str) -> int:
    flags = 0
    for name in names.split():
        flags |= _flag(name) or 0
    return flags


def _flag(name: str) -> int | None:
    """Return the bits of a flag, or None if this system does not have it."""
    return getattr(termios, name, _UNNAMED.get(name))


def _as_bytes(character: bytes | int) -> bytes:
    # VMIN and VTIME are numbers, and share their place with VEOF and VEOL on some systems.
    return bytes([character]) if isinstance(character, int) else character


#: Speed as termios has it -> bits per second.
_SPEEDS: Mapping[int, int] = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit()
}
