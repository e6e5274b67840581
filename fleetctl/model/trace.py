"""
What happened to one host so far: filled in while it is tried, read when its result is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fleetctl.model.finding import Finding
from fleetctl.model.result import ExecResult, PhaseTimes, Ran


class Turn(Protocol):
    """
    A host's turn to work, which it lends to another while it can only wait.

    Limits on how many hosts work at once count those that have their turn.
    """

    def lend(self) -> None:
        """Let another work meanwhile; does nothing if it is lent already."""
        ...

    async def take_back(self) -> None:
        """Wait for a turn again; does nothing if it is not lent."""
        ...

    def notice(self, message: str) -> None:
        """Tell the operator what is waited for, and why."""
        ...


@dataclass(slots=True)
class Trace:
    """
    The record of one host's attempt. Mutable on purpose: each layer notes what it knows.

    Attributes:
        ran: See `fleetctl.model.result.Ran`; ``no`` until the exec request leaves.
        address: IP address reached.
        phase: The phase being worked on, for deadlines.
        partial: What a command had done when it was interrupted.
        left: Which processes of an interrupted command are left on the host, or why nobody knows;
            None if all are gone.
        findings: What was found out on the way, where somebody wants to know.
        turn: Lent while the host only waits; None if nobody else could use it.
        resolve_s: Seconds, like the other times; None for a phase not entered.
    """

    ran: Ran = "no"
    address: str | None = None
    phase: str = "resolve"
    partial: ExecResult | None = None
    left: str | None = None
    findings: list[Finding] | None = None
    turn: Turn | None = None
    resolve_s: float | None = None
    connect_s: float | None = None
    kex_s: float | None = None
    auth_s: float | None = None
    session_s: float | None = None
    command_s: float | None = None

    def start_over(self) -> None:
        """Another try to connect begins: what the last one reached does not count."""
        self.address = self.resolve_s = self.connect_s = self.kex_s = self.auth_s = None

    def phases(self) -> PhaseTimes:
        """Return the times so far as a value."""
        return PhaseTimes(
            resolve_s=self.resolve_s,
            connect_s=self.connect_s,
            kex_s=self.kex_s,
            auth_s=self.auth_s,
            session_s=self.session_s,
            command_s=self.command_s,
        )
