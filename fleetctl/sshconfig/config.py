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
from fleetctl.sshconfig.blocks import Gate, Segment
from fleetctl.sshconfig.canonical import Lookup
from fleetctl.sshconfig.dialect import Dialect
from fleetctl.sshconfig.index import Index
from fleetctl.sshconfig.outcome import Outcomes
from fleetctl.sshconfig.routes import Routes
from fleetctl.sshconfig.surroundings import Surroundings

#: Runs a command in a shell and returns its exit status, negative if a signal ended it.
Run: TypeAlias = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Config:
    """
    All files, read.

    Attributes:
        segments: In the order of the files.
        gates: By number.
        index: Which segments a host can need by its name alone.
        routes: Which others it can need.
        surroundings: This machine and this user.
        dialect: What ssh supports.
        defaults: Values of what nothing sets, finished.
        run: Runs the commands of Match exec, each text once; None: they are refused.
        lookup: Asks the DNS; None: what needs it is refused.
        wants_final: Do Match lines ask for a second pass?
        warnings: Lines without effect.
        outcomes: What was found out for hosts resolved before.
    """

    segments: tuple[Segment, ...]
    gates: tuple[Gate, ...]
    index: Index
    routes: Routes
    surroundings: Surroundings
    dialect: Dialect
    defaults: Mapping[str, Value]
    run: Run | None
    lookup: Lookup | None
    wants_final: bool
    warnings: tuple[Problem, ...]
    outcomes: Outcomes = field(default_factory=Outcomes, init=False, repr=False, compare=False)
