"""
Inventories written in INI, as a `Draft`.

::

    bastion ansible_host=192.0.2.1          # hosts in no group
    [web]
    web[01:20]:2222 weight=2                # values are Python literals, or text
    [web:vars]
    tier=front
    [eu:children]
    web

Where Ansible would read nothing at all, or something else than what was meant, there is a
problem. Inheritance is not done here.

Source: ansible-core, `ansible.plugins.inventory.ini`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import ALL, UNGROUPED, Contents, Draft, GroupEntry, Place
from fleetctl.inventory.ini_values import parse_value, split_line
from fleetctl.inventory.names import check_group_name, parse_address, write_out
from fleetctl.inventory.variables import Variables, take_priority
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_KINDS = ("hosts", "children", "vars")
_COMMENTS = ("#", ";")
_COMMENT_BYTES = (b"#", b";")


def read_ini(
    data: bytes,
    file: str,
    *,
    known_groups: Collection[str] = (),
    may_do_anything: Callable[[], bool] = lambda: True,
    is_secret: bool = False,
) -> Draft:
    """
    Read an inventory.

    Args:
        data: The bytes of the file.
        file: Its name in messages and origins.
        known_groups: Groups of the sources before this one.
        may_do_anything: Whether the file may run programs and weaken checks.
        is_secret: The file was vaulted as a whole.

    Returns:
        What was understood, with all mistakes in its problems.
    """
    draft = Draft()
    variables = Variables(Assigner(draft.problems, draft.warnings, may_do_anything))
    reader = _Reader(file, draft, variables, {*known_groups, ALL, UNGROUPED}, is_secret)
    reader.read(data)
    return draft


@dataclass(slots=True)
class _Reader:
    """
    One file being read.

    Attributes:
        known_groups: Those of earlier sources.
        awaited: Groups named as children, or given variables, before they have a section.
        section: The group whose section this is.
        kind: What is listed in this section.
    """

    file: str
    draft: Draft
    variables: Variables
    known_groups: Collection[str]
    is_secret: bool
    awaited: dict[str, list[_Mention]] = field(default_factory=dict)
    section: str = UNGROUPED
    kind: str = "hosts"

    def read(self, data: bytes) -> None:
        for number, line in self._lines(data):
            place = Place(self.file, number)
            if (line[0] == "[" and line[-1] == "]") or _SECTION.fullmatch(line):
                self._begin_section(line, place)
            elif self.kind == "hosts":
                self._read_host(line, place)
            elif self.kind == "vars":
                self._read_variable(line, place)
            elif self.kind == "children":
                self._read_child(line, place)
        for name, mentions in self.awaited.items():
            for mention in mentions:
                self._report_undeclared(name, mention)
        if not self.draft.hosts and not self.draft.groups and not self.draft.problems:
            raise UsageError(
                "the file is empty", file=self.file, hint="write the names of hosts, one a line"
            )

    def _lines(self, data: bytes) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line that says something."""
        for number, raw in enumerate(_LINE_END.split(data.removeprefix(b"\xef\xbb\xbf")), 1):
            stripped = raw.strip()
            if not stripped or stripped.startswith(_COMMENT_BYTES):
                continue
            try:
                line = stripped.decode().strip()
            except UnicodeDecodeError as error:
                self._report(
                    Place(self.file, number),
                    f"not UTF-8 text: byte 0x{stripped[error.start]:02x}",
                    hint=f"iconv -f latin1 -t utf-8 {self.file}",
                )
                continue
            if line and not line.startswith(_COMMENTS):
                yield number, line

    def _begin_section(self, line: str, place: Place) -> None:
        found = _SECTION.fullmatch(line)
        self.kind = ""  # what follows a section that cannot be read is skipped
        if not found:
            hint = "write [group], [group:vars] or [group:children], without spaces"
            self._report(place, f"this is not the head of a section: {line}", hint=hint)
            return
        name, kind = found[1], found[2] or "hosts"
        why = check_group_name(name)
        if kind not in _KINDS:
            near = difflib.get_close_matches(kind, _KINDS, 1, 0.5)
            hint = f"did you mean [{name}:{near[0]}]?" if near else "there are :vars and :children"
            self._report(place, f'"{kind}" is not a kind of section', hint=hint)
        elif why:
            self._report(place, f"this cannot be the name of a group: {why}")
        else:
            self.section, self.kind = name, kind
            if kind == "vars" and not self._exists(name):
                self.awaited.setdefault(name, []).append(_Mention(None, place))
            self.draft.group(name, place)
            for mention in self.awaited.pop(name, ()) if kind != "vars" else ():
                if mention.parent is not None:
                    self._link(mention.parent, name, mention.place)

    def _exists(self, name: str) -> bool:
        return name in self.draft.groups or name in self.known_groups

    def _read_child(self, line: str, place: Place) -> None:
        found = _CHILD.fullmatch(line)
        why = check_group_name(found[1]) if found else f'"{line}" is not a single name'
        if why or not found:
            hint = "name one group a line, and nothing else"
            self._report(place, f"this cannot be the name of a group: {why}", hint=hint)
        elif found[1] == ALL:
            message = f'"all" cannot be a child of "{self.section}": it has every group in it'
            self._report(place, message)
        elif self._exists(found[1]):
            self._link(self.section, found[1], place)
        else:
            self.awaited.setdefault(found[1], []).append(_Mention(self.section, place))

    def _link(self, parent: str, child: str, place: Place) -> None:
        self.draft.group(child, place)
        self.draft.group(parent, place).children.setdefault(child, place)

    def _report_undeclared(self, name: str, mention: _Mention) -> None:
        others = {*self.known_groups, *self.draft.groups} - {ALL, UNGROUPED, name}
        near = difflib.get_close_matches(name, others, 1, 0.6)
        hint = (
            f"did you mean {near[0]}?" if near else f"write a section [{name}], even an empty one"
        )
        if near and mention.parent is None:
            hint = f"did you mean [{near[0]}:vars]?"
        self._report(mention.place, f'there is no group "{name}"', hint=hint)

    def _read_variable(self, line: str, place: Place) -> None:
        name, equals, text = (part.strip() for part in line.partition("="))
        if not equals or not name or " " in name:
            hint = f"below [{self.section}:vars] each line is name=value"
            self._report(place, f"this is not a variable: {line}", hint=hint)
            return
        contents = self._group().contents
        value = self._value(text, place)
        if isinstance(value, str) and re.search(r"\s#", value) and text[0] not in "\"'":
            message = f"the comment is part of the value of {name}"
            hint = "put the comment on a line of its own"
            self.draft.warnings.append(place.problem(message, hint=hint))
        self.variables.read(contents, name, self._hidden(value), key=place, at=place)
        problem = take_priority(contents, place)
        if problem:
            self.draft.problems.append(problem)

    def _read_host(self, line: str, place: Place) -> None:
        try:
            words, cut_off = split_line(line)
        except ValueError as error:
            self._report(place, f"{error}: {line}", hint='quote a quote: "it\'s"')
            return
        if cut_off:
            message = f'"{cut_off}" is a comment, and not part of the value'
            hint = 'quote a value with "#", or put a space before the comment'
            self.draft.warnings.append(place.problem(message, hint=hint))
        contents = Contents()
        names = self._host_names(words[0], contents, place)
        for word in words[1:]:
            name, equals, text = word.partition("=")
            if equals and name:
                value = self._hidden(self._value(text, place))
                self.variables.read(contents, name, value, key=place, at=place)
            else:
                self._report_word(word, words[0], place)
        group = self._group()
        for name in names:
            group.hosts[name] = None
            known = self.draft.hosts.get(name)
            if known is None:
                self.draft.hosts[name] = contents if len(names) == 1 else contents.copy()
            else:
                known.override(contents)

    def _host_names(self, word: str, contents: Contents, place: Place) -> Collection[str]:
        address = parse_address(word)
        if address.user is not None:
            self._report(
                place,
                "a user does not belong in the name of a host",
                hint=f"{address.host} ansible_user={address.user}",
            )
            return ()
        try:
            names = write_out(address)
        except ValueError as error:
            looks_like_yaml = word[-1:] == ":"
            hint = "this looks like YAML: name the file hosts.yml" if looks_like_yaml else None
            self._report(place, str(error), hint=hint)
            return ()
        if address.port is not None:
            self.variables.read_port(contents, address.port, place)
            for name in names:
                self.draft.note_port(name, address.port, place)
        return names

    def _report_word(self, word: str, host: str, place: Place) -> None:
        message = f'name=value is expected after the name of a host, not "{word}"'
        hint = f"write {host} name=value, without spaces round the ="
        if "=" not in word:
            hint += "; another host goes on the next line"
        self._report(place, message, hint=hint)

    def _value(self, text: str, place: Place) -> object:
        try:
            return parse_value(text)
        except ValueError as error:
            self._report(place, str(error))
            return None

    def _hidden(self, value: object) -> object:
        return Secret(value) if self.is_secret and isinstance(value, str) else value

    def _group(self) -> GroupEntry:
        return self.draft.groups.get(self.section) or self.draft.group(
            self.section, Place(self.file)
        )

    def _report(self, place: Place, message: str, *, hint: str | None = None) -> None:
        self.draft.problems.append(place.problem(message, hint=hint))


@dataclass(frozen=True, slots=True)
class _Mention:
    """A group named before it is declared: as a child of a group, or for its variables (None)."""

    parent: str | None
    place: Place
