"""
From settings files to one set of defaults, each with its origin.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fleetctl.config.read import MAX_BYTES, Entries, Entry, read_entries
from fleetctl.model.errors import Problem, UsageError

IsTrusted: TypeAlias = Callable[[Path, bytes], bool]


@dataclass(frozen=True, slots=True)
class Default:
    """
    What an option means where it is not given.

    Attributes:
        value: As the option would have it; times in seconds, sizes in bytes.
        file: The file that says so.
        line: The line, from 1.
    """

    value: Any
    file: Path
    line: int

    @property
    def origin(self) -> str:
        """``fleetctl.yml:3``."""
        return f"{self.file}:{self.line}"


def load_settings(files: Sequence[Path], is_trusted: IsTrusted) -> dict[str, Default]:
    """
    Read settings files; of two that set the same, the first wins.

    Args:
        files: Strongest first.
        is_trusted: Says of a path and its content whether the file may weaken checks.

    Raises:
        UsageError: With all mistakes of all files.
    """
    defaults: dict[str, Default] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            found = _load(file, is_trusted, problems)
        except UsageError as error:
            problems += error.problems
            continue
        for name, default in found.items():
            defaults.setdefault(name, default)
    if problems:
        raise UsageError(problems=problems)
    return defaults


def demands_of(data: bytes, file: str) -> list[Problem]:
    """
    Return what a settings file with this content is refused for while it is not trusted.

    Args:
        file: Its name in messages.

    Raises:
        UsageError: It is no settings file.
    """
    return [_demand(entry, deed, file) for entry, deed in _deeds(read_entries(data, file, []))]


def _load(file: Path, is_trusted: IsTrusted, problems: list[Problem]) -> dict[str, Default]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", file=str(file)) from None
    name = str(file)
    mistakes: list[Problem] = []
    entries = read_entries(data, name, mistakes)
    # Pydantic takes longer to import than most commands to run.
    from fleetctl.config.schema import check

    values = check(entries, name, mistakes) if entries else {}
    demands = [_demand(entry, deed, name) for entry, deed in _deeds(entries)]
    if demands and not is_trusted(file, data):
        mistakes += demands
    problems += sorted(mistakes, key=lambda problem: (problem.line or 0, problem.column or 0))
    if "inventory" in values:
        values["inventory"] = tuple(_beside(file, source) for source in values["inventory"])
    return {key: Default(value, file, entries[key].key.line) for key, value in values.items()}


def _deeds(entries: Entries) -> Iterator[tuple[Entry, str]]:
    """Yield what only a trusted file may set, and what it does."""
    for name, entry in entries.items():
        if name == "confirm_above":
            yield entry, "decides from how many hosts on you are asked"
        elif name == "history" and entry.value is False:
            yield entry, "keeps runs out of the history"
        elif name == "history_url":
            yield entry, "sends the history elsewhere"


def _demand(entry: Entry, deed: str, file: str) -> Problem:
    path = f"./{file}" if file.startswith("-") else file
    return Problem(
        f"{entry.key.text} {deed}, which only a trusted file may do",
        file,
        entry.key.line,
        entry.key.column,
        f"fleetctl trust {shlex.quote(path)}",
    )


def _beside(file: Path, source: str) -> str:
    """Return the inventory that a settings file means: paths count from its folder."""
    path = os.path.expanduser(source)
    return source if "," in source else os.path.normpath(file.parent / path)
