"""
What the sources of an inventory say, entry by entry, before anything is inherited.

Every kind of source is read into a `Draft`; `fleetctl.inventory.resolve` makes hosts of it. How a
kind of source is written is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleetctl.model.errors import Problem
from fleetctl.model.settings import Option, merge_option

ALL = "all"
UNGROUPED = "ungrouped"


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where something is written.

    Attributes:
        file: Path as the user would recognise it, or a description such as ``-i``.
        line: From 1, or None.
        column: From 1, or None.
    """

    file: str
    line: int | None = None
    column: int | None = None

    @property
    def origin(self) -> str:
        """``inventories/prod.yml:14``."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def problem(self, message: str, *, hint: str | None = None) -> Problem:
        """Return a problem at this place, its text on one line whatever it quotes."""
        return Problem(
            one_line(message), self.file, self.line, self.column, hint and one_line(hint)
        )


def one_line(text: str) -> str:
    """Return the text with all that is not printable escaped, so that it takes one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Assigned:
    """
    The value somebody gave an option.

    Attributes:
        value: Parsed; what the option's field in `HostSettings` holds.
        words: As written; one element per line for options that accumulate.
        place: Where.
        variable: The Ansible variable that says so, empty if it is said by keyword.
    """

    option: Option
    value: object
    words: tuple[str, ...]
    place: Place
    variable: str = ""

    @property
    def text(self) -> str:
        """The words on one line, for messages."""
        return " ".join(self.words)


def join(stronger: Assigned, weaker: Assigned) -> Assigned:
    """Return both values of an option that accumulates as one."""
    value = merge_option(stronger.option, (stronger.value, weaker.value))
    words = tuple(dict.fromkeys((*stronger.words, *weaker.words)))
    origins = dict.fromkeys((stronger.place.origin, weaker.place.origin))
    return replace(stronger, value=value, words=words, place=Place(", ".join(origins)))


@dataclass(slots=True)
class Contents:
    """
    What one host or group itself says.

    Attributes:
        settings: By option name, from ``ssh:``; the first mention in a source counts.
        connection: What ``ansible_*`` variables set, by the variable; the last mention counts.
        vars: Variables; the last mention counts.
        priority: ``ansible_group_priority``; means nothing for a host.
    """

    settings: dict[str, Assigned] = field(default_factory=dict)
    connection: dict[str, tuple[Assigned, ...]] = field(default_factory=dict)
    vars: dict[str, object] = field(default_factory=dict)
    priority: int | None = None

    def add(self, later: Contents) -> Iterator[tuple[Assigned, Assigned]]:
        """
        Take in what the same source says later about the same host or group.

        Yields:
            A pair (what counts, what has no effect) for every setting given two values.
        """
        for name, assigned in later.settings.items():
            first = self.settings.setdefault(name, assigned)
            if assigned.option.accumulates:
                self.settings[name] = join(first, assigned)
            elif first.value != assigned.value:
                yield first, assigned
        self._add_the_rest(later)

    def override(self, stronger: Contents) -> None:
        """Take in what a later source says, which wins however either spells it."""
        replaced = {each.option.name for said in stronger.connection.values() for each in said}
        for name in replaced & self.settings.keys():
            del self.settings[name]
        if stronger.settings:
            for variable, said in self.connection.items():
                kept = tuple(each for each in said if each.option.name not in stronger.settings)
                self.connection[variable] = kept
        self.settings.update(stronger.settings)
        self._add_the_rest(stronger)

    def _add_the_rest(self, later: Contents) -> None:
        self.connection.update(later.connection)
        self.vars.update(later.vars)
        if later.priority is not None:
            self.priority = later.priority

    def copy(self) -> Contents:
        return Contents(dict(self.settings), dict(self.connection), dict(self.vars), self.priority)


@dataclass(slots=True)
class GroupEntry:
    """
    One group as written.

    Attributes:
        place: Where it is first mentioned.
        hosts: Names of its own hosts, in order.
        children: Its child groups, in order, and where each is named as a child.
        files: What group_vars says about it, by the number of the source they lie beside.
    """

    place: Place
    contents: Contents = field(default_factory=Contents)
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, Place] = field(default_factory=dict)
    files: dict[int, Contents] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """
    All that was read, in the order of first mention.

    Attributes:
        hosts: By name; a host may be in any number of groups.
        groups: By name; ``all`` is there if something was said about it.
        ports: Ports written behind the name where a host is first mentioned, and where.
        host_files: What host_vars says about hosts, by the number of the source and the name.
        ssh_configs: Files of ssh_config that the source wants read, and where it says so.
        problems: Mistakes, each leaving out what it is about; with any of them the draft serves
            to find more mistakes only.
        warnings: What was read but will not have the effect its writer may expect.
    """

    hosts: dict[str, Contents] = field(default_factory=dict)
    groups: dict[str, GroupEntry] = field(default_factory=dict)
    ports: dict[str, tuple[str, Place]] = field(default_factory=dict)
    host_files: dict[int, dict[str, Contents]] = field(default_factory=dict)
    ssh_configs: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def group(self, name: str, place: Place) -> GroupEntry:
        """Return the group of that name, made if need be."""
        entry = self.groups.get(name)
        if entry is None:
            entry = self.groups[name] = GroupEntry(place)
        return entry

    def note_port(self, name: str, port: str, place: Place) -> None:
        """
        Check a port written behind the name of a host that is about to be taken in.

        If the host was mentioned before without it, Ansible would ignore the port.
        """
        known = self.hosts.get(name)
        if known is None:
            self.ports[name] = (port, place)
        elif str(known.vars.get("ansible_port")) != port:
            hint = f"write {name}:{port} where it is first, or ansible_port here"
            message = f"{name} was mentioned before without port {port}"
            self.problems.append(place.problem(message, hint=hint))


def combine(drafts: Iterable[Draft]) -> Draft:
    """
    Merge several sources into one draft; where they disagree the later one wins.

    What group_vars and host_vars say is looked for afterwards, when all names are known.
    """
    merged = Draft()
    for draft in drafts:
        for name, (port, place) in draft.ports.items():
            merged.note_port(name, port, place)
        for name, contents in draft.hosts.items():
            merged.hosts.setdefault(name, Contents()).override(contents)
        for name, entry in draft.groups.items():
            known = merged.group(name, entry.place)
            known.contents.override(entry.contents)
            known.hosts.update(entry.hosts)
            known.children.update(entry.children)
        # Of an option the first value counts: the later source is to be asked first.
        merged.ssh_configs = draft.ssh_configs | merged.ssh_configs
        merged.problems += draft.problems
        merged.warnings += draft.warnings
    return merged
