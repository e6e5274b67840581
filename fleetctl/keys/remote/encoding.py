"""
How bytes get into a program for ``sh``, and the checksum with which it sees that all arrived.

A shell drops or changes some bytes of here-documents, and several shells need room in ``/tmp`` for
them. What is here between single quotes is printable ASCII and newlines, whatever the bytes were;
``printf`` is built into most shells and makes them of it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

#: Characters of one argument of printf, about: some shells start a program for it.
_CHUNK = 4000
_PLAIN = re.compile(rb"[^\n\t -~]|['\\%]")


def quote(text: str) -> str:
    """Return the text as one word for a POSIX sh."""
    return "'" + text.replace("'", "'\\''") + "'"


def printing(name: str, data: bytes) -> str:
    """
    Return a function for ``sh`` that prints exactly these bytes.

    Source: POSIX.1-2017, printf, the format: ``%%`` and ``\\ddd``.
    """
    lines = "\n".join(f"printf '{chunk}'" for chunk in _chunks(data)) or ":"
    return f"{name}() {{\n{lines}\n}}\n"


def _chunks(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _CHUNK):
        text = _PLAIN.sub(_escaped, data[start : start + _CHUNK]).decode("ascii")
        # It would be taken for an option.
        yield "\\055" + text[1:] if text.startswith("-") else text


def _escaped(found: re.Match[bytes]) -> bytes:
    byte = found[0]
    return byte * 2 if byte in b"\\%" else b"\\%03o" % byte[0]


def cksum(data: bytes) -> int:
    """
    Return the checksum that ``cksum`` prints first.

    Source: POSIX.1-2017, cksum: CRC-32 of the bytes and of their number, most significant bit
    first.
    """
    size, length = len(data), bytearray()
    while size:
        length.append(size & 0xFF)
        size >>= 8
    # zlib's is the same polynomial with all bits the other way round, and starts with ones.
    flipped = (data + bytes(length)).translate(_FLIPPED)
    return int(f"{zlib.crc32(flipped, 0xFFFFFFFF):032b}"[::-1], 2)


_FLIPPED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
