"""
Who works while others only wait: places that are lent and taken back.
"""

from __future__ import annotations

import asyncio
import resource

import pytest

from fleetctl.engine.local import LocalEngine
from fleetctl.engine.places import MAX_LENT, Place, Places, most_lent
from fleetctl.model.errors import FleetError
from fleetctl.model.events import HostFinished, Notice
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.testing import (
    EventRecorder,
    HostScript,
    ScriptedConnector,
    ScriptedLink,
    record,
    run_in_virtual_time,
)
from tests.unit.engine.runs import Uptime, run_on

DROPPED = FleetError("connect.dropped", "closed before its version", retryable=True)


class Starts:
    """Counts the hosts that were started on free places."""

    def __init__(self, count: int, *, most_lent: int = MAX_LENT, hosts: int = 99) -> None:
        self.places = Places(count, on_free=self.start, most_lent=most_lent)
        self.waiting = hosts
        self.started = 0

    def start(self) -> None:
        while self.waiting and self.places.take():
            self.waiting -= 1
            self.started += 1

    def place(self) -> Place:
        return Place(
            self.places, on_lend=lambda: None, on_back=lambda: None, on_notice=lambda _: None
        )


def test_a_lent_place_lets_another_start():
    """
    Each place that is lent is used once; lending twice changes nothing.
    """
    starts = Starts(2)
    starts.start()
    assert starts.started == 2
    place = starts.place()
    place.lend()
    place.lend()
    assert starts.started == 3


def test_whoever_comes_back_goes_before_those_that_start():
    """
    A place that becomes free goes to the host that lent one, not to a new one.
    """
    starts = Starts(1)
    starts.start()

    async def main() -> None:
        place = starts.place()
        place.lend()
        back = asyncio.ensure_future(place.take_back())
        await asyncio.sleep(1)
        assert not back.done()
        starts.places.give()
        await back
        assert (place.is_lent, starts.started) == (False, 2)

    run_in_virtual_time(main)


def test_a_host_that_does_not_come_back_leaves_no_gap():
    """
    Cancelled while it waits, or in the moment it is given a place, a host keeps none.
    """

    async def main(*, is_given: bool) -> None:
        starts = Starts(1)
        starts.start()
        place = starts.place()
        place.lend()
        back = asyncio.ensure_future(place.take_back())
        await asyncio.sleep(1)
        if is_given:
            starts.places.give()
        back.cancel()
        with pytest.raises(asyncio.CancelledError):
            await back
        place.leave()
        assert starts.started == (3 if is_given else 2)
        starts.places.give()
        assert starts.started == (4 if is_given else 3)

    run_in_virtual_time(lambda: main(is_given=False))
    run_in_virtual_time(lambda: main(is_given=True))


@pytest.mark.parametrize(
    ("limit", "forks", "changes", "waiting"),
    [
        (resource.RLIM_INFINITY, 100, {}, MAX_LENT),
        (1024, 100, {}, MAX_LENT),
        (256, 100, {}, 92),
        (100, 100, {}, 1),
        (1024, 100, {"proxy_command": "nc %h %p"}, 140),
    ],
)
def test_F76_no_more_wait_than_there_are_descriptors(monkeypatch, limit, forks, changes, waiting):
    """
    F76: hosts that wait leave enough descriptors for those at work, whatever the limit is.
    """
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    hosts = [Host("web1", settings=HostSettings(**changes)), Host("web2")]
    assert most_lent(forks, hosts) == waiting


def test_not_more_wait_than_may():
    """
    When as many hosts wait as may, free places start no others, but whoever comes back has one.
    """
    starts = Starts(2, most_lent=2)
    starts.start()

    async def main() -> None:
        first, second = starts.place(), starts.place()
        first.lend()
        second.lend()
        assert starts.started == 3
        await first.take_back()
        assert (first.is_lent, starts.started) == (False, 3)
        second.leave()
        starts.places.give()
        assert starts.started == 4

    run_in_virtual_time(main)


def events_of(
    connector: ScriptedConnector, run: Run, *, handshakes_per_endpoint: int = 8
) -> EventRecorder:
    async def main() -> EventRecorder:
        engine = LocalEngine(connector, handshakes_per_endpoint=handshakes_per_endpoint)
        recorder = await record(engine.execute(run))
        await engine.aclose()
        return recorder

    return run_in_virtual_time(main)


def finished(recorder: EventRecorder) -> list[str]:
    return [event.result.host.name for event in recorder.of(HostFinished)]


def test_a_host_that_waits_for_its_next_try_lets_another_work():
    """
    With one fork the second host is done before the first is tried again.
    """
    script = HostScript(failures={"connect": [DROPPED]})
    run = run_on(["web1", "web2"], limits=Limits(forks=1, retries=1))
    assert finished(events_of(ScriptedConnector({"web1": script}), run)) == ["web2", "web1"]


def test_a_crowded_endpoint_holds_nobody_else_up():
    """
    Many hosts at one slow address are no reason for others to wait, however few forks there are.
    """
    slow = {f"slow{n}": HostScript(delays_s={"auth": 60}) for n in range(20)}
    hosts = [Host(name, settings=HostSettings(hostname="192.0.2.1")) for name in slow]
    run = Run("r1", "up", [Assignment(h, Uptime()) for h in (*hosts, Host("web1"))], Limits(4))
    recorder = events_of(ScriptedConnector(slow), run, handshakes_per_endpoint=2)
    assert finished(recorder)[0] == "web1"
    assert len(finished(recorder)) == 21


class SilentConnector(ScriptedConnector):
    """Lends the turn of hosts called ``tar...`` at once; they fail after a minute."""

    def __init__(self, scripts: dict[str, HostScript] | None = None) -> None:
        super().__init__(scripts)
        self.working = 0
        self.most_working = 0

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> ScriptedLink:
        assert trace.turn is not None
        if host.name.startswith("tar"):
            trace.turn.notice("no answer yet")
            trace.turn.lend()
            await asyncio.sleep(60)
            if host.name.startswith("tarry"):
                return await super().connect(host, trace, open_session=open_session)
            raise FleetError("banner.timeout", "no SSH version came", retryable=True)
        self.working += 1
        self.most_working = max(self.working, self.most_working)
        try:
            return await super().connect(host, trace, open_session=open_session)
        finally:
            self.working -= 1


def mixed(bad: int, good: int, *, kind: str = "tarpit") -> list[str]:
    names = [f"{kind}{n}" for n in range(bad)]
    return [
        name for pair in zip(names, (f"web{n}" for n in range(good)), strict=False) for name in pair
    ]


def test_tarpits_cost_the_others_nothing():
    """
    500 silent hosts between 500 good ones: these finish as if they were alone.
    """
    delays = {f"web{n}": HostScript(delays_s={"auth": 1.0}) for n in range(500)}

    async def time_of(names: list[str]) -> float:
        engine = LocalEngine(SilentConnector(delays), handshakes_per_endpoint=8)
        last_s = 0.0
        async for event in engine.execute(run_on(names, limits=Limits(forks=100))):
            if isinstance(event, HostFinished) and event.result.host.name.startswith("web"):
                last_s = asyncio.get_running_loop().time()
        await engine.aclose()
        return last_s

    alone_s = run_in_virtual_time(lambda: time_of([f"web{n}" for n in range(500)]))
    beside_s = run_in_virtual_time(lambda: time_of(mixed(500, 500)))
    assert (alone_s, beside_s) == (5.0, 5.0)


def test_no_more_than_forks_work_at_once():
    """
    However many hosts wait, no more than forks connect and run at the same time.
    """
    delays = {f"web{n}": HostScript(delays_s={"auth": 1.0}) for n in range(50)}
    connector = SilentConnector(delays)
    recorder = events_of(connector, run_on(mixed(50, 50), limits=Limits(forks=3)))
    assert connector.most_working == 3
    assert len(finished(recorder)) == 100
    assert {notice.kind for notice in recorder.of(Notice)} == {"wait"}


def test_a_host_that_comes_back_waits_for_its_place():
    """
    One that answers late runs its command when a place is free, and not beside the others.
    """
    scripts = {
        "web0": HostScript(delays_s={"command": 100.0}),
        "tarry0": HostScript(delays_s={"command": 1.0}),
    }
    connector = SilentConnector(scripts)
    recorder = events_of(connector, run_on(["tarry0", "web0", "web1"], limits=Limits(forks=1)))
    assert finished(recorder) == ["web0", "tarry0", "web1"]
    assert [message.host for message in connector.received] == ["web0", "tarry0", "web1"]


def test_stopping_ends_those_that_only_wait():
    """
    After `stop` a host at work goes on, and one without a place is cancelled; nothing ran on it.
    """
    connector = SilentConnector({"web0": HostScript(delays_s={"command": 100.0})})

    async def main() -> EventRecorder:
        engine = LocalEngine(connector)
        asyncio.get_running_loop().call_later(5, engine.stop)
        run = run_on(["tarpit0", "web0", "web1"], limits=Limits(forks=1))
        recorder = EventRecorder()
        async for event in engine.execute(run):
            recorder.handle(event)
            if isinstance(event, HostFinished) and event.result.host.name == "tarpit0":
                assert engine.running() == ("web0",)
        await engine.aclose()
        return recorder

    results = run_in_virtual_time(main).results
    assert {name: (r.outcome.status, r.ran) for name, r in results.items()} == {
        "tarpit0": ("cancelled", "no"),
        "web0": ("ok", "yes"),
        "web1": ("cancelled", "no"),
    }
