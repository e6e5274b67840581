"""
The ways in which programs write a secret: as it is, encoded, escaped and quoted.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

#: Shorter secrets are not looked for: masking every "1234" would tell more than it hides.
MIN_CHARACTERS = 6
#: Long forms are looked for in pieces of at least this many bytes, and fewer than twice as many.
PIECE_BYTES = 64
#: The longest that is looked for.
MAX_FORM_BYTES = 2 * PIECE_BYTES - 1

#: Of several lines each one that has so many characters is looked for by itself.
MIN_LINE_CHARACTERS = 16

_FRAME = "-----"  # around what is secret in PEM; source: RFC 7468 section 2
_BITS_OF_DIGIT = 6  # of base64
_NOT_PLAIN_IN_SHELL = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")


def forms_of(value: str) -> frozenset[bytes]:
    """
    Return what to look for: each of `MIN_CHARACTERS` to `MAX_FORM_BYTES` bytes.

    Base64 is there for each place in a group of three at which the secret may begin, without the
    digits that hold bits of what stands before or after it. A private key or another long text is
    there in pieces, so that a part of it is found too, and of several lines each long one, so that
    it is found with other things around it. White space may have become single spaces, as in an
    excerpt. Nothing for a value that is too short.

    Source: RFC 4648 sections 4, 5 and 8; RFC 3986 section 2.1; RFC 8259 section 7; POSIX.1-2017,
    Shell Command Language, 2.2.
    """
    if len(value) < MIN_CHARACTERS:
        return frozenset()
    found: set[bytes] = set()
    for text in _texts(value):
        found.update(_pieces(text.encode("utf-8", "surrogatepass")))
    raw = value.encode("utf-8", "surrogateescape" if _has_bytes(value) else "surrogatepass")
    for data in {raw, raw.replace(b"\n", b"\r\n")}:
        found.update(_pieces(data))
        found.update(_pieces(data.hex().encode()))
        found.update(_pieces(data.hex().upper().encode()))
        for digits in _base64_digits(data):
            found.update(_pieces(digits))
            found.update(_pieces(digits.translate(bytes.maketrans(b"+/", b"-_"))))
    for text in (" ".join(value.split()), *_lines(value)):
        found.update(_pieces(text.encode("utf-8", "surrogatepass")))
    return frozenset(form for form in found if len(form) >= MIN_CHARACTERS)


def _lines(value: str) -> Iterator[str]:
    if "\n" in value:
        for line in map(str.strip, value.split("\n")):
            if len(line) >= MIN_LINE_CHARACTERS and not line.startswith(_FRAME):
                yield line


def _texts(value: str) -> Iterator[str]:
    for text in {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
        yield text
        yield text.replace("/", "\\/")
    yield repr(value)[1:-1]
    import html  # which brings a large table; most runs know no secret

    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield value.replace("'", "'\\''")
    yield shlex.quote(value).strip("'")
    yield _NOT_PLAIN_IN_SHELL.sub(r"\\\1", value)
    as_bytes = value.encode("utf-8", "surrogatepass")
    for text in {quote(as_bytes, safe=""), quote(as_bytes), quote_plus(as_bytes)}:
        yield text
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)


def _base64_digits(data: bytes) -> Iterator[bytes]:
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data)
        first = -(-8 * before // _BITS_OF_DIGIT)
        yield digits[first : 8 * (before + len(data)) // _BITS_OF_DIGIT]


def _pieces(form: bytes) -> Iterator[bytes]:
    first = 0
    while len(form) - first > MAX_FORM_BYTES:
        yield form[first : first + PIECE_BYTES]
        first += PIECE_BYTES
    yield form[first:]


def _has_bytes(value: str) -> bool:
    """Tell whether bytes that are no UTF-8 stand in the text as `surrogateescape` has them."""
    return any("\udc80" <= character <= "\udcff" for character in value)
