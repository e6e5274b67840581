"""
Which entries a name can need, without trying the patterns of them all.

A pattern without wildcards is looked up whole; one with wildcards by what stands before its first,
behind its last, or between two. What an index returns may be too much, never too little.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["exact", "prefix", "suffix", "infix"]
#: A part of a name and where it stands.
Key: TypeAlias = tuple[Kind, str]

#: What stands between wildcards is cut to one of these lengths, so that there are few to look for.
_INFIX_LENGTHS = (16, 12, 8, 6, 4, 3, 2, 1)
#: Of a longer text between wildcards only the start is considered.
_MOST_INFIXES = 64


@dataclass(frozen=True, slots=True)
class Index:
    """
    Numbers of entries by what a name is, starts with, ends with and has in it.

    Attributes:
        always: For every name.
        exact: By whole name.
        prefixes: By the start of the name.
        suffixes: By its end.
        prefix_lengths: Lengths of the keys of ``prefixes``.
        suffix_lengths: Lengths of the keys of ``suffixes``.
        infixes: By any part of it.
        infix_lengths: Lengths of the keys of ``infixes``.
    """

    always: tuple[int, ...]
    exact: Mapping[str, Sequence[int]]
    prefixes: Mapping[str, Sequence[int]]
    suffixes: Mapping[str, Sequence[int]]
    prefix_lengths: tuple[int, ...]
    suffix_lengths: tuple[int, ...]
    infixes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    infix_lengths: tuple[int, ...] = ()

    def candidates(self, name: str) -> set[int]:
        """Return the numbers of the entries to look at; ``name`` as octets."""
        found = set(self.always)
        found.update(self.exact.get(name, ()))
        for length in _up_to(len(name), self.prefix_lengths):
            found.update(self.prefixes.get(name[:length], ()))
        for length in _up_to(len(name), self.suffix_lengths):
            found.update(self.suffixes.get(name[-length:], ()))
        for length in _up_to(len(name), self.infix_lengths):
            for start in range(len(name) - length + 1):
                numbers = self.infixes.get(name[start : start + length])
                if numbers is not None:
                    found.update(numbers)
        return found


@dataclass(slots=True)
class Indexer:
    """
    Makes an index in two rounds: patterns are counted, then added by their rarest part.

    Attributes:
        counts: How often each part was counted.
        entries: Numbers by part.
        always: Numbers of entries without a pattern.
    """

    counts: Counter[Key] = field(default_factory=Counter)
    entries: dict[Key, list[int]] = field(default_factory=dict)
    always: list[int] = field(default_factory=list)

    def count(self, patterns: Iterable[str]) -> None:
        """Note the parts of the patterns, given as octets, of one entry."""
        for pattern in patterns:
            self.counts.update(_keys(pattern))

    def cost(self, patterns: Iterable[str]) -> int | None:
        """
        Return how many entries share the rarest parts, which a name will have looked at in vain.

        None if a pattern has no part to look up.
        """
        highest = 0
        for pattern in patterns:
            key = self._rarest(pattern)
            if key is None:
                return None
            highest = max(highest, self.counts[key])
        return highest

    def add(self, number: int, patterns: Iterable[str] | None) -> None:
        """Add an entry that needs one of the patterns to match; None: that is always needed."""
        keys = None if patterns is None else [self._rarest(pattern) for pattern in patterns]
        if keys is None or None in keys:
            self.always.append(number)
            return
        for key in dict.fromkeys(key for key in keys if key is not None):
            self.entries.setdefault(key, []).append(number)

    def _rarest(self, pattern: str) -> Key | None:
        return min(_keys(pattern), key=lambda key: self.counts[key], default=None)

    def index(self) -> Index:
        """Return what was added."""
        tables: dict[Kind, dict[str, Sequence[int]]] = {
            "exact": {},
            "prefix": {},
            "suffix": {},
            "infix": {},
        }
        for (kind, text), numbers in self.entries.items():
            tables[kind][text] = tuple(numbers)
        return Index(
            always=tuple(self.always),
            exact=tables["exact"],
            prefixes=tables["prefix"],
            suffixes=tables["suffix"],
            prefix_lengths=_lengths(tables["prefix"]),
            suffix_lengths=_lengths(tables["suffix"]),
            infixes=tables["infix"],
            infix_lengths=_lengths(tables["infix"]),
        )


def _up_to(most: int, lengths: tuple[int, ...]) -> tuple[int, ...]:
    return lengths if not lengths or lengths[-1] <= most else lengths[: bisect(lengths, most)]


def _lengths(table: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted({len(key) for key in table}))


def _keys(pattern: str) -> list[Key]:
    """Return the parts that a name must have to match, the quickest to look up first."""
    first, *others = re.split(r"[*?]", pattern)
    if not others:
        return [("exact", pattern)]
    *middle, last = others
    keys: list[Key] = []
    if first:
        keys.append(("prefix", first))
    if last:
        keys.append(("suffix", last))
    for part in middle:
        length = next((n for n in _INFIX_LENGTHS if n <= len(part)), 0)
        starts = range(min(len(part) - length + 1, _MOST_INFIXES)) if length else ()
        keys.extend(("infix", part[start : start + length]) for start in starts)
    return keys
