"""
A configuration as it is kept in memory: blocks that can be searched quickly.

It is made by `fleetctl.sshconfig.load` and asked by `fleetctl.sshconfig.resolve`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from fleetctl.model.errors import Problem
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.canonical import Lookup
from fleetctl.sshconfig.dialect import Dialect
from fleetctl.sshconfig.index import Index
from fleetctl.sshconfig.match import HostCondition, MatchCondition
from fleetctl.sshconfig.state import Step
from fleetctl.sshconfig.surroundings import Surroundings

#: Runs a command in a shell and returns its exit status, negative if a signal ended it.
Run: TypeAlias = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Gate:
    """
    A condition that decides over segments.

    Attributes:
        parent: Number of the gate round it, or None.
        condition: What must apply.
        origin: ``file:line``.
    """

    parent: int | None
    condition: HostCondition | MatchCondition
    origin: str


@dataclass(slots=True)
class Segment:
    """
    Lines that count together.

    Attributes:
        gate: Number of the gate before them, or None if they always count.
        steps: The lines. Filled while the files are read, not changed later.
    """

    gate: int | None
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Config:
    """
    All files, read.

    Attributes:
        segments: In the order of the files.
        gates: By number.
        index: Which segments a host can need.
        surroundings: This machine and this user.
        dialect: What ssh supports.
        defaults: Values of what nothing sets, finished.
        run: Runs the commands of Match exec, each text once; None: they are refused.
        lookup: Asks the DNS; None: what needs it is refused.
        wants_final: Do Match lines ask for a second pass?
        warnings: Lines without effect.
    """

    segments: tuple[Segment, ...]
    gates: tuple[Gate, ...]
    index: Index
    surroundings: Surroundings
    dialect: Dialect
    defaults: Mapping[str, Value]
    run: Run | None
    lookup: Lookup | None
    wants_final: bool
    warnings: tuple[Problem, ...]
