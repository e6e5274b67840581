"""
Wildcard patterns (``*`` and ``?``) and comma-separated lists of them.

Which patterns apply to what is not known here.

Source: ssh_config(5), PATTERNS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
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
    return _compile(octets(pattern))


def _compile(pattern: str) -> Matcher:
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
    Patterns of which one must match, and none of the negated ones may.

    Attributes:
        patterns: Whether negated, and the pattern as `octets`, in the order written.
        names: Patterns without wildcards that are not negated.
        others: The other patterns that are not negated, compiled.
        refused_names: As ``names``, negated.
        refused_others: As ``others``, negated.
    """

    patterns: tuple[tuple[bool, str], ...]
    names: frozenset[str]
    others: tuple[Matcher, ...]
    refused_names: frozenset[str]
    refused_others: tuple[Matcher, ...]

    @classmethod
    def make(cls, patterns: Iterable[tuple[bool, str]]) -> PatternList:
        """Make a list of pairs: whether negated, and the pattern as `octets`."""
        kept = tuple(patterns)
        names, others = _sort(pattern for is_negated, pattern in kept if not is_negated)
        refused_names, refused_others = _sort(pattern for is_negated, pattern in kept if is_negated)
        return cls(kept, names, others, refused_names, refused_others)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The patterns that are not negated."""
        return tuple(pattern for is_negated, pattern in self.patterns if not is_negated)

    @property
    def matches_everything(self) -> bool:
        """Does it match whatever it is asked?"""
        is_open = any(not pattern.strip("*") for pattern in self.wanted if pattern)
        return is_open and not self.refused_names and not self.refused_others

    @property
    def matcher(self) -> Matcher:
        """What says the same as `matches`, and for a single pattern more quickly."""
        if len(self.patterns) == 1 and self.patterns[0][0] is False:
            return _compile(self.patterns[0][1])
        return self.matches

    def matches(self, text: str) -> bool:
        """Does a pattern match, and no negated one? ``text`` as `octets`."""
        if text not in self.names:
            for matches in self.others:
                if matches(text):
                    break
            else:
                return False
        if text in self.refused_names:
            return False
        return not (self.refused_others and any(matches(text) for matches in self.refused_others))

    def mentions(self, text: str) -> bool:
        """Does any pattern match, negated or not?"""
        if text in self.names or text in self.refused_names:
            return True
        return any(matches(text) for matches in (*self.others, *self.refused_others))


def _sort(patterns: Iterable[str]) -> tuple[frozenset[str], tuple[Matcher, ...]]:
    kept = dict.fromkeys(patterns)
    names = frozenset(pattern for pattern in kept if is_literal(pattern))
    return names, tuple(_compile(pattern) for pattern in kept if pattern not in names)


def parse_pattern_list(text: str, *, lower: bool = False) -> PatternList:
    """
    Parse a list of patterns.

    Args:
        text: Such as ``web*,!web3``.
        lower: Turn the patterns to lower case, for names that are compared without case.
    """
    parts: list[tuple[bool, str]] = []
    if lower:
        text = lower_ascii(text)
    for part in text.split(",") if text else ():
        pattern = octets(part.removeprefix("!"))
        if len(pattern) >= _LONGEST_IN_LIST:
            # ssh finds no match in such a list, whatever else is in it.
            parts.append((True, "*"))
            break
        parts.append((part.startswith("!"), pattern))
    if text.endswith(",") and parts and not parts[-1][0]:
        parts.pop()  # what follows the last comma is not an empty pattern
    return PatternList.make(parts)
