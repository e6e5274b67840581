"""
Which segments of a configuration a host can need, by all that conditions ask about it.

Of the criteria of a Match line, and of the blocks round an included file, the one that fewest other
lines share is looked up; the others are asked only where that one leads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fleetctl.sshconfig.index import Index, Indexer
from fleetctl.sshconfig.match import HostCondition, MatchCondition

Condition: TypeAlias = HostCondition | MatchCondition
#: What a condition compares with patterns, and the patterns of which one must match.
_Way: TypeAlias = tuple[str, tuple[str, ...]]

#: What Host compares: the name as given. The others are names of criteria.
_NAME = "name"
_COMPARED = (_NAME, "originalhost", "host", "user", "tagged")


@dataclass(frozen=True, slots=True)
class Routes:
    """
    Numbers of segments by what Match compares; those of Host have an index of their own.

    Attributes:
        original_host: By the name as given, in lower case; each None if there are none.
        host: By the name to be dialled as known so far.
        user: By the remote user as known so far.
        tag: By the value of Tag.
        asking_host: Of all that ask for the name to be dialled.
    """

    original_host: Index | None
    host: Index | None
    user: Index | None
    tag: Index | None
    asking_host: tuple[int, ...]

    @property
    def follows_names(self) -> bool:
        """Can more be found when HostName, User or Tag becomes known?"""
        return not (self.host is None and self.user is None and self.tag is None)


def build_routes(chains: Sequence[Sequence[Condition]]) -> tuple[Index, Routes]:
    """
    Make the index of Host lines, which has what every host needs, and that of all others.

    Args:
        chains: Of each segment the conditions that must all apply, from inside out.
    """
    indexers = {name: Indexer() for name in _COMPARED}
    ways = [_ways(chain) for chain in chains]
    for found in ways:
        for name, patterns in found or ():
            indexers[name].count(patterns)
    for number, found in enumerate(ways):
        if found is not None:
            best = _best(found, indexers) or (_NAME, None)
            indexers[best[0]].add(number, best[1])
    asking_host = tuple(n for n, chain in enumerate(chains) if any(map(_asks_host, chain)))
    made = {name: indexer.index() for name, indexer in indexers.items() if indexer.entries}
    host = made.get("host") or (Indexer().index() if asking_host else None)
    routes = Routes(
        made.get("originalhost"), host, made.get("user"), made.get("tagged"), asking_host
    )
    return indexers[_NAME].index(), routes


def _best(ways: Sequence[_Way], indexers: Mapping[str, Indexer]) -> _Way | None:
    best: _Way | None = None
    lowest: int | None = None
    for name, patterns in ways:
        cost = indexers[name].cost(patterns)
        if cost is not None and (lowest is None or cost < lowest):
            best, lowest = (name, patterns), cost
    return best


def _asks_host(condition: Condition) -> bool:
    return isinstance(condition, MatchCondition) and condition.asks("host")


def _ways(chain: Sequence[Condition]) -> list[_Way] | None:
    """Return what can be looked up, or None if the conditions can never apply together."""
    ways: list[_Way] = []
    for condition in chain:
        if isinstance(condition, HostCondition):
            ways.append((_NAME, condition.patterns.wanted))
            continue
        for criterion in condition.criteria:
            if criterion.name == "exec":
                break  # a command is run, whatever stands behind it
            if criterion.constant is False:
                return None
            if criterion.patterns is not None and not criterion.is_negated:
                ways.append((criterion.name, criterion.patterns.wanted))
    return ways
