"""
An edit of an authorized_keys file in the making.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fleetctl.keys.authorized_keys_lines import AuthorizedKey, KeyFileText, Line
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.options_syntax import same_options

OnOtherOptions = Literal["keep", "replace", "fail"]

#: Behind a line that ended one without a newline.
_MARK = b" \t"


class KeyConflict(ValueError):
    """
    A key is there already with other options, or a managed block is damaged.

    Attributes:
        lines: What stands in the way.
        diff: What replacing would change, as a unified diff.
    """

    def __init__(self, message: str, lines: Sequence[Line], diff: str = "") -> None:
        super().__init__(message)
        self.lines = tuple(lines)
        self.diff = diff


@dataclass(frozen=True, slots=True)
class Replacement:
    """A line, and the key that stands there now, or would if it had not been kept."""

    line: Line
    key: AuthorizedKey


@dataclass(frozen=True, slots=True)
class Edit:
    """
    New bytes for a file.

    Attributes:
        added: Keys in new lines.
        removed: Lines of the old file that are gone.
        replaced: Lines of the old file with another one in their place.
        unchanged: Keys that were there with the same options.
        kept: Lines with a key that was asked for, with other options, which were left so.
    """

    data: bytes
    added: tuple[AuthorizedKey, ...] = ()
    removed: tuple[Line, ...] = ()
    replaced: tuple[Replacement, ...] = ()
    unchanged: tuple[AuthorizedKey, ...] = ()
    kept: tuple[Replacement, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.added or self.removed or self.replaced)


#: Which key a line is about: the blob, and whether it is an authority.
KeyClass: TypeAlias = tuple[bytes, bool]


def class_of(key: AuthorizedKey) -> KeyClass:
    """Return which lines are about this key."""
    return key.blob, key.is_authority


@dataclass(slots=True)
class Draft:
    """
    An edit in the making.

    Attributes:
        new: Number of a line -> its new bytes, or None if it goes.
        tail: Lines to be added at the end.
    """

    text: KeyFileText
    new: dict[int, bytes | None] = field(default_factory=dict)
    tail: list[bytes] = field(default_factory=list)
    added: list[AuthorizedKey] = field(default_factory=list)
    removed: list[Line] = field(default_factory=list)
    replaced: list[Replacement] = field(default_factory=list)
    unchanged: list[AuthorizedKey] = field(default_factory=list)
    kept: list[Replacement] = field(default_factory=list)

    def append(self, key: AuthorizedKey) -> None:
        self.tail.append(key.render())
        self.added.append(key)

    def replace(self, line: Line, key: AuthorizedKey) -> None:
        self.new[line.number] = key.render() + (_MARK if line.raw.endswith(_MARK) else b"")
        self.replaced.append(Replacement(line, key))

    def remove(self, line: Line) -> None:
        self.new[line.number] = None
        self.removed.append(line)

    def finish(self) -> Edit:
        return Edit(
            self._data(),
            tuple(self.added),
            tuple(sorted(self.removed, key=lambda line: line.number)),
            tuple(self.replaced),
            tuple(self.unchanged),
            tuple(self.kept),
        )

    def _data(self) -> bytes:
        parts: list[tuple[bytes, bytes]] = []
        is_torn = False
        for line in self.text.lines:
            raw = self.new.get(line.number, line.raw)
            if raw is not None:
                parts.append((raw, line.eol))
                is_torn = False
            elif line.raw.endswith(_MARK):
                is_torn = True
        if is_torn and parts:
            parts[-1] = (parts[-1][0], b"")
        return _with_tail(parts, self.tail, self.text.eol)


def _with_tail(parts: list[tuple[bytes, bytes]], tail: Sequence[bytes], eol: bytes) -> bytes:
    """Add lines at the end, each with an end of its own."""
    ends_torn = bool(parts) and not parts[-1][1]
    if tail and ends_torn:
        raw = parts[-1][0]
        parts[-1] = (raw, b"\r\n" if raw.endswith(b"\r") else eol)
    parts.extend(
        (raw + (_MARK if ends_torn and index == 0 else b""), eol) for index, raw in enumerate(tail)
    )
    return b"".join(raw + end for raw, end in parts)


def each_once(wanted: Iterable[AuthorizedKey]) -> Iterable[AuthorizedKey]:
    """Return each key once; of two with different options the first counts, as for sshd."""
    found: dict[KeyClass, AuthorizedKey] = {}
    for key in wanted:
        found.setdefault(class_of(key), key)
    return found.values()


def by_class(text: KeyFileText, is_meant: Callable[[Line], bool]) -> dict[KeyClass, list[Line]]:
    """Return the lines that are meant, by what they are about, in their order."""
    found: dict[KeyClass, list[Line]] = {}
    for line in text.lines:
        if line.key is not None and is_meant(line):
            found.setdefault(class_of(line.key), []).append(line)
    return found


def readable(there: Sequence[Line]) -> list[Line]:
    """Return the lines that sshd can read, whether they count at the moment or not."""
    return [line for line in there if line.kind == "key"]


def is_same(line: Line, key: AuthorizedKey) -> bool:
    """Tell whether a line has these options."""
    return line.key is not None and same_options(line.key.options, key.options)


def conflict(text: KeyFileText, lines: Sequence[Line], edit: Edit, reason: str) -> KeyConflict:
    """Return what to raise where lines stand in the way of an edit."""
    where = ", ".join(str(line.number) for line in lines)
    return KeyConflict(f"line {where}: {reason}", lines, diff_files(text.data, edit.data))
