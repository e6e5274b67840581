"""
YAML text as a tree whose every part knows its line and column.

Only plain data: no tags that make objects, no duplicate keys, and limits on size, depth and what
aliases may blow up to (faults S16). What the tree means is not known here.

PyYAML's C parser delivers events; its composer is not used because it spends most of the time
guessing the type of every scalar, and most scalars of an inventory are names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Never

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from fleetctl.inventory.entries import Place
from fleetctl.model.errors import Problem, UsageError

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_ALIASED = 1_000_000

CORE = "tag:yaml.org,2002:"
SCALAR_TAGS = frozenset(
    CORE + name for name in ("str", "int", "float", "bool", "null", "timestamp", "binary")
)

#: Tags of values that are encrypted one by one.
VAULT_TAGS = frozenset({"!vault", "!vault-encrypted"})


@dataclass(slots=True)
class Scalar:
    """
    One word, number or text, as written.

    Attributes:
        text: Without quotes.
        line: From 1, as is column.
        plain: Written without quotes, so ``yes`` may mean true and nothing may mean null.
        tag: Explicit type, or None.
    """

    text: str
    line: int
    column: int
    plain: bool = True
    tag: str | None = None

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class ListTree:
    """A sequence."""

    line: int
    column: int
    items: list[Tree] = field(default_factory=list)


@dataclass(slots=True)
class MapTree:
    """
    A mapping, in the order written, each key once.

    Attributes:
        merged: Mappings named by ``<<``; the first that has a key gives its value.
    """

    line: int
    column: int
    own: dict[str, tuple[Scalar, Tree]] = field(default_factory=dict)
    merged: list[MapTree] = field(default_factory=list)

    def pairs(self) -> Iterator[tuple[Scalar, Tree]]:
        """Yield keys and values, those of ``<<`` last."""
        if not self.merged:
            return iter(self.own.values())
        return iter(self._with_merged().values())

    def get(self, key: str) -> Tree | None:
        pair = (self._with_merged() if self.merged else self.own).get(key)
        return pair[1] if pair else None

    def _with_merged(self) -> dict[str, tuple[Scalar, Tree]]:
        found = dict(self.own)
        for mapping in self.merged:
            for key, value in mapping.pairs():
                found.setdefault(key.text, (key, value))
        return found


Tree = Scalar | ListTree | MapTree


def read_tree(data: bytes, file: str, problems: list[Problem]) -> Tree | None:
    """
    Parse one YAML document.

    Args:
        data: The bytes of the file.
        file: Its name in messages.
        problems: Gets the mistakes that do not keep the rest from being read.

    Returns:
        None if the document is empty.

    Raises:
        UsageError: It is not YAML, or exceeds a limit.
    """
    text = _decode(data, file)
    try:
        return _Composer(file, problems).compose(text)
    except yaml.YAMLError as error:
        raise UsageError(problems=[_explain(error, text, file)]) from None


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024**2} MiB", file=file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        raise UsageError(
            f"not UTF-8 text: byte 0x{data[error.start]:02x}",
            file=file,
            line=before.count(b"\n") + 1,
            column=len(before[line_start:].decode("utf-8-sig")) + 1,
            hint=f"iconv -f latin1 -t utf-8 {file}",
        ) from None


@dataclass(slots=True)
class _Composer:
    """Builds the tree of one document from the parser's events."""

    file: str
    problems: list[Problem]
    _anchors: dict[str, tuple[Tree, int]] = field(default_factory=dict)
    _size: int = 0  # parts so far, every alias counted with all it stands for
    _aliased: int = 0

    def compose(self, text: str) -> Tree | None:
        events = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        tree: Tree | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document begins here", "remove the `---`")
            elif isinstance(
                event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent
            ):
                tree = self._tree(event, events, 1)
        return None if isinstance(tree, Scalar) and tree.is_null else tree

    def _tree(self, event: Event, events: Iterator[Event], depth: int) -> Tree:
        if type(event) is AliasEvent:
            return self._alias(event)
        mark = event.start_mark
        assert mark is not None
        before = self._size
        self._size += 1
        tree: Tree
        if type(event) is ScalarEvent:
            plain = event.implicit[0]
            tree = Scalar(event.value, mark.line + 1, mark.column + 1, plain, event.tag)
            if event.tag is not None:
                self._check_tag(event, event.tag, SCALAR_TAGS | VAULT_TAGS)
        else:
            if depth > MAX_DEPTH:
                self._stop(event, f"nested more than {MAX_DEPTH} deep")
            if type(event) is MappingStartEvent:
                tree = MapTree(mark.line + 1, mark.column + 1)
                self._fill_map(tree, events, depth)
                self._check_tag(event, event.tag, {CORE + "map"})
            else:
                assert type(event) is SequenceStartEvent
                tree = ListTree(mark.line + 1, mark.column + 1)
                while type(item := next(events)) is not SequenceEndEvent:
                    tree.items.append(self._tree(item, events, depth + 1))
                self._check_tag(event, event.tag, {CORE + "seq"})
        if event.anchor is not None:
            self._anchors[event.anchor] = (tree, self._size - before)
        return tree

    def _fill_map(self, tree: MapTree, events: Iterator[Event], depth: int) -> None:
        while type(event := next(events)) is not MappingEndEvent:
            key = self._tree(event, events, depth + 1)
            value = self._tree(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self._report(event, "a key must be text", "quote a key that begins with [ or {")
            elif key.text in tree.own or (key.text == "<<" and tree.merged):
                first = tree.own.get(key.text)
                where = f"; the first is in line {first[0].line}" if first else ""
                self._report(event, f'"{key.text}" is there twice{where}', "keep one of them")
            elif key.text == "<<" and key.plain:
                self._merge(tree, value, event)
            else:
                tree.own[key.text] = (key, value)

    def _merge(self, tree: MapTree, value: Tree, event: Event) -> None:
        for source in value.items if isinstance(value, ListTree) else [value]:
            if isinstance(source, MapTree):
                tree.merged.append(source)
            else:
                self._report(event, "<< needs a mapping", "write `<<: *name` of an `&name`")

    def _alias(self, event: AliasEvent) -> Tree:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            self._stop(
                event,
                f'"*{event.anchor}" refers to nothing above it, or to itself',
                'quote text that begins with "*"',
            )
        tree, size = known
        self._size += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            self._stop(event, f"aliases stand for more than {MAX_ALIASED} values")
        return tree

    def _check_tag(self, event: Event, tag: str | None, allowed: frozenset[str] | set[str]) -> None:
        if tag is None or tag == "!" or tag in allowed:
            return
        shown = tag.replace(CORE, "!!")
        hint = "only plain data is read: text, numbers, lists, mappings"
        self._report(event, f"the tag {shown} is not allowed", hint)

    def _report(self, event: Event, message: str, hint: str | None = None) -> None:
        mark = event.start_mark
        assert mark is not None
        place = Place(self.file, mark.line + 1, mark.column + 1)
        self.problems.append(place.problem(message, hint=hint))

    def _stop(self, event: Event, message: str, hint: str | None = None) -> Never:
        self._report(event, message, hint)
        raise UsageError(problems=self.problems)


_HINTS = (
    ("mapping values are not allowed", 'quote text that contains ": ", and check the indentation'),
    ("block end", "check the indentation of this line"),
    ("expected ',' or", 'inside [ ] and { } quote names with brackets: "web[01:20]"'),
    ("expected key", "check the indentation of this line"),
    ("expected ':'", "a key ends with a colon; check the indentation and the quotes"),
    ("end of stream", "a quote or bracket is not closed"),
)


def _explain(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """Turn the parser's exception into a problem with a place and a hint."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")
        column = len(before) - before.rfind("\n")
        return Problem(f"not YAML: {error.reason}", file, before.count("\n") + 1, column)
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(f"not YAML: {error}", file)
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "it cannot be read"
    message = f"not YAML: {problem}"
    if error.context and error.context_mark and mark and error.context_mark.line != mark.line:
        message += f" {error.context} begun in line {error.context_mark.line + 1}"
    if mark is None:
        return Problem(message, file)
    hint = next((hint for words, hint in _HINTS if words in problem), None)
    if "cannot start any token" in problem:
        found = text.splitlines()[mark.line][mark.column : mark.column + 1]
        hint = (
            "indent with spaces, not tabs"
            if found == "\t"
            else f'quote text that begins with "{found}"'
        )
    return Problem(message, file, mark.line + 1, mark.column + 1, hint)
