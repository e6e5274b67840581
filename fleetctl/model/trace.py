"""
What happened to one host so far: filled in while it is tried, read when its result is made.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleetctl.model.result import ExecResult, PhaseTimes, Ran


@dataclass(slots=True)
class Trace:
    """
    The record of one host's attempt. Mutable on purpose: each layer notes what it knows.

    Attributes:
        ran: See `fleetctl.model.result.Ran`; ``no`` until the exec request leaves.
        address: IP address reached.
        phase: The phase being worked on, for deadlines.
        partial: What a command had done when it was interrupted.
        resolve_s: Seconds, like the other times; None for a phase not entered.
    """

    ran: Ran = "no"
    address: str | None = None
    phase: str = "resolve"
    partial: ExecResult | None = None
    resolve_s: float | None = None
    connect_s: float | None = None
    kex_s: float | None = None
    auth_s: float | None = None
    session_s: float | None = None
    command_s: float | None = None

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
