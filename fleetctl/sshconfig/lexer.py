"""
A line of ssh_config cut into its words, with the quoting of OpenSSH.

ssh has two tokenisers: one for the keyword and for the criteria of Match, another for all other
arguments. What the words mean is not known here.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

import re

#: What separates words in the eyes of the first tokeniser.
BLANKS = " \t\r\n"

_WORD_END = re.compile(r'[ \t\r\n"=]')
_GAP = re.compile(r"[ \t]+")
_SPECIAL = re.compile(r"[\"'\\#]")
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def lower_ascii(text: str) -> str:
    """Return the text with A to Z in lower case and every other character as it is."""
    return text.lower() if text.isascii() else text.translate(_UPPER)


def next_word(text: str) -> tuple[str, str | None]:
    """
    Cut the first word off, at blanks or at one ``=``; the way of keywords and of Match.

    A double quote ends a word only together with its partner: ``po"rt"`` is one word.

    Returns:
        The word, empty if the text starts with a blank or ``=``; and what follows, None if nothing
        does.

    Raises:
        ValueError: A quote is never closed.
    """
    stop = _WORD_END.search(text)
    if stop is None:
        return text, None
    at = stop.start()
    if text[at] == '"':
        end = text.find('"', at + 1)
        if end < 0:
            raise ValueError("invalid quotes; a double quote is not closed, or words touch it")
        return text[:at] + text[at + 1 : end], text[end + 1 :].lstrip(BLANKS)
    rest = text[at + 1 :].lstrip(BLANKS)
    if text[at] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(BLANKS)
    return text[:at], rest


def split_line(line: str) -> tuple[str, str] | None:
    """
    Cut a line into its keyword, in lower case, and the rest.

    Returns:
        None for a blank line or a comment. The rest may be empty and has no blanks around it.

    Raises:
        ValueError: The quote of a quoted keyword is never closed.
    """
    # ssh never strips the first character, so a form feed alone is a keyword to it.
    line = line[:1] + line[1:].rstrip(BLANKS + "\f")
    keyword, rest = next_word(line)
    if not keyword and rest is not None:
        keyword, rest = next_word(rest)
    if not keyword or keyword.startswith("#"):
        return None
    return lower_ascii(keyword), (rest or "").lstrip(BLANKS)


def split_words(text: str) -> tuple[str, ...]:
    r"""
    Split the arguments of a keyword.

    Single and double quotes group, anywhere in a word; a backslash escapes quotes, itself and,
    outside quotes, a space. ``#`` at the start of a word starts a comment.

    Raises:
        ValueError: A quote is never closed.
    """
    if _SPECIAL.search(text) is None:
        return tuple(word for word in _GAP.split(text) if word)
    words = []
    at, end = 0, len(text)
    while at < end:
        if text[at] in " \t":
            at += 1
        elif text[at] == "#":
            break
        else:
            word, at = _scan_word(text, at)
            words.append(word)
    return tuple(words)


def _scan_word(text: str, at: int) -> tuple[str, int]:
    letters = []
    quote = ""
    while at < len(text):
        letter = text[at]
        if letter == "\\" and text[at + 1 : at + 2] in _escapable(quote):
            at += 1
            letters.append(text[at])
        elif not quote and letter in " \t":
            break
        elif not quote and letter in "\"'":
            quote = letter
        elif letter == quote:
            quote = ""
        else:
            letters.append(letter)
        at += 1
    if quote:
        raise ValueError("invalid quotes; a double quote is not closed, or words touch it")
    return "".join(letters), at


def _escapable(quote: str) -> tuple[str, ...]:
    return ("'", '"', "\\") if quote else ("'", '"', "\\", " ")
