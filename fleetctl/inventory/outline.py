"""
What is to be written as an inventory, and what its groups can say in place of their hosts.

Values are texts of YAML here, so that equal means written alike (``1`` is not ``true``). How the
whole is laid out in a file is `fleetctl.inventory.render`'s business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fleetctl.inventory.entries import ALL, UNGROUPED

#: ``vars`` or ``ssh``, and the name of the variable or setting.
Key = tuple[Literal["vars", "ssh"], str]


@dataclass(slots=True)
class Outline:
    """
    An inventory to be written.

    Attributes:
        hosts: What each says itself, in the order of first mention.
        groups: What each says itself; a group without anything to say may be missing.
        own_hosts: The hosts that each group names, ``all`` and ``ungrouped`` included.
        children: The child groups of each; ``all`` has at least those that nobody else has.
        ssh_configs: Paths of files of ssh_config to be read.
        notes: Comments at the top.
    """

    hosts: dict[str, dict[Key, str]] = field(default_factory=dict)
    groups: dict[str, dict[Key, str]] = field(default_factory=dict)
    own_hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    children: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ssh_configs: Sequence[str] = ()
    notes: Sequence[str] = ()


def gather(
    outline: Outline,
    members: Mapping[str, Sequence[str]],
    nearest_first: Mapping[str, Sequence[str]],
    *,
    hints: Mapping[str, Mapping[Key, str]] | None = None,
    joined: Collection[str] = (),
) -> None:
    """
    Let groups say what their hosts have in common, and the hosts only what differs.

    What a host has in the end stays the same: a group says only what all its hosts have in some
    form, and a host whose nearest group says something else keeps its own word.

    Args:
        outline: Changed.
        members: The hosts of each group, those of its children included.
        nearest_first: The groups of each host, the one whose word counts most first.
        hints: What each group said where this comes from; it says nothing else then. None: what
            most of its hosts have.
        joined: Settings of which the words of a host and of its groups add up.
    """
    _Gathering(outline, nearest_first, hints, joined).gather(members)


@dataclass(slots=True)
class _Gathering:
    """
    The work in progress.

    Attributes:
        said: For each host, by key: how near the group is that says something, and what.
    """

    outline: Outline
    nearest_first: Mapping[str, Sequence[str]]
    hints: Mapping[str, Mapping[Key, str]] | None
    joined: Collection[str]
    said: dict[str, dict[Key, tuple[int, str]]] = field(default_factory=dict)

    def gather(self, members: Mapping[str, Sequence[str]]) -> None:
        for group in self._from_above():
            hosts = members.get(group, ())
            hints = None if self.hints is None else self.hints.get(group, {})
            if hints is not None:
                self._repeat(group, hints, hosts)
            elif len(hosts) > 1 and group != UNGROUPED:
                self._find_common(group, hosts)
        for host, wanted in self.outline.hosts.items():
            for key in [key for key, text in wanted.items() if self._heard(host, key) == text]:
                del wanted[key]

    def _from_above(self) -> Iterator[str]:
        """Yield every group after all groups above it."""
        above = Counter(child for each in self.outline.children.values() for child in each)
        ready = [ALL]
        while ready:
            group = ready.pop()
            yield group
            for child in reversed(self.outline.children.get(group, ())):
                above[child] -= 1
                if not above[child]:
                    ready.append(child)

    def _repeat(self, group: str, hints: Mapping[Key, str], hosts: Sequence[str]) -> None:
        for key, text in hints.items():
            wanted = [self.outline.hosts[host].get(key) for host in hosts]
            is_joined = key[0] == "ssh" and key[1] in self.joined
            if all(each == text for each in wanted) or (None not in wanted and not is_joined):
                self._say(group, key, text, hosts)

    def _find_common(self, group: str, hosts: Sequence[str]) -> None:
        found = [self.outline.hosts[host] for host in hosts]
        for key in found[0]:
            wanted = [each.get(key) for each in found]
            if None in wanted:
                continue
            ((text, number),) = Counter(wanted).most_common(1)
            assert text is not None
            is_common = number == len(hosts) or (
                number * 2 > len(hosts) and key[1] not in self.joined
            )
            saved = sum(
                (self._heard(host, key) != want) - (text != want)
                for host, want in zip(hosts, wanted, strict=True)
            )
            if is_common and saved > 1:
                self._say(group, key, text, hosts)

    def _say(self, group: str, key: Key, text: str, hosts: Iterable[str]) -> None:
        self.outline.groups.setdefault(group, {})[key] = text
        for host in hosts:
            rank = self.nearest_first[host].index(group)
            said = self.said.setdefault(host, {})
            if key not in said or rank < said[key][0]:
                said[key] = (rank, text)

    def _heard(self, host: str, key: Key) -> str | None:
        """Return what the groups of a host say so far."""
        known = self.said.get(host, {}).get(key)
        return known[1] if known else None
