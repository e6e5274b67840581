"""
What came back from hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from fleetctl.model.failure import Failure, Status
from fleetctl.model.host import Host

#: Whether the operation ran on the host: ``unknown`` when the link was lost after it was sent.
Ran = Literal["no", "yes", "unknown"]


@dataclass(frozen=True, slots=True)
class ExecResult:
    """
    How one command ended and what it wrote.

    Attributes:
        exit_status: 0-255, or None if the server sent none.
        exit_signal: Name without SIG (``KILL``), or None.
        stdout: Bytes kept (head and tail if truncated).
        stderr: The same for the other stream.
        stdout_bytes: Bytes the host sent, kept or not.
        stderr_bytes: The same for the other stream.
        truncated: True if bytes of either stream were dropped because of the limit.
        output_complete: False if the stream had not ended when the result was made (a child in the
            background keeps stdout open, or the link was lost).
        duration_s: From sending the request to the end.
        gone: None if the command ended by itself; else it was ended from here, and True if none of
            its processes is left on the host, False if some may be.
        refused_env: Variables the server did not take.

    Source: RFC 4254 section 6.10.
    """

    exit_status: int | None
    exit_signal: str | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False
    output_complete: bool = True
    duration_s: float = 0.0
    gone: bool | None = None
    refused_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What an operation returned on one host.

    Attributes:
        status: See `Status`.
        changed: True if the host is different from before, or may be, as after a command.
        result: The exec result, if a command was involved.
        data: Further facts for sinks and playbooks; JSON types only.
        diff: Unified diff of what changed or would change, or None.
        failure: Why, unless status is ok.
    """

    status: Status
    changed: bool = False
    result: ExecResult | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    diff: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """
    Seconds spent per phase; None for a phase that was not entered.

    The version exchange and the host key count as ``kex_s``. A reused connection has only
    ``session_s`` and ``command_s``.
    """

    resolve_s: float | None = None
    connect_s: float | None = None
    kex_s: float | None = None
    auth_s: float | None = None
    session_s: float | None = None
    command_s: float | None = None


@dataclass(frozen=True, slots=True)
class HostResult:
    """
    The one result a host gets in a run.

    Attributes:
        host: The host as it was resolved for the run.
        address: IP address reached, or None.
        ran: See `Ran`.
        started_at: UTC, aware; None if the host was never started.
        duration_s: From start to end, 0 if never started.
        attempts: How often a connection was tried for it (0 when never started).
    """

    host: Host
    outcome: Outcome
    ran: Ran = "no"
    started_at: datetime | None = None
    duration_s: float = 0.0
    phases: PhaseTimes = field(default_factory=PhaseTimes)
    attempts: int = 0
    address: str | None = None
