"""
One execution over some hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetctl.model.host import Host
from fleetctl.model.operation import Operation

if TYPE_CHECKING:
    from fleetctl.model.rollout import Rollout

DEFAULT_FORKS = 100
#: Most connections of a process that are not logged in yet (ADR 0011); of hosts that can only
#: wait there may be more (ADR 0013).
DEFAULT_MAX_HANDSHAKES = 256
#: The same per address and port, below what sshd's MaxStartups (10:30:100) begins to refuse.
DEFAULT_HANDSHAKES_PER_ENDPOINT = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How hard a run may push.

    Attributes:
        forks: Most hosts in flight at once.
        retries: How often a host is tried again, only while nothing ran on it.
        total_timeout_s: Limit for the whole run, None for none.
        max_down: Name of a variable -> how many hosts that share its value may be down at once:
            at work, or failed.
    """

    forks: int = DEFAULT_FORKS
    retries: int = 0
    total_timeout_s: float | None = None
    max_down: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.forks < 1:
            raise ValueError(f"forks must be at least 1, not {self.forks}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One operation on one host."""

    host: Host
    operation: Operation


@dataclass(frozen=True, slots=True)
class Run:
    """
    One execution, with an id, over some assignments.

    Attributes:
        id: Unique; sorts by time.
        label: What the user calls it, or the command line.
        assignments: At most one per host name, in the order of the pattern.
        check: Look, do not touch.
        rollout: In which order and steps; None for all in the order given.
    """

    id: str
    label: str
    assignments: Sequence[Assignment]
    limits: Limits = field(default_factory=Limits)
    check: bool = False
    rollout: Rollout | None = None
