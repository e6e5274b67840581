"""
An `Outline` as a file in our own form of YAML, laid out to be read by people.

::

    all:
      ssh: {User: deploy}
      children:
        web:
          vars: {tier: front}
          hosts:
            web[1-20]:
            web21: {ssh: {HostName: 10.0.3.21}}

Hosts that stand side by side and say the same are folded, if their order allows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from fleetctl.inventory.entries import ALL, UNGROUPED, one_line
from fleetctl.inventory.names import parse_address, write_out
from fleetctl.inventory.outline import Key, Outline
from fleetctl.inventory.yaml_text import write_name, write_text
from fleetctl.model.errors import Problem
from fleetctl.model.nodeset import fold

#: Keys of a group, which no host and no group can be called.
RESERVED_NAMES = frozenset({"children", "hosts", "ssh", "vars"})

_WIDTH = 100
_STEP = "  "
#: Groups nested deeper are described beside ``all``: a reader may limit how deep YAML is.
_DEEPEST = 16
_VAULTED = '!vault "'


@dataclass(frozen=True, slots=True)
class Written:
    """
    The text of an inventory, and what it could not say.

    Attributes:
        text: YAML.
        notes: What was left out, and why.
        hosts: How many there are.
    """

    text: str
    notes: tuple[Problem, ...]
    hosts: int


def render(outline: Outline) -> str:
    """Return the text of the file, ended by a newline."""
    lines = [f"# {one_line(note)}" for note in dict.fromkeys(outline.notes)]
    if outline.ssh_configs:
        paths = ", ".join(map(json.dumps, outline.ssh_configs))
        lines.append(f"ssh_config: [{paths}]")
    lines += _Renderer(outline).lines()
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class _Renderer:
    """
    One file being written.

    Attributes:
        written: Hosts and groups that were described already, and are only named from then on.
        deferred: Groups that are to be described later.
    """

    outline: Outline
    written: set[tuple[str, str]] = field(default_factory=set)
    deferred: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"{ALL}:"
        yield from self._group(ALL, 1)
        while self.deferred:
            name = self.deferred.pop(0)
            yield f"{write_name(name)}:"
            yield from self._group(name, 1)

    def _group(self, name: str, depth: int) -> Iterator[str]:
        """Yield what stands below the name of a group."""
        indent = _STEP * depth
        yield from _said(self.outline.groups.get(name, {}), indent)
        hosts = self.outline.own_hosts.get(name, ())
        children = self._children(name)
        if hosts:
            yield f"{indent}hosts:"
            yield from self._hosts(hosts, indent + _STEP)
        elif name == ALL and not children:
            yield f"{indent}hosts: {{}}"
        if children:
            yield f"{indent}children:"
        for child in children:
            yield from self._child(child, depth + 1)

    def _children(self, name: str) -> Sequence[str]:
        """Return the child groups; ``ungrouped`` only if it says what follows from nothing else."""
        found = self.outline.children.get(name, ())
        if name != ALL or self.outline.groups.get(UNGROUPED):
            return found
        ungrouped = self.outline.own_hosts.get(UNGROUPED, ())
        named = set(ungrouped)
        if [host for host in self.outline.own_hosts.get(ALL, ()) if host in named] != [*ungrouped]:
            return found
        return [child for child in found if child != UNGROUPED]

    def _child(self, name: str, depth: int) -> Iterator[str]:
        head = f"{_STEP * depth}{write_name(name)}:"
        body: list[str] = []
        if ("group", name) not in self.written:
            self.written.add(("group", name))
            if depth < _DEEPEST:
                body += self._group(name, depth + 1)
            else:
                self.deferred.append(name)
        yield head
        yield from body

    def _hosts(self, names: Iterable[str], indent: str) -> Iterator[str]:
        found = [(name, self._wanted(name)) for name in names]
        for wanted, same in groupby(found, key=lambda each: each[1]):
            for name in fold_in_order([each[0] for each in same]):
                yield from _host(f"{indent}{write_name(name)}:", wanted, indent)

    def _wanted(self, name: str) -> Mapping[Key, str]:
        """Return what a host says, the first time that it is named."""
        if ("host", name) in self.written:
            return {}
        self.written.add(("host", name))
        return self.outline.hosts[name]


def fold_in_order(names: Sequence[str]) -> Sequence[str]:
    """Return terms such as ``web[1-20]`` that a reader writes out as the same names in order."""
    if len(names) < 2:
        return names
    terms = _terms(fold(names))
    try:
        written_out = [name for term in terms for name in write_out(parse_address(term))]
    except ValueError:
        return names
    return terms if written_out == list(names) else names


def _terms(folded: str) -> list[str]:
    """Split at the commas outside brackets."""
    terms, inside = [""], False
    for character in folded:
        if character == "," and not inside:
            terms.append("")
            continue
        inside = character == "[" or (inside and character != "]")
        terms[-1] += character
    return terms


def _parts(wanted: Mapping[Key, str]) -> dict[str, dict[str, str]]:
    """Return the pairs below ``vars`` and below ``ssh``, in this order; empty ones left out."""
    parts: dict[str, dict[str, str]] = {"vars": {}, "ssh": {}}
    for (part, name), text in wanted.items():
        parts[part][name] = text
    return {part: pairs for part, pairs in parts.items() if pairs}


def _flow(pairs: Mapping[str, str]) -> str:
    inside = ", ".join(f"{write_text(name)}: {text}" for name, text in pairs.items())
    return f"{{{inside}}}"


def _host(head: str, wanted: Mapping[Key, str], indent: str) -> Iterator[str]:
    """Yield a host and what it says, on one line if it fits."""
    if not wanted:
        yield head
        return
    flow = ", ".join(f"{part}: {_flow(pairs)}" for part, pairs in _parts(wanted).items())
    line = f"{head} {{{flow}}}"
    if len(line) <= _WIDTH and _VAULTED not in line:
        yield line
        return
    yield head
    yield from _said(wanted, indent + _STEP)


def _said(wanted: Mapping[Key, str], indent: str) -> Iterator[str]:
    """Yield ``vars:`` and ``ssh:``, each on one line if it fits."""
    for part, pairs in _parts(wanted).items():
        line = f"{indent}{part}: {_flow(pairs)}"
        if len(line) <= _WIDTH and _VAULTED not in line:
            yield line
            continue
        yield f"{indent}{part}:"
        for name, text in pairs.items():
            yield from _pair(f"{indent}{_STEP}{write_text(name)}:", text, indent)


def _pair(head: str, text: str, indent: str) -> Iterator[str]:
    if not text.startswith(_VAULTED):
        yield f"{head} {text}"
        return
    yield f"{head} !vault |"
    for line in json.loads(text.removeprefix(_VAULTED[:-1])).splitlines():
        yield f"{indent}{_STEP * 2}{line}"
