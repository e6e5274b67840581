"""
A run in batches, over scripted hosts in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleetctl.engine.local import LocalEngine
from fleetctl.engine.rollout import RolloutEngine
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Event, HostFinished, HostStarted, Notice, RunFinished
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import HostResult, Outcome
from fleetctl.model.rollout import Batch, Rollout, Size, batch_sizes, parse_size
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.testing import (
    EventRecorder,
    HostScript,
    ScriptedConnector,
    exited,
    run_in_virtual_time,
)

PERCENT_20 = Size(20, is_percent=True)
REFUSED = HostScript(failures={"connect": [FleetError("connect.refused", "closed")]})


@dataclass(frozen=True)
class Date:
    """Runs ``date``."""

    kind: str = "date"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        result = await remote.exec(ExecRequest("date"))
        return Outcome("ok" if result.exit_status == 0 else "failed", result=result)


@dataclass
class Ward:
    """
    A gate that says what it is told to.

    Attributes:
        seen: Number of each batch, and the statuses in it.
    """

    says: Mapping[int, str] = field(default_factory=dict)
    seen: list[tuple[int, list[str]]] = field(default_factory=list)

    async def judge(self, batch: Batch, results: Sequence[HostResult]) -> str:
        self.seen.append((batch.number, [result.outcome.status for result in results]))
        return self.says.get(batch.number, "")


def roll_out(
    rollout: Rollout | None,
    *,
    count: int = 10,
    scripts: Mapping[str, HostScript] | None = None,
    gate: Ward | None = None,
    limits: Limits | None = None,
    racks: Callable[[int], str] | None = None,
    on_event: Callable[[RolloutEngine, Event], None] = lambda engine, event: None,
) -> EventRecorder:
    """Run ``date`` on web1, web2, … and return all events."""

    async def main() -> EventRecorder:
        engine = RolloutEngine(LocalEngine(ScriptedConnector(scripts or {})), gate)
        variables: list[dict[str, Any]] = [
            {} if racks is None else {"rack": racks(number)} for number in range(1, count + 1)
        ]
        hosts = [Host(f"web{number}", vars=vars_) for number, vars_ in enumerate(variables, 1)]
        run = Run(
            "r1",
            "date",
            [Assignment(host, Date()) for host in hosts],
            limits or Limits(),
            rollout=rollout,
        )
        recorder = EventRecorder()
        async for event in engine.execute(run):
            recorder.handle(event)
            on_event(engine, event)
        await engine.aclose()
        return recorder

    return run_in_virtual_time(main)


def waves(recorder: EventRecorder) -> list[list[str]]:
    """Return the names of the hosts in the batches in which they were at work together."""
    found: list[list[str]] = []
    at_work = 0
    for event in recorder.events:
        if isinstance(event, HostStarted):
            if not at_work:
                found.append([])
            found[-1].append(event.host.name)
            at_work += 1
        elif isinstance(event, HostFinished) and event.result.started_at is not None:
            at_work -= 1
    return found


def statuses(recorder: EventRecorder) -> list[str]:
    by_name = recorder.results
    return [by_name[f"web{number}"].outcome.status for number in range(1, len(by_name) + 1)]


def reasons(recorder: EventRecorder) -> set[tuple[str, str]]:
    """Return kind and message of every host that was not started."""
    failures = [result.outcome.failure for result in recorder.results.values()]
    return {(f.kind, f.message) for f in failures if f and f.message.startswith("not started")}


def test_batches_are_over_before_the_next_one_starts():
    """
    A list of sizes, the last one repeated, parts of all hosts at least one.
    """
    recorder = roll_out(Rollout(serial=[Size(1), Size(30, is_percent=True)]))
    assert [len(wave) for wave in waves(recorder)] == [1, 3, 3, 3]
    assert statuses(recorder) == ["ok"] * 10
    assert recorder.of(RunFinished)[0].counts == {"ok": 10}


def test_canaries_come_first_and_may_not_fail():
    """
    One failure in a canary, and nobody else is touched; each host says why.
    """
    rollout = Rollout(canary=[Size(1), PERCENT_20], serial=[Size(4)])
    recorder = roll_out(rollout, scripts={"web3": REFUSED})
    assert statuses(recorder) == ["ok", "ok", "unreachable"] + ["cancelled"] * 7
    assert reasons(recorder) == {("run.gate", "not started: the canary web3 failed")}


def test_more_failures_than_allowed_stop_the_run_at_once():
    """
    Unreachable hosts count; what is at work goes on, and nothing new starts in the same batch.
    """
    scripts = {"web2": REFUSED, "web4": REFUSED, "web5": HostScript(delays_s={"command": 50})}
    recorder = roll_out(Rollout(max_fail=Size(1)), scripts=scripts, limits=Limits(forks=2), count=8)
    assert statuses(recorder)[:5] == ["ok", "unreachable", "ok", "unreachable", "cancelled"]
    assert reasons(recorder) == {
        ("run.max_fail", "not started: 2 hosts have failed, more than 1 may")
    }


def test_as_many_failures_as_allowed_do_not_stop_the_run():
    """
    The limit itself is allowed, as a number and as a part of all hosts.
    """
    for limit in (Size(2), PERCENT_20):
        recorder = roll_out(
            Rollout(max_fail=limit, serial=[Size(1)]), scripts={"web1": REFUSED, "web2": REFUSED}
        )
        assert statuses(recorder) == ["unreachable"] * 2 + ["ok"] * 8


def test_an_output_the_canary_did_not_give_stops_the_run():
    """
    The same status with other words is news; hosts already at work still finish.
    """
    says = {
        f"web{number}": HostScript(
            answers={"date": exited(stdout=b"new\n" if number == 4 else b"old\n")}
        )
        for number in range(1, 11)
    }
    rollout = Rollout(canary=[Size(2)], serial=[Size(3)], stops_at_new_output=True)
    recorder = roll_out(rollout, scripts=says)
    assert statuses(recorder) == ["ok"] * 5 + ["cancelled"] * 5
    assert reasons(recorder) == {
        ("run.gate", "not started: web4 gave a result that no canary gave")
    }


def test_the_gate_is_asked_after_each_batch_but_the_last():
    """
    It sees the results of the batch, and may end the run with its reason.
    """
    gate = Ward({2: "the error rate is 7%"})
    recorder = roll_out(Rollout(canary=[Size(1)], serial=[Size(3)]), gate=gate)
    assert gate.seen == [(1, ["ok"]), (2, ["ok"] * 3)]
    assert reasons(recorder) == {("run.gate", "not started: the error rate is 7%")}
    assert roll_out(Rollout(serial=[Size(5)]), gate=(calm := Ward())).results
    assert [number for number, _ in calm.seen] == [1]


def test_soak_and_pause_are_waited_for():
    """
    The soak comes after each canary, the pause between all batches.
    """
    rollout = Rollout(canary=[Size(1)], serial=[Size(5)], soak_s=60, pause_s=10)
    recorder = roll_out(rollout, count=11)
    messages = [notice.message for notice in recorder.of(Notice)]
    assert messages == [
        "canary 1 of 3: 1 host",
        "the canary soaks for 60 s",
        "pausing for 10 s",
        "batch 2 of 3: 5 hosts",
        "pausing for 10 s",
        "batch 3 of 3: 5 hosts",
    ]


def test_an_interruption_ends_the_waiting_between_batches():
    """
    Stopping while the canary soaks leaves the others untouched at once.
    """

    def stop(engine: RolloutEngine, event: Event) -> None:
        if isinstance(event, Notice) and "soaks" in event.message:
            engine.stop()

    rollout = Rollout(canary=[Size(1)], soak_s=10**6)
    recorder = roll_out(rollout, on_event=stop)
    assert statuses(recorder) == ["ok"] + ["cancelled"] * 9
    assert reasons(recorder) == {("run.cancelled", "not started: the run was interrupted")}


@pytest.mark.parametrize("order", ["inventory", "reverse", "shuffle"])
def test_hosts_come_in_the_order_asked_for(order):
    """
    A shuffle with the same seed is the same shuffle.
    """
    rollout = Rollout(order=order, seed=7, serial=[Size(1)])
    found = [name for wave in waves(roll_out(rollout)) for name in wave]
    straight = [f"web{number}" for number in range(1, 11)]
    assert sorted(found) == sorted(straight)
    assert (found == straight) == (order == "inventory")
    assert (found == straight[::-1]) == (order == "reverse")
    assert found == [name for wave in waves(roll_out(rollout)) for name in wave]


def test_once_means_one_host():
    """
    The others are skipped, and say on whom it ran.
    """
    recorder = roll_out(Rollout(once=True), count=3)
    assert statuses(recorder) == ["ok", "skipped", "skipped"]
    assert recorder.results["web2"].outcome.data == {"why": "run once, on web1"}
    assert waves(recorder) == [["web1"]]


def test_no_two_hosts_of_a_rack_are_down_at_once():
    """
    Hosts with the same value of the variable are at work one after the other, others beside them.
    """
    limits = Limits(max_down={"rack": 1})
    recorder = roll_out(None, count=9, limits=limits, racks=lambda number: f"r{number % 3}")
    at_work: set[str] = set()
    most = 0
    for event in recorder.events:
        if isinstance(event, HostStarted):
            rack = str(event.host.vars["rack"])
            assert rack not in at_work
            at_work.add(rack)
            most = max(most, len(at_work))
        elif isinstance(event, HostFinished):
            at_work.discard(str(event.result.host.vars["rack"]))
    assert most == 3
    assert statuses(recorder) == ["ok"] * 9


def test_a_rack_with_a_failed_host_is_left_alone():
    """
    What failed is down: its like are not started, with the reason; the others are done.
    """
    limits = Limits(max_down={"rack": 1})
    recorder = roll_out(
        None, count=6, limits=limits, racks=lambda n: f"r{n % 2}", scripts={"web1": REFUSED}
    )
    assert statuses(recorder) == ["unreachable", "ok", "cancelled", "ok", "cancelled", "ok"]
    assert reasons(recorder) == {("run.max_fail", "not started: 1 host of rack r1 failed")}


def test_sizes_are_read_as_people_write_them():
    """
    A number or a percentage; everything else is refused with what is expected.
    """
    assert parse_size("5") == Size(5)
    assert parse_size("12.5%") == Size(12.5, is_percent=True)
    assert str(parse_size("12.5%")) == "12.5%"
    for wrong in ("", "0", "-1", "0%", "101%", "5 hosts", "1e3", "٣"):
        with pytest.raises(ValueError, match="expected"):
            parse_size(wrong)
    assert parse_size("0", lowest=0) == Size(0)


def test_batches_are_all_hosts_whatever_their_sizes():
    """
    No host is left out and no batch is empty.
    """
    for total in range(12):
        for rollout in (
            Rollout(),
            Rollout(canary=[Size(3), PERCENT_20]),
            Rollout(canary=[Size(1)], serial=[PERCENT_20]),
            Rollout(serial=[Size(5), Size(2)]),
        ):
            sizes = [size for size, _ in batch_sizes(rollout, total)]
            assert sum(sizes) == total
            assert all(sizes)
