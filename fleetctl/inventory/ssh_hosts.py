"""
An inventory from an ssh_config: the hosts it names, with what it sets for them.

What counts for a host is not worked out here, but asked of whoever reads ssh_config; so wildcards,
``Match`` and ``Include`` count as they do for ssh.

Source: ssh_config(5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import Assigned, Place
from fleetctl.inventory.importers import Found, check_name, without_tokens
from fleetctl.inventory.native import write_setting
from fleetctl.inventory.render import Written
from fleetctl.inventory.yaml_text import write_words
from fleetctl.model.errors import FleetError, UsageError
from fleetctl.model.settings import find_option

#: Settings in which we replace tokens, though their value has none any more.
_WITH_TOKENS = ("HostName", "IdentityAgent", "UserKnownHostsFile")
_WILDCARDS = "*?!"
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Line:
    """The words of a keyword as ``ssh -G`` prints them, and where they were written."""

    words: Sequence[str]
    origin: str


class Reader(Protocol):
    """Whoever knows how ssh reads its configuration."""

    def split(self, line: str) -> tuple[str, Sequence[str]] | None:
        """Return the keyword of a line, in lower case, and its words; None if it has none."""
        ...

    def find(self, pattern: str) -> Sequence[str]:
        """Return the files that an Include names."""
        ...

    def ask(self, host: str) -> Mapping[str, Line]:
        """
        Return by keyword what is set for a host, defaults aside.

        Raises:
            UsageError: A line is wrong for this host.
            FleetError: It needs to be looked up in the DNS, and is not there.
        """
        ...


def import_ssh_config(paths: Sequence[str], reader: Reader) -> Written:
    """
    Return the hosts that files of ssh_config name, with what they set for them.

    A name with a wildcard is no host. Lines that count for no host are noted.

    Args:
        paths: The files, the first being asked first.
        reader: Has read them, and found no mistake.
    """
    survey = _Survey(reader)
    for path in paths:
        survey.look_into(path, 0)
    found = Found()
    settings = _Settings(found)
    counted: set[str] = set()
    for name, place in survey.hosts.items():
        why = check_name(name)
        if why:
            found.note(place, f"left out: {why}")
            continue
        try:
            lines = reader.ask(name)
        except UsageError as error:
            found.notes += [
                replace(problem, message=f"left out: {name}: {problem.message}")
                for problem in error.problems
            ]
            continue
        except FleetError as error:
            found.note(place, f"left out: {name}: {error}")
            continue
        counted.update(origin for line in lines.values() for origin in line.origin.split(", "))
        taken = [settings.take(keyword, line) for keyword, line in lines.items()]
        texts = {each.option.name: write_setting(each) for each in taken if each is not None}
        found.add(name, texts, place)
    _name_by_pattern(found)
    for block in survey.blocks:
        if block.lines and not counted.intersection(block.lines):
            message = f"left out: what follows `{block.head}` counts for no host that is named"
            found.note(block.place, message)
    return found.write()


def _name_by_pattern(found: Found) -> None:
    """Write ``%h.example.com`` where several hosts have a HostName that is made alike."""
    alike: dict[str, list[str]] = {}
    for name, settings in found.hosts.items():
        written = settings.get("HostName", "")
        if written.startswith(f"{name}."):
            alike.setdefault(written.removeprefix(name), []).append(name)
    for rest, names in alike.items():
        for name in names if len(names) > 1 else ():
            found.hosts[name]["HostName"] = write_words([f"%h{rest}"], as_list=False)


@dataclass(slots=True)
class _Block:
    """Lines below one Host or Match, as ``file:line``; those of files they include aside."""

    head: str
    place: Place
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Survey:
    """Which hosts are named, and which blocks there are."""

    reader: Reader
    hosts: dict[str, Place] = field(default_factory=dict)
    blocks: list[_Block] = field(default_factory=list)

    def look_into(self, path: str, depth: int) -> None:
        """Go through a file and what it includes."""
        block: _Block | None = None
        try:
            text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
        except OSError:  # a directory, say, which ssh takes for an empty file
            return
        for number, line in enumerate(text.split("\n"), 1):
            found = self.reader.split(line)
            if found is None:
                continue
            keyword, words = found
            place = Place(path, number)
            if keyword in ("host", "match"):
                block = _Block(line.strip(), place)
                self.blocks.append(block)
                for word in words if keyword == "host" else ():
                    if not set(word) & set(_WILDCARDS):
                        self.hosts.setdefault(word, place)
            elif keyword == "include":
                for pattern in words if depth < _DEEPEST else ():
                    for included in self.reader.find(pattern):
                        self.look_into(included, depth + 1)
            elif block is not None:
                block.lines.append(place.origin)


@dataclass(slots=True)
class _Settings:
    """Takes lines of ssh_config over, each once, however many hosts it is for."""

    found: Found
    taken: dict[tuple[str, Sequence[str], str], Assigned | None] = field(default_factory=dict)

    def take(self, keyword: str, line: Line) -> Assigned | None:
        """Return the setting that a line makes here; None if it makes none, which is noted."""
        key = (keyword, tuple(line.words), line.origin)
        if key not in self.taken:
            self.taken[key] = self._take(keyword, line)
        return self.taken[key]

    def _take(self, keyword: str, line: Line) -> Assigned | None:
        place = place_of(line.origin)
        option = find_option(keyword)
        if option is None or option.treatment == "ignored":
            name = keyword if option is None else option.name
            self.found.note(place, f"left out: {name} has no effect here")
            return None
        words = tuple(line.words)
        if option.name in _WITH_TOKENS:
            words = tuple(map(without_tokens, words))
        assigner = Assigner()
        parts = [(word,) for word in words] if option.accumulates else [words]
        assigned = [assigner.assign(option, part, key=place, value=place) for part in parts]
        for problem in assigner.problems:
            self.found.note(place, f"left out: {problem.message}", hint=problem.hint)
        first = assigned[0] if assigned and None not in assigned else None
        return replace(first, words=words) if first is not None else None


def place_of(origin: str) -> Place:
    """Return the first place of an origin such as ``config:3, config:7``."""
    file, _, line = origin.partition(", ")[0].rpartition(":")
    return Place(file, int(line)) if file and line.isdecimal() else Place(origin)
