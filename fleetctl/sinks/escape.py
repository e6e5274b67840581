"""
Text from hosts made safe to show: none of it can move the cursor, set a title or reorder a line.

What is escaped is written as Python and bash's ``$'…'`` write it: ``\\r``, ``\\x1b``, ``\\u202e``.
Backslashes are left alone, so escaping twice changes nothing. Byte-exact output is for JSON and
files, not for here.
"""

from __future__ import annotations

import re

# Newline and tab are the only controls that pass. U+0080-9F are the C1 controls; U+061C, U+200E-F,
# U+202A-E and U+2066-9 reorder text; U+2028-9 are line ends to some programs; lone surrogates are
# undecodable bytes (surrogateescape) or cannot be written as UTF-8 at all.
_UNSAFE_CLASS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
)
UNSAFE = re.compile(f"[{_UNSAFE_CLASS}]")
_UNSAFE_OR_CRLF = re.compile(f"\r\n|[{_UNSAFE_CLASS}]")
_SAFE_ASCII = bytes([0x09, 0x0A, *range(0x20, 0x7F)])


def visible(text: str) -> str:
    """
    Return the text with all that could deceive a reader or steer a terminal shown as escapes.

    CRLF becomes a plain newline; newline and tab stay. Idempotent; clean text is returned as it is.

    Source: ECMA-48 (C0, C1), Unicode UAX #9 (bidirectional controls).
    """
    if UNSAFE.search(text) is None:
        return text
    return _UNSAFE_OR_CRLF.sub(_shown, text)


def visible_bytes(content: bytes) -> str:
    """Return bytes as `visible` text; each byte that is not valid UTF-8 becomes ``\\xff``."""
    if not content.translate(None, _SAFE_ASCII):  # ten times faster than the regex on large output
        return content.decode("ascii")
    return visible(content.decode("utf-8", "surrogateescape"))


def visible_line(text: str) -> str:
    """Return the text as `visible`, in one physical line: newlines become ``\\n``."""
    return visible(text).replace("\n", "\\n")


def prefix_lines(prefix: str, content: bytes) -> str:
    """
    Return what a host wrote with the prefix before every physical line, ending with a newline.

    Empty content gives the empty string. The host cannot begin a line, so it cannot forge a prefix.
    """
    if not content:
        return ""
    text = visible_bytes(content).removesuffix("\n")
    return prefix + text.replace("\n", "\n" + prefix) + "\n"


def _shown(match: re.Match[str]) -> str:
    found = match[0]
    if found == "\r\n":
        return "\n"
    if found == "\r":
        return "\\r"
    code = ord(found)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: an undecodable byte
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
