"""
Wildcard patterns (``*`` and ``?``) and comma-separated lists of them.

Which patterns apply to what is not known here.

Source: ssh_config(5), PATTERNS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fleetctl.sshconfig.lexer import lower_ascii

Matcher = Callable[[str], object]

#: ssh copies each pattern of a list into a buffer and gives up if it does not fit.
_LONGEST_IN_LIST = 1023


def octets(text: str) -> str:
    """Return the text with one character per byte: ``?`` stands for a byte."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def is_literal(pattern: str) -> bool:
    """Has the pattern no wildcard?"""
    return "*" not in pattern and "?" not in pattern


def compile_pattern(pattern: str) -> Matcher:
    """
    Return a callable that says whether a text, given as `octets`, matches as a whole.

    Time is bounded by the product of both lengths: each star is settled at the first place where
    what follows it fits, which for these patterns loses no match.
    """
    pattern = octets(pattern)
    if is_literal(pattern):
        return pattern.__eq__
    first, *others = [re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", pattern)]
    if not others:
        expression = first
    else:
        *middle, last = others
        expression = first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"
    return re.compile(expression, re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class PatternList:
    """
    Patterns separated by commas; ``!`` before one negates it.

    Attributes:
        parts: Whether negated, and the pattern.
    """

    parts: tuple[tuple[bool, Matcher], ...]

    @property
    def is_single(self) -> bool:
        """Is it one pattern, not negated?"""
        return len(self.parts) == 1 and not self.parts[0][0]

    def matches(self, text: str) -> bool:
        """Does a pattern match, and no negated one? ``text`` as `octets`."""
        is_found = False
        for is_negated, matches in self.parts:
            if matches(text):
                if is_negated:
                    return False
                is_found = True
        return is_found

    def mentions(self, text: str) -> bool:
        """Does any pattern match, negated or not?"""
        return any(matches(text) for _, matches in self.parts)


def parse_pattern_list(text: str, *, lower: bool = False) -> PatternList:
    """
    Parse a list of patterns.

    Args:
        text: Such as ``web*,!web3``.
        lower: Turn the patterns to lower case, for names that are compared without case.
    """
    parts: list[tuple[bool, Matcher]] = []
    if lower:
        text = lower_ascii(text)
    for part in text.split(",") if text else ():
        pattern = part.removeprefix("!")
        if len(octets(pattern)) >= _LONGEST_IN_LIST:
            # From here on nothing matches, unless a negated pattern before this one did.
            parts.append((True, _always))
            break
        parts.append((part.startswith("!"), compile_pattern(pattern)))
    if text.endswith(",") and parts and not parts[-1][0]:
        parts.pop()  # what follows the last comma is not an empty pattern
    return PatternList(tuple(parts))


def _always(_: str) -> bool:
    return True
