"""
Runs from start to end: order of events, interruptions, and what is left afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from fleetctl.engine.local import LocalEngine
from fleetctl.model.errors import FleetError
from fleetctl.model.events import (
    HostFinished,
    HostStarted,
    Notice,
    Output,
    RunFinished,
    RunStarted,
)
from fleetctl.model.run import Limits
from fleetctl.testing import (
    EventRecorder,
    HostScript,
    ScriptedConnector,
    exited,
    record,
    run_in_virtual_time,
)
from tests.unit.engine.runs import Raising, Seen, run_on

WEB = ["web1", "web2", "web3"]
DROPPED = FleetError("connect.dropped", "closed before its version", retryable=True)


def with_engine(
    body: Callable[[LocalEngine], Awaitable[EventRecorder]],
    connector: ScriptedConnector,
    *,
    live_output: bool = False,
) -> EventRecorder:
    async def main() -> EventRecorder:
        engine = LocalEngine(connector, live_output=live_output)
        recorder = await body(engine)
        await engine.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [link for link in connector.links if link.closings != 1] == []
        return recorder

    return run_in_virtual_time(main)


def kinds(recorder: EventRecorder) -> list[str]:
    return [type(event).__name__ for event in recorder.events]


def test_events_come_in_order():
    """
    Admitted, then each host in the order of the pattern, then the end with its counts.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        return await record(engine.execute(run_on(WEB, limits=Limits(forks=1))))

    recorder = with_engine(body, ScriptedConnector())
    assert kinds(recorder) == [
        "RunStarted",
        *["HostStarted", "HostFinished"] * 3,
        "RunFinished",
    ]
    started, finished = recorder.events[0], recorder.events[-1]
    assert isinstance(started, RunStarted)
    assert (started.run_id, started.label, started.check) == ("r1", "uptime", False)
    assert list(recorder.results) == WEB
    assert isinstance(finished, RunFinished)
    assert (finished.run_id, finished.counts) == ("r1", {"ok": 3})


def test_F90_a_run_over_nobody_starts_and_ends():
    """
    F90: no hosts is not the engine's error; nothing happens, and it says so.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        return await record(engine.execute(run_on([])))

    recorder = with_engine(body, ScriptedConnector())
    assert kinds(recorder) == ["RunStarted", "RunFinished"]


def test_F90_one_host_twice_is_refused():
    """
    F90: results are kept by name, so a run in which a name stands twice never starts.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        with pytest.raises(ValueError, match="web1 has two assignments"):
            await record(engine.execute(run_on(["web1", "web2", "web1"])))
        return EventRecorder()

    connector = ScriptedConnector()
    with_engine(body, connector)
    assert connector.attempts == []


def test_check_mode_reaches_the_operation():
    """
    A run in check mode looks and does not touch.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        return await record(engine.execute(run_on(WEB, check=True)))

    connector = ScriptedConnector()
    recorder = with_engine(body, connector)
    assert {result.outcome.status for result in recorder.results.values()} == {"skipped"}
    assert connector.attempts == []


def test_live_output_comes_before_the_result():
    """
    With live output each piece is an event of its own, and the result holds it all the same.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        return await record(engine.execute(run_on(["web1"])))

    script = HostScript({"uptime": exited(stdout=b"up", stderr=b"warning")})
    recorder = with_engine(body, ScriptedConnector({"web1": script}), live_output=True)
    assert [(o.stream, o.data) for o in recorder.of(Output)] == [
        ("stdout", b"up"),
        ("stderr", b"warning"),
    ]
    assert kinds(recorder)[-3:] == ["Output", "HostFinished", "RunFinished"]
    assert recorder.results["web1"].outcome.result == script.answers["uptime"]


def test_connections_are_reused_by_the_next_run():
    """
    Two runs of one engine log in to each host once.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        await record(engine.execute(run_on(WEB)))
        return await record(engine.execute(run_on(WEB)))

    connector = ScriptedConnector()
    with_engine(body, connector)
    assert len(connector.links) == 3
    assert len(connector.received) == 6


def test_two_runs_at_once_share_an_engine():
    """
    Each run gets its own events; hosts of both are in flight together.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 5})})
    seen: list[tuple[str, ...]] = []

    async def body(engine: LocalEngine) -> EventRecorder:
        asyncio.get_running_loop().call_later(2, lambda: seen.append(engine.running()))
        first, second = await asyncio.gather(
            record(engine.execute(run_on(["web1", "web2"]))),
            record(engine.execute(run_on(["web1", "db1"]))),
        )
        assert set(first.results) == {"web1", "web2"}
        return second

    assert set(with_engine(body, connector).results) == {"web1", "db1"}
    assert seen == [("web1", "web1")]


def test_a_retry_is_announced_with_its_reason():
    """
    Waiting for a host is an event that names it, why, and for how long.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        return await record(engine.execute(run_on(["web1"], limits=Limits(retries=1))))

    script = HostScript(failures={"connect": [DROPPED]})
    (notice,) = with_engine(body, ScriptedConnector({"web1": script})).of(Notice)
    assert notice.kind == "retry"
    assert notice.host is not None
    assert notice.message.startswith("closed before its version; trying again in ")


def when_first_starts(
    engine: LocalEngine, action: Callable[[], None], limits: Limits, names: list[str]
) -> Awaitable[EventRecorder]:
    async def take() -> EventRecorder:
        recorder = EventRecorder()
        async for event in engine.execute(run_on(names, limits=limits)):
            recorder.handle(event)
            if isinstance(event, HostStarted) and len(recorder.of(HostStarted)) == 1:
                asyncio.get_running_loop().call_later(1, action)
        return recorder

    return take()


def test_stopping_lets_what_runs_go_on():
    """
    After `stop` nothing new is started; hosts in flight finish, the others are cancelled.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 60})})

    async def body(engine: LocalEngine) -> EventRecorder:
        return await when_first_starts(engine, engine.stop, Limits(forks=1), WEB)

    recorder = with_engine(body, connector)
    assert {name: r.outcome.status for name, r in recorder.results.items()} == {
        "web1": "ok",
        "web2": "cancelled",
        "web3": "cancelled",
    }
    failure = recorder.results["web3"].outcome.failure
    assert failure is not None
    assert failure.message == "not started: the run was interrupted"
    assert [message.host for message in connector.received] == ["web1"]


def test_stopping_ends_the_wait_for_another_try():
    """
    A host that waits for its next try is not in flight: after `stop` it is not tried again.
    """
    connector = ScriptedConnector({"web1": HostScript(failures={"connect": [DROPPED] * 99})})

    async def body(engine: LocalEngine) -> EventRecorder:
        limits = Limits(retries=99)
        recorder = await when_first_starts(engine, engine.stop, limits, ["web1"])
        assert asyncio.get_running_loop().time() == 1
        return recorder

    result = with_engine(body, connector).results["web1"]
    assert result.outcome.failure == DROPPED.failure


def test_cancelling_ends_what_runs():
    """
    After `cancel` every host has its result at once, and the truth about what may have run.
    """
    connector = ScriptedConnector(
        {
            "web1": HostScript(delays_s={"command": 60}),
            "web2": HostScript(delays_s={"auth": 60}),
        }
    )

    async def body(engine: LocalEngine) -> EventRecorder:
        recorder = await when_first_starts(engine, engine.cancel, Limits(forks=2), WEB)
        assert asyncio.get_running_loop().time() == 1
        return recorder

    recorder = with_engine(body, connector)
    assert {name: r.ran for name, r in recorder.results.items()} == {
        "web1": "unknown",
        "web2": "no",
        "web3": "no",
    }
    assert recorder.results["web3"].started_at is None


def test_the_total_time_ends_a_run_and_says_so():
    """
    When a run's time is over, hosts in flight and waiting hosts name that as the reason.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 60})})

    async def body(engine: LocalEngine) -> EventRecorder:
        limits = Limits(forks=1, total_timeout_s=5)
        recorder = await record(engine.execute(run_on(WEB, limits=limits)))
        assert asyncio.get_running_loop().time() == 5
        return recorder

    results = with_engine(body, connector).results
    messages = [r.outcome.failure.message for r in results.values() if r.outcome.failure]
    assert messages == [
        "the run's total time was over while the command was running; it may go on there",
        "not started: the run's total time was over",
        "not started: the run's total time was over",
    ]


@pytest.mark.parametrize("events_taken", [1, 2, 4, 5])
def test_leaving_early_ends_what_runs_first(events_taken):
    """
    Closing the iterator waits until nothing of the run is left; no host is started afterwards.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 60})})

    async def body(engine: LocalEngine) -> EventRecorder:
        recorder = EventRecorder()
        run = run_on([f"web{n}" for n in range(1, 10)], limits=Limits(forks=2, total_timeout_s=99))
        events = engine.execute(run)
        async for event in events:
            recorder.handle(event)
            if len(recorder.events) == events_taken:
                break
        await events.aclose()
        assert engine.running() == ()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return recorder

    with_engine(body, connector)
    assert len(connector.attempts) < 9


def test_whoever_takes_the_events_may_be_cancelled():
    """
    Cancelling the task that iterates ends the run and leaves nothing behind.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 60})})

    async def body(engine: LocalEngine) -> EventRecorder:
        task = asyncio.ensure_future(record(engine.execute(run_on(WEB, limits=Limits(forks=1)))))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.running() == ()
        return EventRecorder()

    with_engine(body, connector)
    assert [name for name, _ in connector.attempts] == ["web1"]


def test_a_program_that_dies_contacts_no_more_hosts():
    """
    When the taker of events raises, and the loop ends by cancelling all tasks, the run ends too.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 60})})

    async def main() -> None:
        engine = LocalEngine(connector, keep_connections=0)
        # Held by the traceback, the iterator outlives the tasks.
        events = engine.execute(run_on(WEB, limits=Limits(forks=1)))
        async for event in events:
            if isinstance(event, HostStarted):
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_virtual_time(main)
    assert {name for name, _ in connector.attempts} <= {"web1"}
    assert [link for link in connector.links if link.closings != 1] == []


def test_closing_the_engine_ends_its_runs():
    """
    An engine that is closed while it runs ends what is running and closes those connections too.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 60})})

    async def body(engine: LocalEngine) -> EventRecorder:
        task = asyncio.ensure_future(record(engine.execute(run_on(WEB, limits=Limits(forks=1)))))
        await asyncio.sleep(5)
        await engine.aclose()
        assert engine.running() == ()
        assert [link.closings for link in connector.links] == [1]
        return await task

    recorder = with_engine(body, connector)
    assert len(recorder.results) == 3


def test_a_slow_taker_of_events_loses_none():
    """
    Hosts do not wait for whoever takes the events, and every event is still there for it.
    """

    async def body(engine: LocalEngine) -> EventRecorder:
        recorder = EventRecorder()
        async for event in engine.execute(run_on(WEB)):
            await asyncio.sleep(10)
            recorder.handle(event)
        return recorder

    recorder = with_engine(body, ScriptedConnector())
    assert len(recorder.of(HostFinished)) == 3


@pytest.mark.parametrize("bug", [ZeroDivisionError(), MemoryError(), RuntimeError("no thread")])
def test_F87_F77_a_bug_on_one_host_leaves_the_others_alone(caplog, bug):
    """
    F87, F77: one that is broken, or gets no memory or no thread, is one failure of its host.
    """
    caplog.set_level(logging.CRITICAL, logger="fleetctl.engine.attempt")
    bad, good = run_on(["web1"], Raising(bug)), run_on(["web2", "web3"], seen := Seen())

    async def body(engine: LocalEngine) -> EventRecorder:
        return await record(
            engine.execute(replace(good, assignments=[*bad.assignments, *good.assignments]))
        )

    recorder = with_engine(body, ScriptedConnector())
    assert [r.outcome.status for r in recorder.results.values()] == ["failed", "ok", "ok"]
    assert seen.hosts == ["web2", "web3"]
