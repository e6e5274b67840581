"""
Files of ssh_config, with those they include, read once into a `fleetctl.sshconfig.config.Config`.

Nothing is resolved here. All mistakes that do not depend on the host are found here, at once.

Source: ssh_config(5); ssh(1), FILES.
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from fleetctl.model.errors import Problem, UsageError
from fleetctl.sshconfig.blocks import Draft, Gate, conditions_of, join_blocks
from fleetctl.sshconfig.canonical import Lookup
from fleetctl.sshconfig.config import Config, Run
from fleetctl.sshconfig.dialect import OPENSSH_9_2, Dialect
from fleetctl.sshconfig.finish import default_values
from fleetctl.sshconfig.include import find_files
from fleetctl.sshconfig.match import MatchCondition
from fleetctl.sshconfig.parse import (
    Block,
    Include,
    Line,
    Reading,
    Settings,
    Unknown,
    Warned,
    parse_line,
)
from fleetctl.sshconfig.pattern import octets, parse_pattern_list
from fleetctl.sshconfig.routes import build_routes
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.trust import condition_objection, objection, trust_hint

IsTrusted: TypeAlias = Callable[[Path, bytes], bool]

_DEEPEST = 16
_MOST_INCLUDED = 4096
_LARGEST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """
    A file to start from.

    Attributes:
        path: As the user would recognise it.
        is_system: Is it the system's? Then Include is relative to ``/etc/ssh``, without ``~``.
        is_required: Must it exist?
        checks_owner: Must it belong to us or to root, and be writable by nobody else? ssh does not
            ask this of a file named on its command line and of the system's; it does of all that
            are included.
    """

    path: Path
    is_system: bool = False
    is_required: bool = False
    checks_owner: bool = True


def load_config(
    sources: Sequence[Source],
    *,
    surroundings: Surroundings,
    is_trusted: IsTrusted,
    run: Run | None = None,
    lookup: Lookup | None = None,
    dialect: Dialect = OPENSSH_9_2,
    ignore_unknown: str = "",
) -> Config:
    """
    Read the files, strongest first.

    Args:
        sources: Such as the user's file, then the system's.
        surroundings: This machine and this user.
        is_trusted: Says of a path and its content whether the file may run commands and weaken
            checks. Asked once for every file that is read, included ones too.
        run: Runs a command of Match exec in a shell; may block. None: hosts that need one are
            refused.
        lookup: Asks the DNS for a canonical name; may block. None: hosts that need it are refused.
        dialect: What ssh supports.
        ignore_unknown: IgnoreUnknown of the command line.

    Raises:
        UsageError: With all mistakes of all files that do not depend on the host.
    """
    reading = Reading(surroundings.environment, dialect, surroundings.user, surroundings.addresses)
    loader = _Loader(reading, surroundings, is_trusted)
    if ignore_unknown:
        loader.ignored.append(ignore_unknown)
    for source in sources:
        loader.read_source(source)
    if loader.problems:
        raise UsageError(problems=loader.problems)
    segments, gates = join_blocks(loader.drafts, loader.gates)
    index, routes = build_routes([list(conditions_of(s, gates)) for s in segments])
    conditions = [gate.condition for gate in gates]
    return Config(
        segments=segments,
        gates=gates,
        index=index,
        routes=routes,
        surroundings=surroundings,
        dialect=dialect,
        defaults=default_values(surroundings, dialect),
        run=run and functools.cache(run),
        lookup=lookup,
        wants_final=any(isinstance(c, MatchCondition) and c.asks("final") for c in conditions),
        warnings=tuple(loader.warnings),
    )


@dataclass(slots=True)
class _Loader:
    """What was found so far; where we are is in the arguments."""

    reading: Reading
    surroundings: Surroundings
    is_trusted: IsTrusted
    drafts: list[Draft] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    included: int = 0

    def read_source(self, source: Source) -> None:
        try:
            self._read(source, around=None, depth=0)
        except FileNotFoundError as error:
            if source.is_required:
                self._complain(f"Can't open user config file: {error.strerror}", str(source.path))
        except OSError as error:
            self._complain(f"Can't open user config file: {error.strerror}", str(source.path))

    def _read(self, source: Source, *, around: int | None, depth: int) -> None:
        """
        Read a file and what it includes.

        Args:
            source: The file.
            around: Gate that the including line stands behind.
            depth: How many files include this one.

        Raises:
            OSError: The file cannot be read.
        """
        name = str(source.path)
        data = self._content(source)
        if data is None:
            return
        is_trusted = self.is_trusted(source.path, data)
        gate = around
        self.drafts.append(Draft(gate))
        for number, text in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
            try:
                line = parse_line(text, self.reading)
            except ValueError as error:
                self._complain(str(error), name, number)
                continue
            if line is not None and not is_trusted:
                self._check_trust(line, name, number)
            match line:
                case Block():
                    gate = len(self.gates)
                    self.gates.append(Gate(around, line.condition, f"{name}:{number}"))
                    self.drafts.append(Draft(gate))
                case Include():
                    self._include(line, source, number, gate=gate, depth=depth + 1)
                    self.drafts.append(Draft(gate))
                case Settings() | Unknown() | Warned():
                    self._add(line, name, number)

    def _content(self, source: Source) -> bytes | None:
        """Return what is in the file, or None if it is refused."""
        try:
            file = source.path.open("rb")
        except IsADirectoryError:
            return b""  # an empty file to ssh
        with file:
            status = os.fstat(file.fileno())
            if source.checks_owner and not self._is_ours_alone(status):
                self._complain(
                    "Bad owner or permissions: the file must belong to you or to root, "
                    "and nobody else may write to it",
                    str(source.path),
                    hint=f"chmod go-w {shlex.quote(str(source.path))}",
                )
                return None
            data = file.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            self._complain(f"larger than {_LARGEST_BYTES // 2**20} MiB", str(source.path))
            return None
        return data

    def _is_ours_alone(self, status: os.stat_result) -> bool:
        if status.st_uid not in (0, self.surroundings.uid) or status.st_mode & 0o002:
            return False
        # Debian's patch: a group that is ours alone may write.
        is_group_writable = status.st_mode & 0o020
        return not is_group_writable or self.surroundings.is_private_group(status.st_gid)

    def _include(
        self, line: Include, source: Source, number: int, *, gate: int | None, depth: int
    ) -> None:
        name = str(source.path)
        for pattern in line.patterns:
            try:
                paths = find_files(pattern, self.surroundings, is_system=source.is_system)
            except ValueError as error:
                self._complain(str(error), name, number)
                continue
            for path in paths:
                self.included += 1
                if depth > _DEEPEST or self.included > _MOST_INCLUDED:
                    # A file that includes itself would go on for ever: stop at once, as ssh does.
                    self._complain("Too many recursive configuration includes", name, number)
                    raise UsageError(problems=self.problems)
                try:
                    inner = Source(Path(path), is_system=source.is_system)
                    self._read(inner, around=gate, depth=depth)
                except OSError as error:
                    message = f"Can't open user config file {path}: {error.strerror}"
                    self._complain(message, name, number)

    def _add(self, line: Settings | Unknown | Warned, name: str, number: int) -> None:
        draft = self.drafts[-1]
        match line:
            case Settings():
                if line.keyword.key == "ignoreunknown":
                    self.ignored.append(line.value[0])
                step = line.step(f"{name}:{number}")
                if not line.keyword.is_global:
                    draft.steps.append(step)
                    return
            case Unknown():
                # Whether an IgnoreUnknown counts can depend on the host; without one, it is wrong.
                if not any(_names(patterns, line.keyword) for patterns in self.ignored):
                    message = f"Bad configuration option: {line.keyword}"
                    self._complain(message, name, number, hint=line.hint or None)
                    return
                step = line.step(f"{name}:{number}")
            case Warned():
                self.warnings.append(Problem(line.message, name, number))
                return
        self.drafts.append(Draft(None, [step]))
        self.drafts.append(Draft(draft.gate))

    def _check_trust(self, line: Line, name: str, number: int) -> None:
        match line:
            case Settings():
                effect = objection(line.keyword.key, line.value, self.reading.dialect)
                subject = line.keyword.name
            case Block():
                effect, subject = condition_objection(line.condition), "Match exec"
            case _:
                return
        if effect is not None:
            message = f"{subject} {effect}, which only a trusted file may do"
            self._complain(message, name, number, hint=trust_hint(name))

    def _complain(
        self, message: str, file: str, line: int | None = None, *, hint: str | None = None
    ) -> None:
        self.problems.append(Problem(message, file, line, None, hint))


def _names(patterns: str, keyword: str) -> bool:
    return parse_pattern_list(patterns, lower=True).matches(octets(keyword))
