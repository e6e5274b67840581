"""
How groups nest: who is above whom, how deep, and which hosts a group has.

What groups pass on to their hosts is `fleetctl.inventory.resolve`'s business.
"""

from __future__ import annotations

import difflib
import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from fleetctl.inventory.entries import ALL, UNGROUPED, GroupEntry
from fleetctl.model.errors import Problem, UsageError


@dataclass(frozen=True, slots=True)
class GroupGraph:
    """
    The groups of one inventory, ``all`` and ``ungrouped`` included.

    Attributes:
        entries: By name, in the order of first mention.
        children: The child groups of each, in order; those of ``all`` begin with ``ungrouped``
            and end with the groups that nobody names as a child.
        ancestors: Of each group itself and every group above it.
        depth: Longest way from ``all``, which has 0.
    """

    entries: Mapping[str, GroupEntry]
    children: Mapping[str, tuple[str, ...]]
    ancestors: Mapping[str, frozenset[str]]
    depth: Mapping[str, int]

    def nearest_first(self, direct: Iterable[str]) -> tuple[str, ...]:
        """
        Return the given groups and all above them, the one whose word counts most first.

        A deeper group comes before one less deep, then the higher ``ansible_group_priority``,
        then the later name; ``all`` is last.

        Source: ansible-core, `ansible.inventory.group.Group` and ``sort_groups``.
        """
        found = frozenset((ALL,)).union(*(self.ancestors[name] for name in direct))
        return tuple(sorted(found, key=self._rank, reverse=True))

    def _rank(self, name: str) -> tuple[int, int, str]:
        priority = self.entries[name].contents.priority
        return self.depth[name], 1 if priority is None else priority, name

    def members(self, name: str) -> tuple[str, ...]:
        """Return the hosts of a group and of the groups below it, nearer ones first, each once."""
        hosts: dict[str, None] = {}
        seen = {name: None}
        level = [name]
        while level:
            for group in level:
                hosts.update(self.entries[group].hosts)
            below = dict.fromkeys(child for group in level for child in self.children[group])
            level = [child for child in below if child not in seen]
            seen.update(below)
        return tuple(hosts)


def build_graph(entries: Mapping[str, GroupEntry]) -> GroupGraph:
    """
    Link the groups; those nobody has as a child are below ``all``.

    Args:
        entries: With ``all`` and ``ungrouped``.

    Raises:
        UsageError: Groups form a cycle.
    """
    parents: dict[str, set[str]] = {name: set() for name in entries}
    for name, entry in entries.items():
        for child in entry.children:
            parents[child].add(name)
    children = {name: tuple(entry.children) for name, entry in entries.items()}
    orphans = [name for name, above in parents.items() if not above and name != ALL]
    children[ALL] = tuple(dict.fromkeys((UNGROUPED, *children[ALL], *orphans)))
    for name in children[ALL]:
        parents[name].add(ALL)
    try:
        order = list(graphlib.TopologicalSorter(parents).static_order())
    except graphlib.CycleError as error:
        raise UsageError(problems=[_explain_cycle(entries, error.args[1])]) from None
    ancestors: dict[str, frozenset[str]] = {}
    depth: dict[str, int] = {}
    for name in order:
        ancestors[name] = frozenset((name,)).union(*(ancestors[p] for p in parents[name]))
        depth[name] = max((depth[p] + 1 for p in parents[name]), default=0)
    return GroupGraph(entries, children, ancestors, depth)


def check_names(graph: GroupGraph, hosts: Iterable[str]) -> list[Problem]:
    """Return warnings about groups that are probably not what was meant."""
    warnings = []
    host_names = frozenset(hosts)
    used = [name for name, entry in graph.entries.items() if entry.hosts or entry.children]
    for name, entry in graph.entries.items():
        if name in host_names:
            message = f'"{name}" is a group and a host; in patterns @{name} is the group'
            warnings.append(entry.place.problem(message))
        elif not entry.hosts and not entry.children and name not in (ALL, UNGROUPED):
            near = difflib.get_close_matches(name, used, n=1, cutoff=0.65)
            if near:
                hint = f"did you mean {near[0]}?"
                warnings.append(entry.place.problem(f'group "{name}" has no hosts', hint=hint))
    return warnings


def _explain_cycle(entries: Mapping[str, GroupEntry], cycle: list[str]) -> Problem:
    """
    Say who is whose child, ending with the mention that comes last in the file.

    Args:
        entries: All groups.
        cycle: Each a child of the one before it; first and last are the same.
    """
    links = list(pairwise(cycle))
    places = [entries[parent].children[child] for parent, child in links]
    last = max(range(len(links)), key=lambda i: (places[i].line or 0, places[i].column or 0))
    names = [links[(last + 1 + i) % len(links)][0] for i in range(len(links))]
    shown = " -> ".join([*names, names[0]])
    hint = f'take "{names[0]}" out of the children of "{names[-1]}"'
    return places[last].problem(f"groups form a cycle: {shown}", hint=hint)
