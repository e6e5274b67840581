"""
Runs for the store: small ones, made up, recorded and looked at.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from fleetctl.model.events import HostFinished, RunFinished
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, HostResult, Outcome, PhaseTimes
from fleetctl.model.run import Assignment, Run
from fleetctl.ssh.blocking import in_thread
from fleetctl.store.history import History, open_history
from fleetctl.store.recorder import Recorder
from fleetctl.store.types import (
    InputFile,
    Redact,
    Retention,
    RunFacts,
    StoreLimits,
    StoreLocation,
)

T = TypeVar("T")

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)

FACTS = RunFacts(
    argv=("fleetctl", "run", "web*", "--", "uptime"),
    pattern="web*",
    cwd="/home/alice",
    user="alice",
    controller="ctl1",
    pid=4711,
    version="0.1.0",
    inputs=(InputFile("inventory", "inventories/prod.yml", "ab" * 32),),
    inventory_hash="cd" * 32,
    policy={"forks": 100, "serial": ["10%"]},
    operation={"kind": "command", "command": "uptime"},
)


@dataclass(frozen=True)
class Nothing:
    """An operation that is never run: the store only hears of results."""

    @property
    def kind(self) -> str:
        return "nothing"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        raise NotImplementedError


def hosts_named(names: Iterable[str]) -> list[Host]:
    return [Host(name) for name in names]


def web(count: int) -> list[Host]:
    """web1, web2 and so on."""
    return hosts_named(f"web{number}" for number in range(1, count + 1))


def make_run(run_id: str, hosts: Sequence[Host], *, label: str = "uptime") -> Run:
    operation: Operation = Nothing()
    return Run(run_id, label, [Assignment(host, operation) for host in hosts])


def wrote(
    host: Host, stdout: bytes = b"", stderr: bytes = b"", *, exit_status: int = 0
) -> HostResult:
    """A host whose command ended by itself."""
    run = ExecResult(
        exit_status,
        stdout=stdout,
        stderr=stderr,
        stdout_bytes=len(stdout),
        stderr_bytes=len(stderr),
    )
    failure = Failure("exec.nonzero", f"exit status {exit_status}") if exit_status else None
    outcome = Outcome("failed" if exit_status else "ok", True, run, failure=failure)
    return HostResult(
        host,
        outcome,
        ran="yes",
        started_at=NOON,
        duration_s=0.25,
        phases=PhaseTimes(None, 0.01, 0.02, 0.03, 0.04, 0.15),
        attempts=1,
        address="10.0.0.7",
    )


def gave_up(host: Host, kind: str, message: str = "no") -> HostResult:
    """A host on which nothing ran."""
    status = {"connect": "unreachable", "run": "cancelled"}[kind.partition(".")[0]]
    outcome = Outcome(status, failure=Failure(kind, message))  # type: ignore[arg-type]
    return HostResult(host, outcome, attempts=1, started_at=NOON)


def finished(results: Iterable[HostResult]) -> list[HostFinished]:
    return [HostFinished(result, NOON) for result in results]


def over(run: Run, results: Sequence[HostResult], **more: Any) -> RunFinished:
    counts: dict[str, int] = {}
    for result in results:
        counts[result.outcome.status] = counts.get(result.outcome.status, 0) + 1
    return RunFinished(run.id, NOON, 1.5, counts, **more)


@dataclass
class Place:
    """
    A store in a folder of a test, or a database of one.

    Attributes:
        warnings: What recorders said.
    """

    location: StoreLocation
    limits: StoreLimits = field(default_factory=lambda: StoreLimits(lock_s=20.0))
    redact: Redact | None = None
    warnings: list[str] = field(default_factory=list)
    find_stranger: Callable[[Path], str | None] = lambda path: None
    numbers: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def recorder(self, retention: Retention | None = None) -> Recorder:
        return Recorder(
            self.location,
            in_thread=in_thread,
            find_stranger=self.find_stranger,
            redact=self.redact,
            limits=self.limits,
            retention=retention,
            warn=self.warnings.append,
        )

    @asynccontextmanager
    async def history(self) -> AsyncIterator[History]:
        async with open_history(
            self.location,
            in_thread=in_thread,
            find_stranger=self.find_stranger,
            limits=self.limits,
        ) as history:
            yield history

    async def record(
        self,
        run_id: str,
        results: Sequence[HostResult],
        *,
        others: Sequence[Host] = (),
        facts: RunFacts = FACTS,
        retention: Retention | None = None,
        label: str = "uptime",
    ) -> Recorder:
        """Record a run of which all hosts but the others have a result."""
        run = make_run(run_id, [*(result.host for result in results), *others], label=label)
        recorder = self.recorder(retention)
        await recorder.start(run, facts)
        ran = [result.host for result in results if result.ran != "no"]
        await asyncio.gather(*map(recorder.starting, ran))
        await recorder.record([*finished(results), over(run, results)])
        await recorder.finish(0)
        return recorder

    async def lose(
        self,
        run_id: str,
        *,
        done: Sequence[HostResult],
        begun: Sequence[Host],
        rest: Sequence[Host],
    ) -> None:
        """Record a run that is left in its middle, as if its process were killed."""
        hosts = [*(result.host for result in done), *begun, *rest]
        recorder = self.recorder()
        await recorder.start(make_run(run_id, hosts), FACTS)
        for host in begun:
            await recorder.starting(host)
        await recorder.record(finished(done))
        await recorder.finish()


def run_async(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(main())


def truncated(result: HostResult) -> HostResult:
    """The same, of a host that wrote more than was kept."""
    run = result.outcome.result
    assert run is not None
    more = replace(run, stdout_bytes=run.stdout_bytes + 100, truncated=True)
    return replace(result, outcome=replace(result.outcome, result=more))
