"""
What every engine promises, whatever it is made of.

Each promise is a coroutine function that is given an engine's maker and asserts. It looks at events
only, so that it also holds for engines whose connections are in other processes.
`test_engines.py` has the engines.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

from fleetctl.model.errors import FleetError
from fleetctl.model.events import Event, HostFinished, HostStarted, RunFinished, RunStarted
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, Operation
from fleetctl.model.remote import Remote
from fleetctl.model.result import HostResult, Outcome
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.testing import EventRecorder, HostScript, exited, record


class AnyEngine(Protocol):
    """What the command line needs of an engine; see `fleetctl.model.ports.Engine`."""

    def execute(self, run: Run) -> AsyncGenerator[Event, None]: ...

    def stop(self) -> None: ...

    def cancel(self) -> None: ...


#: Makes an engine over hosts that follow a script, and closes it.
MakeEngine = Callable[[Mapping[str, HostScript]], AbstractAsyncContextManager[AnyEngine]]
Promise = Callable[[MakeEngine], Coroutine[None, None, None]]

FIVE = [f"web{number}" for number in range(1, 6)]
SLOW = HostScript(delays_s={"command": 60})


@dataclass(frozen=True)
class Date:
    """Runs ``date``, or in check mode nothing."""

    @property
    def kind(self) -> str:
        return "date"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        if check:
            return Outcome("skipped")
        return Outcome("ok", result=await remote.exec(ExecRequest("date")))


@dataclass(frozen=True)
class Broken:
    """Raises what no operation should."""

    @property
    def kind(self) -> str:
        return "broken"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        raise LookupError("a mistake in an operation")


def run_of(
    names: list[str],
    *,
    limits: Limits | None = None,
    check: bool = False,
    operations: Mapping[str, Operation] | None = None,
) -> Run:
    chosen = operations or {}
    assignments = [Assignment(Host(name), chosen.get(name, Date())) for name in names]
    return Run("r1", "date", assignments, limits or Limits(), check=check)


def statuses(recorder: EventRecorder) -> dict[str, str]:
    return {name: result.outcome.status for name, result in recorder.results.items()}


async def a_run_begins_and_ends_with_its_own_events(make: MakeEngine) -> None:
    """RunStarted with all hosts in order is first; RunFinished with the counts is last."""
    async with make({}) as engine:
        events = (await record(engine.execute(run_of(FIVE)))).events
    first, last = events[0], events[-1]
    assert isinstance(first, RunStarted)
    assert (first.run_id, first.label, [host.name for host in first.hosts]) == ("r1", "date", FIVE)
    assert isinstance(last, RunFinished)
    assert (last.run_id, last.counts) == ("r1", {"ok": 5})
    assert Counter(type(event) for event in events)[RunFinished] == 1
    assert all(event.at.tzinfo is not None for event in events)


async def every_host_starts_once_and_finishes_once(make: MakeEngine) -> None:
    """For each host HostStarted, then HostFinished, and nothing of it afterwards."""
    async with make({"web2": SLOW}) as engine:
        recorder = await record(engine.execute(run_of(FIVE)))
    for name in FIVE:
        own = [
            type(event)
            for event in recorder.events
            if (isinstance(event, HostStarted) and event.host.name == name)
            or (isinstance(event, HostFinished) and event.result.host.name == name)
        ]
        assert own == [HostStarted, HostFinished]


async def nobody_at_all_is_a_run_too(make: MakeEngine) -> None:
    """A run without hosts begins and ends."""
    async with make({}) as engine:
        recorder = await record(engine.execute(run_of([])))
    assert [type(event) for event in recorder.events] == [RunStarted, RunFinished]


async def a_host_that_fails_is_a_value(make: MakeEngine) -> None:
    """Refused, denied, late, lost or broken by a bug: one result each, and the others finish."""
    scripts = {
        "web1": HostScript(failures={"connect": [FleetError("connect.refused", "closed")]}),
        "web2": HostScript(failures={"auth": [FleetError("auth.denied", "no")]}),
        "web3": HostScript(failures={"command": [FleetError("exec.timeout", "late")]}),
    }
    async with make(scripts) as engine:
        run = run_of(FIVE, operations={"web4": Broken()})
        recorder = await record(engine.execute(run))
    assert statuses(recorder) == {
        "web1": "unreachable",
        "web2": "unreachable",
        "web3": "timed_out",
        "web4": "failed",
        "web5": "ok",
    }
    assert kind_of(recorder.results["web4"]) == "operation.bug"
    counts = recorder.of(RunFinished)[0].counts
    assert counts == {"unreachable": 2, "timed_out": 1, "failed": 1, "ok": 1}


def kind_of(result: HostResult) -> str:
    assert result.outcome.failure is not None
    return result.outcome.failure.kind


async def ran_is_true(make: MakeEngine) -> None:
    """``no`` before the command was sent, ``unknown`` if its end was not seen, else ``yes``."""
    scripts = {
        "web1": HostScript(failures={"auth": [FleetError("auth.denied", "no")]}),
        "web2": HostScript(failures={"session": [FleetError("session.refused", "full")]}),
        "web3": HostScript(failures={"command": [FleetError("session.lost", "reset")]}),
        "web4": HostScript(failures={"command": [FleetError("exec.refused", "no")]}),
    }
    async with make(scripts) as engine:
        recorder = await record(engine.execute(run_of(FIVE)))
    assert {name: result.ran for name, result in recorder.results.items()} == {
        "web1": "no",
        "web2": "no",
        "web3": "unknown",
        "web4": "no",
        "web5": "yes",
    }


async def only_what_never_ran_is_tried_again(make: MakeEngine) -> None:
    """A dropped connection is tried again; a command that may have run is not."""
    dropped = FleetError("connect.dropped", "closed", retryable=True)
    lost = FleetError("session.lost", "reset", retryable=True)
    scripts = {
        "web1": HostScript(failures={"connect": [dropped]}),
        "web2": HostScript(failures={"command": [lost]}),
    }
    async with make(scripts) as engine:
        recorder = await record(engine.execute(run_of(FIVE, limits=Limits(retries=3))))
    assert {name: result.attempts for name, result in recorder.results.items()} == {
        "web1": 2,
        "web2": 1,
        "web3": 1,
        "web4": 1,
        "web5": 1,
    }
    assert statuses(recorder)["web2"] == "failed"


async def no_more_than_forks_are_in_flight(make: MakeEngine) -> None:
    """Counted from the events, whoever runs the hosts."""
    async with make(dict.fromkeys(FIVE, SLOW)) as engine:
        recorder = await record(engine.execute(run_of(FIVE, limits=Limits(forks=2))))
    in_flight = most = 0
    for event in recorder.events:
        in_flight += isinstance(event, HostStarted) - isinstance(event, HostFinished)
        most = max(most, in_flight)
    assert most == 2


async def check_mode_reaches_the_operation(make: MakeEngine) -> None:
    """Look, do not touch; and the run says so."""
    async with make({}) as engine:
        recorder = await record(engine.execute(run_of(FIVE, check=True)))
    assert recorder.of(RunStarted)[0].check
    assert set(statuses(recorder).values()) == {"skipped"}


async def results_hold_what_the_host_said(make: MakeEngine) -> None:
    """Bytes come back as they were, for each host its own."""
    scripts = {
        name: HostScript({"date": exited(stdout=name.encode() + b"\0\xff", stderr=b"!")})
        for name in FIVE
    }
    async with make(scripts) as engine:
        recorder = await record(engine.execute(run_of(FIVE)))
    for name, result in recorder.results.items():
        assert result.outcome.result == exited(stdout=name.encode() + b"\0\xff", stderr=b"!")


async def stopped(make: MakeEngine, action: str) -> tuple[EventRecorder, float]:
    """Call an engine's method a second after the first host started."""
    recorder, loop = EventRecorder(), asyncio.get_running_loop()
    async with make({"web1": SLOW}) as engine:
        async for event in engine.execute(run_of(FIVE, limits=Limits(forks=1))):
            recorder.handle(event)
            if isinstance(event, HostStarted):
                loop.call_later(1, getattr(engine, action))
        return recorder, loop.time()


async def after_stop_nothing_new_is_started(make: MakeEngine) -> None:
    """What runs goes on to its end; the others are cancelled without having run."""
    recorder, _ = await stopped(make, "stop")
    assert statuses(recorder) == {"web1": "ok", **dict.fromkeys(FIVE[1:], "cancelled")}
    assert {recorder.results[name].ran for name in FIVE[1:]} == {"no"}


async def after_cancel_everything_ends(make: MakeEngine) -> None:
    """Every host has its result soon, and what was running may go on there."""
    recorder, ended_s = await stopped(make, "cancel")
    assert set(statuses(recorder).values()) == {"cancelled"}
    assert recorder.results["web1"].ran == "unknown"
    assert ended_s < 60


async def a_total_limit_ends_everything(make: MakeEngine) -> None:
    """When the run's time is over, all hosts have results, and RunFinished is still last."""
    async with make({"web1": SLOW}) as engine:
        limits = Limits(forks=1, total_timeout_s=5)
        recorder = await record(engine.execute(run_of(FIVE, limits=limits)))
    assert set(statuses(recorder).values()) == {"cancelled"}
    assert isinstance(recorder.events[-1], RunFinished)


async def whoever_leaves_early_leaves_nothing_behind(make: MakeEngine) -> None:
    """Closing the iterator ends what runs; the engine can be used again."""
    async with make({"web1": SLOW, "web2": SLOW}) as engine:
        async with aclosing(engine.execute(run_of(FIVE, limits=Limits(forks=2)))) as events:
            async for event in events:
                if isinstance(event, HostStarted):
                    break
        assert asyncio.get_running_loop().time() < 60
        recorder = await record(engine.execute(run_of(["web5"])))
    assert statuses(recorder) == {"web5": "ok"}


PROMISES: tuple[Promise, ...] = (
    a_run_begins_and_ends_with_its_own_events,
    every_host_starts_once_and_finishes_once,
    nobody_at_all_is_a_run_too,
    a_host_that_fails_is_a_value,
    ran_is_true,
    only_what_never_ran_is_tried_again,
    no_more_than_forks_are_in_flight,
    check_mode_reaches_the_operation,
    results_hold_what_the_host_said,
    after_stop_nothing_new_is_started,
    after_cancel_everything_ends,
    a_total_limit_ends_everything,
    whoever_leaves_early_leaves_nothing_behind,
)
