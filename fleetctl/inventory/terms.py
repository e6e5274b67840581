"""
The terms of a pattern, as text: where ``web*:&eu:!canary`` is cut, and the lines of ``@FILE``.

What the terms mean is decided in `fleetctl.inventory.pattern`, which describes the grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fleetctl.inventory.names import is_ipv6
from fleetctl.inventory.source import read_bytes, shown_path
from fleetctl.model.errors import Problem, UsageError

_REGEX_TERM = re.compile(r"\s*[!&]?\s*~")
_PARTNER = {"[": "]", "(": ")", "{": "}"}


@dataclass(frozen=True, slots=True)
class Term:
    """
    One term of a pattern.

    Attributes:
        sign: ``!``, ``&`` or the empty string.
        text: Without the sign.
        column: Of the term in the pattern, from 1.
        file: Where the pattern is from, or None.
        line: Of the file, from 1, or None.
    """

    sign: str
    text: str
    column: int
    file: str | None = None
    line: int | None = None


def read_patterns(path: Path) -> list[Term]:
    """
    Return the terms of a file: a pattern a line, blank lines and those that begin with # aside.

    Raises:
        UsageError: It cannot be read, says nothing, or has lines that are no patterns.
    """
    file = shown_path(path)
    try:
        lines = read_bytes(path, file).decode().splitlines()
    except UnicodeDecodeError:
        raise UsageError("not UTF-8 text", file=file) from None
    terms: list[Term] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                terms += parse_pattern(line, file, number)
            except UsageError as error:
                problems += error.problems
    if problems:
        raise UsageError(problems=problems)
    if not terms:
        raise UsageError("the file names no hosts", file=file)
    return terms


def parse_pattern(text: str, file: str | None = None, line: int | None = None) -> list[Term]:
    """
    Split a pattern into terms.

    Args:
        text: The pattern.
        file: What to call it in messages.
        line: Of the file, if it is one.

    Raises:
        UsageError: An empty term or a bracket without its partner.
    """
    if not text.strip():
        raise UsageError(
            "the pattern is empty", file=file, line=line, hint='"all" means every host'
        )
    # An IPv6 address is full of colons, so only commas can separate it from what is beside it.
    addressed = any(is_ipv6(part.strip()) for part in re.split("[,!&^]", text))
    terms = []
    for start, piece in _cut(text, "," if addressed else ",:", file, line):
        term = piece.strip()
        column = start + len(piece) - len(piece.lstrip()) + 1
        sign = term[:1] if term[:1] in ("!", "&") else ""
        body = term[len(sign) :].strip()
        if not body:
            what = f'nothing after "{sign}"' if sign else "an empty term"
            raise UsageError(
                f'pattern "{text}": {what} at column {column}',
                file=file,
                line=line,
                hint="separate IPv6 addresses with commas"
                if "::" in text
                else "is a variable empty? name the hosts, or take the separator out",
            )
        terms.append(Term(sign, body, column, file, line))
    return terms


def _cut(text: str, separators: str, file: str | None, line: int | None) -> list[tuple[int, str]]:
    """Split at separators outside brackets; return each piece and the index of its start."""
    pieces: list[tuple[int, str]] = []
    start = at = 0
    open_at: list[int] = []
    regex = _REGEX_TERM.match(text) is not None
    while at < len(text):
        character = text[at]
        if regex and character == "\\":
            at += 1
        elif open_at and character == _PARTNER[text[open_at[-1]]]:
            open_at.pop()
        elif character == "[" or (regex and character in "({"):
            # In a class of characters brackets mean themselves.
            if not open_at or text[open_at[-1]] != "[":
                open_at.append(at)
        elif character in separators and not open_at:
            pieces.append((start, text[start:at]))
            start = at + 1
            regex = _REGEX_TERM.match(text, start) is not None
        elif character == "]" and not regex:
            raise _unpaired(text, at, file, line)
        at += 1
    if open_at:
        raise _unpaired(text, open_at[-1], file, line)
    pieces.append((start, text[start:]))
    return pieces


def _unpaired(text: str, at: int, file: str | None, line: int | None) -> UsageError:
    message = f'pattern "{text}": the "{text[at]}" at column {at + 1} has no partner'
    return UsageError(message, file=file, line=line)


def split_operands(term: Term) -> list[tuple[str, str]]:
    """Split a term at the operators outside brackets; the first operand has none."""
    found = []
    operator, start, in_bracket = "", 0, False
    for at, character in enumerate(f"{term.text}!"):
        if character in "[]":
            in_bracket = character == "["
        elif character in "!&^" and not in_bracket:
            text = term.text[start:at].strip()
            if not text:
                raise UsageError(
                    f'"{term.text}": a host or group is missing at column {term.column + start}'
                )
            found.append((operator, text))
            operator, start = character, at + 1
    return found
