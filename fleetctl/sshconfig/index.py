"""
Which segments of a configuration a host can need, without trying every Host line.

A pattern without wildcards is looked up whole, one with wildcards by what stands before its first
or behind its last. What an index returns may be too much, never too little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleetctl.sshconfig.match import HostCondition, MatchCondition


@dataclass(frozen=True, slots=True)
class Index:
    """
    Numbers of segments by what the name of a host is, starts with and ends with.

    Attributes:
        always: For every host.
        exact: By whole name.
        prefixes: By the start of the name.
        suffixes: By its end.
        prefix_lengths: Lengths of the keys of ``prefixes``.
        suffix_lengths: Lengths of the keys of ``suffixes``.
    """

    always: tuple[int, ...]
    exact: dict[str, list[int]]
    prefixes: dict[str, list[int]]
    suffixes: dict[str, list[int]]
    prefix_lengths: tuple[int, ...]
    suffix_lengths: tuple[int, ...]

    @classmethod
    def build(cls, conditions: Iterable[HostCondition | MatchCondition | None]) -> Index:
        """
        Make an index.

        Args:
            conditions: Of each segment the condition it directly stands behind, or None.
        """
        always: list[int] = []
        exact: dict[str, list[int]] = {}
        prefixes: dict[str, list[int]] = {}
        suffixes: dict[str, list[int]] = {}
        for number, condition in enumerate(conditions):
            if not isinstance(condition, HostCondition):
                always.append(number)
                continue
            for is_negated, pattern, _ in condition.patterns:
                if is_negated:
                    continue
                before, after = _fixed_ends(pattern)
                if before == pattern:
                    exact.setdefault(pattern, []).append(number)
                elif before:
                    prefixes.setdefault(before, []).append(number)
                elif after:
                    suffixes.setdefault(after, []).append(number)
                else:
                    always.append(number)
        return cls(
            tuple(always),
            exact,
            prefixes,
            suffixes,
            tuple(sorted({len(key) for key in prefixes})),
            tuple(sorted({len(key) for key in suffixes})),
        )

    def candidates(self, host: str) -> list[int]:
        """Return the numbers of the segments to look at, in order; ``host`` as octets."""
        found = set(self.always)
        found.update(self.exact.get(host, ()))
        for length in self.prefix_lengths:
            found.update(self.prefixes.get(host[:length], ()))
        for length in self.suffix_lengths:
            found.update(self.suffixes.get(host[-length:], ()))
        return sorted(found)


def _fixed_ends(pattern: str) -> tuple[str, str]:
    """Return what stands before the first wildcard and behind the last."""
    stops = [at for at, letter in enumerate(pattern) if letter in "*?"]
    if not stops:
        return pattern, pattern
    return pattern[: stops[0]], pattern[stops[-1] + 1 :]
