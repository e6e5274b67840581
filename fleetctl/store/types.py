"""
What the store is told about a run, and what it tells: plain data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, ParamSpec, Protocol, TypeVar

from fleetctl.model.failure import Failure, Status
from fleetctl.model.result import PhaseTimes, Ran

P = ParamSpec("P")
T = TypeVar("T")

#: ``lost``: whoever ran it is gone without a word (kill -9, power), and nobody will finish it.
RunState = Literal["running", "finished", "lost"]

StreamName = Literal["stdout", "stderr"]

Redact = Callable[[bytes], bytes]

MIB = 1024 * 1024


class InThread(Protocol):
    """Calls a blocking function in a thread, and waits for its value without blocking the loop."""

    def __call__(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]: ...


class StoreError(Exception):
    """
    The store cannot be read or written: locked, damaged, full, out of reach.

    Attributes:
        message: What is wrong, and where.
        hint: What to do next, or None.
        exit_code: 6.
    """

    exit_code = 6

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """
    Where the store is.

    Attributes:
        folder: State folder of the user. Made for its owner alone when it is not there; one that
            belongs to somebody else, or that others can write to, is refused.
        url: Of a PostgreSQL database (``postgresql://user@host/name``); None for SQLite in the
            folder. Its password belongs into ``~/.pgpass`` or a service file, not here.
    """

    folder: Path
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """
    What may be forgotten; a run that is not over never is.

    Attributes:
        max_age: Older runs go; None for no limit.
        max_runs: Only so many of the newest stay; None for no limit.
        max_bytes: The oldest go while runs and outputs take more than that; None for no limit.
    """

    max_age: timedelta | None = timedelta(days=90)
    max_runs: int | None = 1000
    max_bytes: int | None = 1024 * MIB


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """
    How much the store takes in, and how long it is waited for.

    Attributes:
        output_bytes: Kept of one stream of one host: head and tail if there is more.
        run_bytes: Kept of all different outputs of a run; what is beyond is not kept, only its
            hash and size.
        notices: Kept of a run.
        lock_s: How long another writer is waited for before the run goes on without the store.
        memory_bytes: Outputs held for a store that cannot be written, in the hope that it can be
            later. Results beyond are held without their output.
    """

    output_bytes: int = 4 * MIB
    run_bytes: int = 1024 * MIB
    notices: int = 1000
    lock_s: float = 10.0
    memory_bytes: int = 64 * MIB


@dataclass(frozen=True, slots=True)
class InputFile:
    """
    A file that decided what a run did.

    Attributes:
        role: ``inventory``, ``playbook``, ``script``, ``expect`` or ``vars``.
        path: As the user would recognise it.
        sha256: Of its content as it was read, in hexadecimal digits. Of a folder, of the names and
            hashes of all files read from it.
    """

    role: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """
    What is recorded about a run besides its hosts.

    Attributes:
        argv: The command line, ``fleetctl`` included: `rerun` and `resume` start from it.
        pattern: The word that named the hosts.
        cwd: Where the command line was given; relative paths in it count from there.
        user: Who gave it, ``alice``; with sudo ``alice (root)``.
        controller: Name of this machine.
        pid: Of this process.
        version: Of fleetctl.
        inputs: Inventory and other files, with hashes.
        inventory_hash: One hash over the inventory, to notice that it has changed; may be empty.
        policy: Forks, retries, rollout, limits and the like; JSON types only.
        operation: ``kind`` and what describes it; JSON types only.
    """

    argv: tuple[str, ...]
    pattern: str
    cwd: str
    user: str
    controller: str
    pid: int
    version: str
    inputs: tuple[InputFile, ...] = ()
    inventory_hash: str = ""
    policy: Mapping[str, object] = field(default_factory=dict)
    operation: Mapping[str, object] = field(default_factory=dict)


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
