"""
The YAML of a settings file: names, each with a word, a number or a list, and where they stand.

Nothing deeper is read, and no alias, no tag: a settings file needs none of what makes YAML
dangerous (faults S16).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from fleetctl.model.errors import Problem, UsageError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

_OPEN = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSE = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_RESOLVER = Resolver()
_CONSTRUCTOR = SafeConstructor()


@dataclass(frozen=True, slots=True)
class Scalar:
    """
    One word or number.

    Attributes:
        value: As YAML 1.1 takes it: text, number, bool or None.
        text: As written, without quotes.
        line: From 1, as is column.
    """

    value: object
    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One setting.

    Attributes:
        key: Its name, and where that stands.
        content: What it is set to.
    """

    key: Scalar
    content: Scalar | tuple[Scalar, ...]

    @property
    def value(self) -> object:
        if isinstance(self.content, Scalar):
            return self.content.value
        return [item.value for item in self.content]


Entries: TypeAlias = dict[str, Entry]


def read_entries(data: bytes, file: str, problems: list[Problem]) -> Entries:
    """
    Read the settings of one file.

    Args:
        file: Its name in messages.
        problems: Gets what is wrong with single settings; those are left out.

    Raises:
        UsageError: It is no YAML, or something else than settings.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024} KiB", file=file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError("not UTF-8 text", file=file, line=line) from None
    reader = _Reader(file, problems)
    try:
        return reader.read(iter(yaml.parse(text, Loader=yaml.CSafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(
            f"not YAML: {error.problem or 'it cannot be read'}",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
            hint="write one setting per line, such as `forks: 50`",
        ) from None
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {' '.join(str(error).split())}", file=file) from None


@dataclass(slots=True)
class _Reader:
    file: str
    problems: list[Problem]
    entries: Entries = field(default_factory=dict)

    def read(self, events: Iterator[yaml.Event]) -> Entries:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise UsageError(problems=[self._problem(event, "a second document begins")])
            elif isinstance(event, yaml.MappingStartEvent):
                self._read_mapping(events)
            elif isinstance(event, yaml.ScalarEvent) and self._scalar(event).value is None:
                continue  # nothing but comments
            elif isinstance(event, yaml.NodeEvent):
                message = "settings are expected: a name, a colon and a value on each line"
                raise UsageError(problems=[self._problem(event, message, "forks: 50")])
        return self.entries

    def _read_mapping(self, events: Iterator[yaml.Event]) -> None:
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._scalar_or_none(event, events, "a name is expected here")
            content = self._content(next(events), events)
            if key is None or content is None:
                continue
            first = self.entries.get(key.text)
            if first is None:
                self.entries[key.text] = Entry(key, content)
            else:
                message = f'"{key.text}" is there twice; the first is in line {first.key.line}'
                self._report(event, message, "keep one of them")

    def _content(
        self, event: yaml.Event, events: Iterator[yaml.Event]
    ) -> Scalar | tuple[Scalar, ...] | None:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if not is_list or _is_marked(event):
            return self._scalar_or_none(event, events, "no setting has settings of its own")
        items = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(self._scalar_or_none(inner, events, "a list of words is expected"))
        return None if None in items else tuple(item for item in items if item is not None)

    def _scalar_or_none(
        self, event: yaml.Event, events: Iterator[yaml.Event], otherwise: str
    ) -> Scalar | None:
        """Return one word; report anything else, and read over it."""
        if isinstance(event, yaml.AliasEvent):
            otherwise = "aliases are not read in settings"
        elif _is_marked(event):
            otherwise = "tags and anchors are not read in settings"
        elif isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        self._report(event, otherwise)
        depth = int(isinstance(event, _OPEN))
        while depth:
            if depth > MAX_DEPTH:  # libyaml takes the longer for each, the deeper it is
                raise UsageError(problems=self.problems)
            inner = next(events)
            depth += isinstance(inner, _OPEN) - isinstance(inner, _CLOSE)
        return None

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        mark = event.start_mark
        assert mark is not None
        value: object = event.value
        if event.implicit[0]:
            # Not annotated in PyYAML's stubs.
            tag = _RESOLVER.resolve(ScalarNode, event.value, (True, False))  # type: ignore[no-untyped-call]
            make = SafeConstructor.yaml_constructors.get(tag)
            try:
                value = make(_CONSTRUCTOR, ScalarNode(tag, event.value)) if make else event.value
            except (ValueError, yaml.YAMLError):
                value = event.value  # looks like a date, but is none
        return Scalar(value, event.value, mark.line + 1, mark.column + 1)

    def _problem(self, event: yaml.Event, message: str, hint: str | None = None) -> Problem:
        mark = event.start_mark
        assert mark is not None
        return Problem(message, self.file, mark.line + 1, mark.column + 1, hint)

    def _report(self, event: yaml.Event, message: str, hint: str | None = None) -> None:
        self.problems.append(self._problem(event, message, hint))


def _is_marked(event: yaml.Event) -> bool:
    """Tell whether a value has a tag or an anchor."""
    marked = (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)
    return isinstance(event, marked) and (event.tag is not None or event.anchor is not None)
