"""
What a program writes, as text to look for things in: decoded, without what only a screen needs.

The pieces in which the bytes come make no difference to the text.
"""

from __future__ import annotations

import codecs
import re

#: One whole escape sequence. Source: ECMA-35 section 13, ECMA-48 sections 5.4 and 5.6. The parts
#: are bounded, so that a host cannot make us wait for the end of one.
_SEQUENCE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|[\]PX^_][^\x07\x1b]{0,1024}(?:\x07|\x1b\\)"
    r"|[ -/]{1,8}[0-~]"
    r"|[0-OQ-WYZ\\`-~]"
    r")"
)
#: The beginning of one.
_BEGUN = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x07\x1b]{0,1024}\x1b?|[ -/]{0,8})")


class TerminalText:
    """
    Decodes one stream.

    Bytes that are not UTF-8 become U+FFFD, and CRLF becomes a newline.

    Args:
        strips_ansi: Leave escape sequences out: colours, cursor movements, titles.
    """

    def __init__(self, *, strips_ansi: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strips_ansi = strips_ansi
        self._sequence = ""  # the beginning of an escape sequence
        self._return = ""  # a carriage return that may belong to a newline

    def add(self, data: bytes, *, is_last: bool = False) -> str:
        """Return the text that is certain now; with the last bytes that is all of it."""
        text = self._decoder.decode(data, final=is_last)
        if self._strips_ansi:
            text = self._strip(self._sequence + text, is_last=is_last)
        text = self._return + text
        self._return = ""
        if text.endswith("\r") and not is_last:
            text, self._return = text[:-1], "\r"
        return text.replace("\r\n", "\n")

    def _strip(self, text: str, *, is_last: bool) -> str:
        self._sequence = ""
        kept, end = [], 0
        start = text.find("\x1b")
        while start >= 0:
            kept.append(text[end:start])
            end = start
            found = _SEQUENCE.match(text, start)
            if found is not None:
                end = found.end()
                start = text.find("\x1b", end)
            elif not is_last and _BEGUN.fullmatch(text, start):
                self._sequence = text[start:]
                return "".join(kept)
            else:
                start = text.find("\x1b", start + 1)
        kept.append(text[end:])
        return "".join(kept)
