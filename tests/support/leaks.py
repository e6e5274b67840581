"""
What a test may leave behind: nothing.

A `Snapshot` holds the threads, child processes, open descriptors, asyncio tasks and Paramiko
transports of this process; the difference of two is what leaked. The guard that uses it is in
``tests/conftest.py``.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_POLL_S = 0.01


@dataclass(frozen=True)
class Snapshot:
    """
    What exists now, each thing with a line that describes it.

    Attributes:
        found: Key -> description. Keys are values or the things themselves, never an address that
            a later thing could get again.
    """

    found: Mapping[object, str] = field(default_factory=dict)

    @classmethod
    def take(cls, *, ignored_pids: Collection[int] = ()) -> Snapshot:
        """Look round; ``ignored_pids`` are child processes that belong to the test run."""
        return cls(
            {
                **_threads(),
                **_children(ignored_pids),
                **_descriptors(),
                **_tasks(),
                **_transports(),
            }
        )

    def leaked_since(self, before: Snapshot) -> list[str]:
        """Return descriptions of what is here now and was not before, sorted."""
        return sorted(text for key, text in self.found.items() if key not in before.found)


def settle(before: Snapshot, ignored_pids: Collection[int], *, timeout_s: float) -> list[str]:
    """
    Wait until nothing has leaked since ``before``, and return what still has after ``timeout_s``.

    Threads and processes that are told to end need a moment; garbage is collected first.
    """
    until = time.monotonic() + timeout_s
    while leaked := Snapshot.take(ignored_pids=ignored_pids).leaked_since(before):
        if time.monotonic() > until:
            return leaked
        gc.collect()
        time.sleep(_POLL_S)
    return []


def _threads() -> dict[object, str]:
    return {thread: f"thread {thread.name}" for thread in threading.enumerate()}


def _children(ignored_pids: Collection[int]) -> dict[object, str]:
    pids = child_pids() - set(ignored_pids)
    return {("child", pid): f"child process {pid}: {_command(pid)}" for pid in pids}


def child_pids() -> set[int]:
    """Return the child processes of this process, ended ones that nobody reaped included."""
    own = str(os.getpid()).encode()
    found = set()
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        # Processes of others end while they are looked at.
        with suppress(OSError):
            if entry.isdecimal():
                stat = Path("/proc", entry, "stat").read_bytes()
                if stat.rpartition(b")")[2].split()[1] == own:
                    found.add(int(entry))
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() or "ended"
    except OSError:
        return "ended"


def _descriptors() -> dict[object, str]:
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found: dict[object, str] = {}
    for entry in os.listdir(folder):
        number = int(entry)
        # One of them was the listing itself.
        with suppress(OSError):
            status = os.fstat(number)
            try:
                name = os.readlink(f"{folder}/{entry}")
            except OSError:
                name = "?"
            found["fd", number, status.st_dev, status.st_ino] = f"descriptor {number}: {name}"
    return found


def _tasks() -> dict[object, str]:
    # all_tasks() asks for one loop; a leaked task may belong to a loop nobody runs any more.
    tasks = getattr(asyncio.tasks, "_scheduled_tasks", None)
    if tasks is None:
        tasks = asyncio.tasks._all_tasks  # type: ignore[attr-defined] # Python 3.11's name
    return {task: f"pending {task!r}" for task in list(tasks) if not task.done()}


def _transports() -> dict[object, str]:
    module = sys.modules.get("paramiko.transport")
    if module is None:
        return {}
    return {transport: f"transport {transport!r}" for transport in module._active_threads}
