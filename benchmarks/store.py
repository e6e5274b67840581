"""
What the history takes in, and what it costs: ``.venv/bin/python benchmarks/store.py [cpu | URL]``.

One run of 10 000 hosts whose results come in batches, as from an engine at full speed: the journal
first, then the results. Outputs of 200 bytes, of which all are equal, or no two. With the URL of a
PostgreSQL database, which gets runs that nobody needs, that one is measured instead of SQLite.

``cpu`` measures what a run pays for being recorded: the CPU of a fresh process that has 500 hosts
to see to, 100 at a time, with the history and without it, imports included; the median of 7.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fleetctl.model.events import HostFinished, RunFinished
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, HostResult, Outcome, PhaseTimes
from fleetctl.model.run import Assignment, Run
from fleetctl.ssh.blocking import in_thread

# The store is imported where it is used: what that costs is measured.
if TYPE_CHECKING:
    from fleetctl.store.facts import RunFacts, StoreLocation
    from fleetctl.store.recorder import Recorder

HOSTS = 10_000
BATCH = 100
OUTPUT_BYTES = 200
#: What the history promises.
WANTED_PER_S = 10_000
#: Hosts of the run whose CPU is measured, how many at a time, and how often.
CPU_HOSTS = 500
CPU_FORKS = 100
CPU_TIMES = 7
#: What the history promises for all of them.
WANTED_CPU_S = 0.06


def make_facts() -> RunFacts:
    from fleetctl.store.facts import RunFacts

    return RunFacts(("fleetctl",), "all", "/", "bench", "here", 1, "0")


@dataclass(frozen=True)
class Uptime:
    kind: str = "uptime"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        return Outcome("ok", result=await remote.exec(ExecRequest("uptime")))


def make_result(host: Host, number: int, *, is_equal: bool) -> HostResult:
    text = "the same everywhere " if is_equal else f"only on {host.name} "
    output = (text * OUTPUT_BYTES)[:OUTPUT_BYTES].encode()
    run = ExecResult(0, stdout=output, stdout_bytes=len(output))
    return HostResult(
        host,
        Outcome("ok", changed=True, result=run),
        ran="yes",
        started_at=datetime.now(UTC),
        duration_s=0.25,
        phases=PhaseTimes(0.001, 0.01, 0.02, 0.03, 0.04, 0.15),
        attempts=1,
        address=f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
    )


async def measure(location: StoreLocation, *, is_equal: bool) -> tuple[float, float]:
    """Return the results, and the journal entries with their results, taken in each second."""
    from fleetctl.store.history import open_history
    from fleetctl.store.recorder import Recorder

    hosts = [Host(f"host{number:05}") for number in range(HOSTS)]
    results = [make_result(host, n, is_equal=is_equal) for n, host in enumerate(hosts)]
    run_id = f"bench-{time.time_ns()}"
    recorder = Recorder(location, in_thread=in_thread, find_stranger=lambda path: None)
    await recorder.start(
        Run(run_id, "bench", [Assignment(one, Uptime()) for one in hosts]), make_facts()
    )
    begun = time.perf_counter()
    await start(recorder, hosts)
    between = time.perf_counter()
    await record(recorder, results)
    ended = time.perf_counter()
    await recorder.record([RunFinished(run_id, datetime.now(UTC), ended - begun, {"ok": HOSTS})])
    await recorder.finish(0)
    assert recorder.lost is None, recorder.lost
    async with open_history(
        location, in_thread=in_thread, find_stranger=lambda path: None
    ) as history:
        assert (await history.find("last")).counts == {"ok": HOSTS}
        assert len(await history.classes("last")) == (1 if is_equal else HOSTS)
    return HOSTS / (ended - between), HOSTS / (ended - begun)


async def start(recorder: Recorder, hosts: Sequence[Host]) -> None:
    """As many hosts are about to start at once as batches of results are on their way."""
    room = asyncio.Semaphore(20 * BATCH)

    async def one(host: Host) -> None:
        async with room:
            await recorder.starting(host)

    await asyncio.gather(*map(one, hosts))


async def record(recorder: Recorder, results: Sequence[HostResult]) -> None:
    """Several batches are on their way at once, as from an engine that does not wait."""
    room = asyncio.Semaphore(20)

    async def one(some: Sequence[HostResult]) -> None:
        async with room:
            await recorder.record([HostFinished(result, datetime.now(UTC)) for result in some])

    await asyncio.gather(*(one(results[at : at + BATCH]) for at in range(0, HOSTS, BATCH)))


def used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def one_run(folder: Path | None) -> float:
    """Return the CPU seconds of a run whose hosts keep the loop busy, recorded or not."""
    import fleetctl.engine.local
    import fleetctl.wiring  # noqa: F401

    hosts = [Host(f"host{number:05}") for number in range(CPU_HOSTS)]
    results = [make_result(host, n, is_equal=n % 10 != 0) for n, host in enumerate(hosts)]
    await in_thread(lambda: None)
    room = asyncio.Semaphore(CPU_FORKS)
    begun_s = used_s()
    recorder = None
    run = Run(f"cpu-{time.time_ns()}", "bench", [Assignment(host, Uptime()) for host in hosts])
    if folder is not None:
        from fleetctl.wiring.history import make_recorder

        recorder = make_recorder(folder)
        await recorder.start(run, make_facts())

    async def one(result: HostResult) -> None:
        async with room:
            if recorder is not None:
                await recorder.starting(result.host)
            for _ in range(4):
                await asyncio.sleep(0)
                sum(range(3000))  # stands for what a connection costs
            if recorder is not None:
                await recorder.record([HostFinished(result, datetime.now(UTC))])

    await asyncio.gather(*map(one, results))
    if recorder is not None:
        await recorder.record([RunFinished(run.id, datetime.now(UTC), 1.0, {"ok": CPU_HOSTS})])
        await recorder.finish(0)
        assert recorder.lost is None, recorder.lost
    return used_s() - begun_s


def measure_cpu() -> int:
    """Compare runs with and without the history, each in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        # The first pair makes the database, and whatever Python keeps of modules.
        for number in range(1 + CPU_TIMES):
            for place in ("", folder):
                words = [sys.executable, __file__, "one-run", place]
                used = float(subprocess.check_output(words, env=environ))
                if number:
                    times.setdefault(place, []).append(used)
    plain_s, recorded_s = map(statistics.median, times.values())
    cost_s = recorded_s - plain_s
    print(f"{plain_s * 1000:.1f} ms of CPU, recorded {recorded_s * 1000:.1f} ms")
    print(f"the history costs {cost_s * 1000:.1f} ms, {cost_s / CPU_HOSTS * 1e6:.0f} us a host")
    return 0 if cost_s <= WANTED_CPU_S else 1


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else None
    if word == "cpu":
        return measure_cpu()
    if word == "one-run":
        print(asyncio.run(one_run(Path(sys.argv[2]) if sys.argv[2] else None)))
        return 0
    return measure_results(word)


def measure_results(url: str | None) -> int:
    from fleetctl.store.facts import StoreLocation

    is_fast = True
    with tempfile.TemporaryDirectory() as folder:
        for is_equal in (True, False):
            place = Path(folder) / str(is_equal)
            best, whole = max(
                asyncio.run(measure(StoreLocation(place, url), is_equal=is_equal)) for _ in range(3)
            )
            size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
            print(
                f"{'equal' if is_equal else 'different'} outputs: {best:,.0f} results/s, "
                f"{whole:,.0f} with the journal; {size / 3 / HOSTS:.0f} bytes a host"
            )
            is_fast = is_fast and best >= WANTED_PER_S
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak} MiB")
    return 0 if is_fast else 1


if __name__ == "__main__":
    sys.exit(main())
