"""
What the store is told about a run, and what it tells: plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from fleetctl.model.failure import Failure, Status
from fleetctl.model.result import PhaseTimes, Ran
from fleetctl.store.facts import (
    MIB,
    InputFile,
    InThread,
    Redact,
    Retention,
    RunFacts,
    StoreError,
    StoreLimits,
    StoreLocation,
)

__all__ = [
    "MIB",
    "HostFilter",
    "HostRecord",
    "InThread",
    "InputFile",
    "NoticeRecord",
    "OutputClass",
    "Redact",
    "Retention",
    "RunFacts",
    "RunRecord",
    "RunState",
    "StoreError",
    "StoreLimits",
    "StoreLocation",
    "StoredOutput",
    "StreamName",
]

#: ``lost``: whoever ran it is gone without a word (kill -9, power), and nobody will finish it.
RunState = Literal["running", "finished", "lost"]

StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """
    One recorded run.

    Attributes:
        id: As in the events of the run.
        state: See `RunState`.
        started_at: UTC, aware.
        finished_at: The same; None unless ``finished``.
        duration_s: None unless ``finished``.
        counts: Status -> number of hosts that have a result.
        host_count: Hosts of the run, with a result or not.
        interrupted_by: Signal name (``INT``), or None.
        exit_code: Of the command, or None if it was never told.
        lost: What of the run could not be recorded, in words; None if it is all here.
    """

    id: str
    label: str
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None
    check: bool
    host_count: int
    counts: Mapping[str, int]
    facts: RunFacts
    interrupted_by: str | None = None
    exit_code: int | None = None
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """
    What a host wrote to one stream, by reference; `History.output` has the bytes.

    Attributes:
        sha256: Of what is kept, in hexadecimal digits; empty if the host wrote nothing.
        sent_bytes: Bytes the host sent.
        kept_bytes: Bytes the store has: head and tail if fewer than were sent, 0 if none was kept.
    """

    sha256: str = ""
    sent_bytes: int = 0
    kept_bytes: int = 0


@dataclass(frozen=True, slots=True)
class HostRecord:
    """
    One host of a recorded run.

    Attributes:
        position: In the order of the run, from 0.
        status: None while it has no result, and for ever if the run was lost.
        ran: ``unknown`` from the moment its command may have left until there is a result.
        class_number: Of its output class in the run, from 1, biggest first; None without a result.
        stdout: What it wrote.
        stderr: The same for the other stream.
        data: Further facts of the operation.
        phases: Seconds per phase.
        finished_at: When the result was made; UTC, aware.

    The other fields are those of `fleetctl.model.result.HostResult` and its parts.
    """

    name: str
    position: int
    status: Status | None
    ran: Ran
    class_number: int | None = None
    changed: bool = False
    exit_status: int | None = None
    exit_signal: str | None = None
    stdout: StoredOutput = field(default_factory=StoredOutput)
    stderr: StoredOutput = field(default_factory=StoredOutput)
    truncated: bool = False
    output_complete: bool = True
    gone: bool | None = None
    refused_env: tuple[str, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)
    diff: str | None = None
    failure: Failure | None = None
    address: str | None = None
    port: int | None = None
    user: str | None = None
    attempts: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_s: float = 0.0
    phases: PhaseTimes = field(default_factory=PhaseTimes)


@dataclass(frozen=True, slots=True)
class HostFilter:
    """
    Which hosts of a run are wanted; what is empty or None does not narrow.

    Attributes:
        statuses: Any of these.
        ran: Any of these.
        class_number: In this output class.
        changed: Whether the host was changed.
        has_result: Whether it has a result.
        names: Any of these.
    """

    statuses: tuple[Status, ...] = ()
    ran: tuple[Ran, ...] = ()
    class_number: int | None = None
    changed: bool | None = None
    has_result: bool | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputClass:
    """
    Hosts that ended alike and wrote the same.

    Attributes:
        number: From 1, biggest first; of equal size, the one whose first host comes first.
        names: In the order of the run.
        sample: The first of them.
    """

    number: int
    names: tuple[str, ...]
    sample: HostRecord


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """Something the operator was told during a run."""

    kind: str
    message: str
    at: datetime
    host: str | None = None
    hint: str | None = None
