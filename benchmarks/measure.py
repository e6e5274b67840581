"""
Run one program and measure its whole process tree: wall, CPU, memory.

Linux only: reads ``/proc``. Knows nothing of SSH.

Source: getrusage(2), wait4(2), proc(5).
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_INTERVAL_S = 0.1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measurement:
    """
    One run of one program.

    Attributes:
        exit_code: Negative for a signal, as in `subprocess`.
        cpu_s: User and system time of the program and all its descendants that were waited for.
        largest_rss_bytes: Peak of the one process of the tree that had the most.
        tree_rss_bytes: Highest sum over the tree that a sample every 0.1 s saw; pages that
            processes share count once for each.
    """

    exit_code: int
    timed_out: bool
    wall_s: float
    cpu_s: float
    largest_rss_bytes: int
    tree_rss_bytes: int


def descendants(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found = [pid]
    for parent in found:
        try:
            tasks = list(Path(f"/proc/{parent}/task").iterdir())
            lists = [(task / "children").read_text() for task in tasks]
        except OSError:
            continue
        found.extend(int(child) for text in lists for child in text.split())
    return found


def cpu_of_tree_s(pid: int) -> float:
    """CPU seconds of a living process and of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # Fields 14 to 17 of proc(5), counted from the third.
    return sum(map(int, fields[11:15])) / TICKS_PER_S


def busy_s() -> float:
    """CPU seconds that all cores together have worked since boot."""
    user, nice, system, _idle, _iowait, irq, softirq = map(
        int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    )
    return (user + nice + system + irq + softirq) / TICKS_PER_S


def rss_of_tree_bytes(pid: int) -> int:
    """Resident memory of a process and all its descendants, summed."""
    pages = 0
    for member in descendants(pid):
        try:
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * PAGE_BYTES


def run_measured(
    argv: Sequence[str], env: Mapping[str, str], stdout: Path, stderr: Path, timeout_s: float
) -> Measurement:
    """
    Run a program to its end, or kill its process group after ``timeout_s``.

    Output goes to the two files, so that reading it costs the measurement nothing.
    """
    ended = threading.Event()
    peak = 0
    timed_out = False

    def watch(pid: int, deadline_s: float) -> None:
        nonlocal peak, timed_out
        while not ended.wait(SAMPLE_INTERVAL_S):
            peak = max(peak, rss_of_tree_bytes(pid))
            if time.monotonic() > deadline_s and not timed_out:
                timed_out = True
                os.killpg(pid, signal.SIGKILL)

    with stdout.open("wb") as out, stderr.open("wb") as err:
        started_s = time.monotonic()
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        watcher = threading.Thread(target=watch, args=(process.pid, started_s + timeout_s))
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.monotonic() - started_s
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            ended.set()
            watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    largest = usage.ru_maxrss * 1024
    return Measurement(
        exit_code=process.returncode,
        timed_out=timed_out,
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        largest_rss_bytes=largest,
        tree_rss_bytes=max(peak, largest),
    )
