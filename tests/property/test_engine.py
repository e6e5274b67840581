"""
Whatever hosts, operations and operators do, a run loses no result and tells the truth about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.engine.local import LocalEngine
from fleetctl.model.errors import FleetError
from fleetctl.model.events import HostFinished, HostStarted, Notice, RunFinished, RunStarted
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.model.settings import HostSettings
from fleetctl.testing import EventRecorder, HostScript, ScriptedConnector, run_in_virtual_time

pytestmark = pytest.mark.usefixtures("_no_incident_log")

PHASES = ("resolve", "connect", "kex", "auth", "session", "command")
Interruption = Literal["stop", "cancel", "leave"]


@pytest.fixture(scope="module")
def _no_incident_log():
    """Thousands of scripted bugs need no traceback each."""
    logger = logging.getLogger("fleetctl.engine.attempt")
    logger.disabled = True
    yield
    logger.disabled = False


@dataclass(frozen=True)
class Steps:
    """An operation that runs some commands one after another, and may be wrong itself."""

    commands: int
    mistake: Literal["", "before", "after", "no outcome", "stray cancellation"] = ""
    is_stubborn: bool = False
    tidies_up_s: float = 0.0

    @property
    def kind(self) -> str:
        return "steps"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        if self.mistake == "before":
            raise ZeroDivisionError("a bug\nin two lines")
        try:
            for number in range(self.commands):
                await self._step(remote, number)
        finally:
            await asyncio.sleep(self.tidies_up_s)
        if self.mistake == "after":
            raise ZeroDivisionError
        if self.mistake == "stray cancellation":
            raise asyncio.CancelledError
        if self.mistake == "no outcome":
            return None  # type: ignore[return-value] # the mistake
        return Outcome("ok")

    async def _step(self, remote: Remote, number: int) -> None:
        try:
            await remote.exec(ExecRequest(f"step {number}"))
        except asyncio.CancelledError:
            if not self.is_stubborn:
                raise


@dataclass(frozen=True)
class Target:
    """One host, what it does, what is done on it, and the endpoint it shares with others."""

    script: HostScript
    operation: Steps
    endpoint: int


@dataclass(frozen=True)
class Scenario:
    """One run with all that happens to it; interruptions are (seconds, what)."""

    targets: list[Target]
    limits: Limits
    max_handshakes: int
    per_endpoint: int
    keep: int
    interruptions: list[tuple[float, Interruption]]
    live_output: bool

    @property
    def hosts(self) -> dict[str, Target]:
        return {f"h{number}": target for number, target in enumerate(self.targets)}


delays_s = st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.0])
failures = st.one_of(
    st.none(),
    st.sampled_from(["connect.dropped", "auth.timeout", "session.refused", "session.lost"]).map(
        lambda kind: FleetError(kind, "may pass", retryable=True)
    ),
    st.sampled_from(["auth.denied", "hostkey.changed", "exec.refused", "exec.timeout"]).map(
        lambda kind: FleetError(kind, "will not pass")
    ),
    st.builds(RuntimeError, st.just("a bug in a link")),
)
scripts = st.builds(
    HostScript,
    delays_s=st.dictionaries(st.sampled_from(PHASES), delays_s),
    failures=st.dictionaries(st.sampled_from(PHASES), st.lists(failures, max_size=3), max_size=2),
    closing_s=delays_s,
)
operations = st.builds(
    Steps,
    commands=st.integers(0, 3),
    mistake=st.sampled_from(
        ["", "", "", "", "before", "after", "no outcome", "stray cancellation"]
    ),
    is_stubborn=st.booleans(),
    tidies_up_s=delays_s,
)


scenarios = st.builds(
    Scenario,
    targets=st.lists(st.builds(Target, scripts, operations, st.integers(1, 3)), max_size=8),
    limits=st.builds(
        Limits,
        forks=st.integers(1, 9),
        retries=st.integers(0, 3),
        total_timeout_s=st.none() | st.floats(0, 20),
    ),
    max_handshakes=st.integers(1, 9),
    per_endpoint=st.integers(1, 3),
    keep=st.integers(0, 4),
    interruptions=st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from(["stop", "cancel", "leave"])), max_size=3
    ),
    live_output=st.booleans(),
)


class Witness:
    """What was seen of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.connector = ScriptedConnector({n: t.script for n, t in scenario.hosts.items()})
        self.recorder = EventRecorder()
        self.was_left = False
        self.most_in_flight = 0
        self.run = Run(
            id="r1",
            label="test",
            assignments=[
                Assignment(
                    Host(name, settings=HostSettings(hostname=f"192.0.2.{target.endpoint}")),
                    target.operation,
                )
                for name, target in scenario.hosts.items()
            ],
            limits=scenario.limits,
        )

    async def watch(self) -> None:
        """Execute the run, with all interruptions, until nothing of it is left."""
        engine = LocalEngine(
            self.connector,
            keep_connections=self.scenario.keep,
            live_output=self.scenario.live_output,
            max_handshakes=self.scenario.max_handshakes,
            handshakes_per_endpoint=self.scenario.per_endpoint,
        )
        loop, leave = asyncio.get_running_loop(), asyncio.Event()
        calls = {"stop": engine.stop, "cancel": engine.cancel, "leave": leave.set}
        timers = [loop.call_later(at_s, calls[what]) for at_s, what in self.scenario.interruptions]
        events = engine.execute(self.run)
        async for event in events:
            self.recorder.handle(event)
            self.most_in_flight = max(self.most_in_flight, len(engine.running()))
            if leave.is_set():
                self.was_left = True
                break
        await events.aclose()
        assert engine.running() == ()
        assert [task for task in asyncio.all_tasks() if "_work" in repr(task)] == []
        for timer in timers:
            timer.cancel()
        await engine.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}


def witness(scenario: Scenario) -> Witness:
    seen = Witness(scenario)
    run_in_virtual_time(seen.watch)
    return seen


@given(scenarios)
def test_every_host_gets_exactly_one_result(scenario):
    """
    RunStarted is first, RunFinished last and right, and between them each host finishes once.
    """
    seen = witness(scenario)
    events = seen.recorder.events
    names = [assignment.host.name for assignment in seen.run.assignments]
    assert isinstance(events[0], RunStarted)
    assert [host.name for host in events[0].hosts] == names
    results = seen.recorder.results
    if seen.was_left:
        assert set(results) <= set(names)
        return
    assert set(results) == set(names)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].counts == Counter(r.outcome.status for r in results.values())
    assert len(seen.recorder.of(RunStarted)) == len(seen.recorder.of(RunFinished)) == 1


@given(scenarios)
def test_a_host_starts_before_it_finishes_and_at_most_once(scenario):
    """
    HostStarted comes once, before HostFinished; without it the host was never contacted.
    """
    seen = witness(scenario)
    started: set[str] = set()
    for event in seen.recorder.events:
        if isinstance(event, HostStarted):
            assert event.host.name not in started
            started.add(event.host.name)
        elif isinstance(event, HostFinished):
            was_started = event.result.host.name in started
            assert (event.result.started_at is not None) == was_started
            assert (event.result.attempts > 0) == was_started
    if not seen.was_left:
        assert {name for name, _ in seen.connector.attempts} <= started


@given(scenarios)
def test_limits_hold(scenario):
    """
    No more hosts than forks are in flight, and no more handshakes than allowed, per endpoint too.
    """
    seen = witness(scenario)
    assert seen.most_in_flight <= scenario.limits.forks
    assert seen.connector.most_connecting <= scenario.max_handshakes
    assert seen.connector.most_per_endpoint <= scenario.per_endpoint


@given(scenarios)
def test_every_connection_is_closed_once(scenario):
    """
    After the engine is closed, so is every connection it ever opened.
    """
    seen = witness(scenario)
    assert [link for link in seen.connector.links if link.closings != 1] == []


@given(scenarios)
def test_ran_is_the_truth(scenario):
    """
    A host that received a command is never said to have run nothing, and the other way round.
    """
    seen = witness(scenario)
    received = {message.host for message in seen.connector.received}
    for name, result in seen.recorder.results.items():
        assert (result.ran != "no") == (name in received) or refused(seen, name), result


def refused(seen: Witness, name: str) -> bool:
    """Tell whether all that the host received it refused to run."""
    script = seen.connector.script_of(Host(name))
    kinds = [getattr(f, "kind", "") for f in script.failures.get("command", ())]
    count = sum(message.host == name for message in seen.connector.received)
    return kinds[:count] == ["exec.refused"] * count


@given(scenarios)
def test_only_what_did_not_run_and_may_pass_is_tried_again(scenario):
    """
    After a command was received there is no other attempt; each other one was announced.
    """
    seen = witness(scenario)
    announced = Counter(n.host.name for n in seen.recorder.of(Notice) if n.host)
    for name, result in seen.recorder.results.items():
        traces = [id(t) for host, t in seen.connector.attempts if host == name]
        used = [id(message.trace) for message in seen.connector.received if message.host == name]
        if not refused(seen, name):
            assert set(used) <= set(traces[-1:] if used else ())
        assert result.attempts <= 1 + scenario.limits.retries
        if result.attempts:
            assert announced[name] in (result.attempts - 1, result.attempts)
        failure = result.outcome.failure or Failure("", "")
        if failure.retryable and result.ran == "no" and not scenario.interruptions:
            assert result.attempts == 1 + scenario.limits.retries or (
                scenario.limits.total_timeout_s is not None
            )


@given(scenarios)
def test_F87_a_bug_hurts_only_its_host(scenario):
    """
    F87: an exception nobody foresaw is operation.bug on its host, in one line, with an incident.
    """
    seen = witness(scenario)
    for name, result in seen.recorder.results.items():
        failure = result.outcome.failure
        if scenario.hosts[name].operation.mistake == "before" and result.started_at:
            assert failure is not None
            assert failure.kind in ("operation.bug", "run.cancelled")
        if failure is not None and failure.kind == "operation.bug":
            assert "internal error" in failure.message
            assert "\n" not in failure.message


@given(scenarios)
@example(
    Scenario(
        targets=[Target(HostScript(), Steps(1), 1)] * 3,
        limits=Limits(forks=2),
        max_handshakes=9,
        per_endpoint=3,
        keep=0,
        interruptions=[],
        live_output=False,
    )
)
def test_without_faults_every_host_is_ok(scenario):
    """
    Where nothing goes wrong and nobody interferes, all hosts are ok whatever the limits are.
    """
    is_calm = (
        not scenario.interruptions
        and scenario.limits.total_timeout_s is None
        and not any(t.operation.mistake for t in scenario.targets)
        and not any(any(fs) for t in scenario.targets for fs in t.script.failures.values())
    )
    if is_calm:
        results = witness(scenario).recorder.results
        assert {result.outcome.status for result in results.values()} <= {"ok"}
