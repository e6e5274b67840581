"""
Facts about a run, in order.

Every host in `RunStarted.hosts` gets exactly one `HostFinished`, tried or not; `RunFinished` is
last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from fleetctl.model.host import Host
from fleetctl.model.result import HostResult

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run is admitted; nothing was contacted yet."""

    run_id: str
    label: str
    hosts: tuple[Host, ...]
    at: datetime
    check: bool = False


@dataclass(frozen=True, slots=True)
class HostStarted:
    """The host got its slot; connecting begins."""

    host: Host
    at: datetime


@dataclass(frozen=True, slots=True)
class Output:
    """
    Bytes a host wrote, as they came; not split at lines or characters.

    Sent only if the run was started with live output; the result holds them all the same.
    """

    host: Host
    stream: Stream
    data: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class HostFinished:
    """The one result of a host."""

    result: HostResult
    at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """
    Something the operator should know that is not a result: a retry, a wait, a warning.

    Attributes:
        kind: Stable name, such as ``retry`` or ``settings.ignored``.
        host: The host concerned, or None.
    """

    kind: str
    message: str
    at: datetime
    host: Host | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    """
    The last event of a run.

    Attributes:
        counts: Status -> number of hosts; only statuses that occurred.
        interrupted_by: Signal name (``INT``, ``TERM``, ``HUP``) or None.
    """

    run_id: str
    at: datetime
    duration_s: float
    counts: Mapping[str, int] = field(default_factory=dict)
    interrupted_by: str | None = None


Event: TypeAlias = RunStarted | HostStarted | Output | HostFinished | Notice | RunFinished
