"""
What the store is told: where it is, how much it takes in, and what a run is. Plain data.

A run needs nothing else of `fleetctl.store.types`, which has this too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Says who besides the user can change what stands at a path, or None.
FindStranger = Callable[[Path], str | None]

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
