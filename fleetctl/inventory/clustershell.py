"""
An inventory from the groups of ClusterShell: ``groups.d/*.yaml``, or lines ``group: nodes``.

Source: groups.conf(5), nodeset(1); ClusterShell's ``YAMLGroupLoader`` and ``ParsingEngine``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.inventory.entries import ALL, UNGROUPED, Place
from fleetctl.inventory.importers import Found, check_name
from fleetctl.inventory.names import check_group_name
from fleetctl.inventory.render import RESERVED_NAMES, Written
from fleetctl.inventory.yaml_tree import ListTree, MapTree, Scalar, Tree, read_tree
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.nodeset import expand

#: What is between the terms of a node set, outside brackets.
_OPERATOR = re.compile(r"([,!&^])(?![^\[\]]*\])")
_AROUND = re.compile(r"\s*([,!&^])\s*")
_YAML_ENDINGS = (".yaml", ".yml")
_SECTION = re.compile(r"\[\w+\]")


@dataclass(frozen=True, slots=True)
class _Group:
    """The node set of a group, as written, and where."""

    nodes: str
    place: Place


#: For each group source its groups.
_Sources = dict[str, dict[str, _Group]]


def import_clustershell(files: Mapping[str, bytes], source: str | None = None) -> Written:
    """
    Return the hosts and groups of files of one group source.

    References to groups become child groups; node sets with operators are worked out.

    Args:
        files: The content of each, by name.
        source: The group source to take; needed if the files have several.

    Raises:
        UsageError: A file is no such file, a node set cannot be read, or groups refer to each
            other in a circle.
    """
    sources: _Sources = {}
    problems: list[Problem] = []
    for file, data in files.items():
        try:
            _read_file(file, data, sources)
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems=problems)
    return _Importer(sources, _choose(sources, source)).run()


def _choose(sources: _Sources, wanted: str | None) -> str:
    named = ", ".join(sources)
    if wanted is None and len(sources) > 1:
        raise UsageError(f"there are several group sources: {named}", hint="choose with --source")
    chosen = next(iter(sources), "") if wanted is None else wanted
    if not sources.get(chosen):
        if wanted is None or wanted in sources:
            raise UsageError("there are no groups")
        raise UsageError(f'there is no group source "{wanted}", but {named}')
    return chosen


def _read_file(file: str, data: bytes, sources: _Sources) -> None:
    if file.endswith(_YAML_ENDINGS) or _looks_like_yaml(data):
        problems: list[Problem] = []
        tree = read_tree(data, file, problems)
        if tree is not None:
            _read_sources(tree, file, sources, problems)
        if problems:
            raise UsageError(problems=problems)
    else:
        _read_lines(data, file, sources)


def _looks_like_yaml(data: bytes) -> bool:
    """Tell a file without an ending: in lines ``group: nodes`` nothing is indented."""
    lines = [line for line in data.split(b"\n") if line.strip() and not line.startswith(b"#")]
    return any(line[:1] in b" \t" or line.startswith((b"---", b"{")) for line in lines)


def _read_sources(tree: Tree, file: str, sources: _Sources, problems: list[Problem]) -> None:
    hint = "the shortest is `roles: {web: web[01-20]}`: a group source, and groups in it"
    if not isinstance(tree, MapTree):
        place = Place(file, tree.line, tree.column)
        problems.append(place.problem("a mapping of group sources is expected", hint=hint))
        return
    for name, groups in tree.pairs():
        if not isinstance(groups, MapTree):
            place = Place(file, name.line, name.column)
            problems.append(place.problem(f'"{name.text}" has no groups below it', hint=hint))
            continue
        found = sources.setdefault(name.text, {})
        for group, nodes in groups.pairs():
            place = Place(file, nodes.line, nodes.column)
            text = _text_of(nodes)
            if text is None:
                problems.append(place.problem(f'group "{group.text}": a node set is expected'))
            else:
                found[group.text] = _Group(text, place)


def _text_of(tree: Tree) -> str | None:
    if isinstance(tree, Scalar):
        return "" if tree.is_null else tree.text
    if isinstance(tree, ListTree):
        parts = [_text_of(item) for item in tree.items]
        return None if None in parts else ",".join(part for part in parts if part)
    return None


def _read_lines(data: bytes, file: str, sources: _Sources) -> None:
    found = sources.setdefault("local", {})
    for number, raw in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        text = raw.partition("#")[0].strip()
        name, colon, nodes = (part.strip() for part in text.partition(":"))
        if not text:
            continue
        place = Place(file, number)
        if _SECTION.fullmatch(text):
            message = "this is groups.conf, which says where groups come from, not what they are"
            raise UsageError(
                problems=[place.problem(message, hint="give the files of groups.d that it names")]
            )
        if not colon or not name:
            raise UsageError(
                problems=[place.problem(f"a line `group: nodes` is expected, not `{text}`")]
            )
        known = found.get(name)
        joined = ",".join(part for part in (known.nodes if known else "", nodes) if part)
        found[name] = _Group(joined, place)


@dataclass(slots=True)
class _Importer:
    """One group source being taken over."""

    sources: Mapping[str, Mapping[str, _Group]]
    source: str
    found: Found = field(default_factory=Found)
    _cache: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def run(self) -> Written:
        """Take every group over; all that is wrong is one error."""
        problems: list[Problem] = []
        groups = self.sources[self.source]
        usable = {name for name in groups if self._is_usable(name)}
        for name, group in groups.items():
            try:
                everyone = self._hosts_of(self.source, name, ())
                own, children = self._members(name, group, usable)
            except UsageError as error:
                problems += error.problems
                continue
            for host in everyone:
                self.found.add(host, {}, group.place)
            if name in usable:
                kept = [host for host in own if host in self.found.hosts]
                self.found.groups[name] = (kept, children)
        if problems:
            raise UsageError(problems=dict.fromkeys(problems))
        return self.found.write()

    def _is_usable(self, name: str) -> bool:
        why = check_group_name(name)
        if name in RESERVED_NAMES:
            why = check_name(name)
        elif name in (ALL, UNGROUPED):
            why = f'"{name}" is a group that every inventory has'
        if why and name != ALL:
            place = self.sources[self.source][name].place
            self.found.note(place, f"left out, but not its hosts: {why}")
        return why is None

    def _members(
        self, name: str, group: _Group, usable: Iterable[str]
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return the hosts and the child groups of a group; with operators it is all hosts."""
        terms = list(_terms(group))
        references = [term[1:] for _, term in terms if term[0] == "@"]
        is_plain = all(operator == "," for operator, _ in terms)
        if not is_plain or not set(references) <= set(usable):
            return self._hosts_of(self.source, name, ()), ()
        own = [host for _, term in terms if term[0] != "@" for host in _expand(group, term)]
        return list(dict.fromkeys(own)), list(dict.fromkeys(references))

    def _hosts_of(
        self, source: str, name: str, above: tuple[tuple[str, str], ...]
    ) -> Sequence[str]:
        """Return all hosts of a group, the operators of its node set done from left to right."""
        key = (source, name)
        if key in self._cache:
            return self._cache[key]
        group = self.sources[source][name]
        if key in above:
            circle = " -> ".join([*(each for _, each in above[above.index(key) :]), name])
            raise UsageError(problems=[group.place.problem(f"groups form a cycle: {circle}")])
        chosen: dict[str, None] = {}
        for operator, term in _terms(group):
            found = dict.fromkeys(self._hosts_of_term(source, group, term, (*above, key)))
            match operator:
                case "!":
                    chosen = {host: None for host in chosen if host not in found}
                case "&":
                    chosen = {host: None for host in chosen if host in found}
                case "^":
                    both = chosen.keys() & found.keys()
                    chosen = {host: None for host in (*chosen, *found) if host not in both}
                case _:
                    chosen |= found
        self._cache[key] = tuple(chosen)
        return self._cache[key]

    def _hosts_of_term(
        self, source: str, group: _Group, term: str, above: tuple[tuple[str, str], ...]
    ) -> Iterator[str]:
        if term[0] != "@":
            yield from _expand(group, term)
            return
        other, colon, name = term[1:].rpartition(":")
        other = other if colon else source
        if name == "*" and other in self.sources:
            # What a group source says everybody is, or else the hosts of all its groups.
            everyone = [ALL] if ALL in self.sources[other] else list(self.sources[other])
            for each in everyone:
                if (other, each) not in above:
                    yield from self._hosts_of(other, each, above)
            return
        for each in _expand(group, name):
            if each not in self.sources.get(other, {}):
                shown = f"{other}:{each}" if colon else each
                raise UsageError(problems=[group.place.problem(f'there is no group "{shown}"')])
            yield from self._hosts_of(other, each, above)


def _terms(group: _Group) -> Iterator[tuple[str, str]]:
    """
    Yield the terms of a node set, each with the operator before it.

    Raises:
        UsageError: A term is missing, or has a wildcard.
    """
    if not group.nodes.strip():
        return
    # White space alone is a separator too: ClusterShell reads what a group source prints as words.
    nodes = ",".join(_AROUND.sub(r"\1", group.nodes).split())
    parts = [",", *_OPERATOR.split(nodes)]
    for operator, term in zip(parts[::2], parts[1::2], strict=True):
        if not term:
            message = f"a node is missing in `{group.nodes}`"
            raise UsageError(problems=[group.place.problem(message)])
        if term[0] != "@" and ("*" in term or "?" in term):
            message = f"`{term}` stands for nodes that other groups name"
            hint = "write them out: nodeset -f NODES prints them"
            raise UsageError(problems=[group.place.problem(message, hint=hint)])
        yield operator, term


def _expand(group: _Group, term: str) -> Sequence[str]:
    try:
        return expand(term)
    except ValueError as error:
        raise UsageError(problems=[group.place.problem(str(error))]) from None
