"""
Hosts that go away and come back, as when they reboot.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.lab.layout import LabHost
from fleetctl.lab.readiness import wait_ready
from fleetctl.model.events import Event, HostFinished, HostStarted
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult
from fleetctl.model.run import Assignment, Limits, Run
from tests.support.drive import connecting, run_async
from tests.support.fleet import Fleet
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def rebooting(fleet: Fleet):
    """A host of the test's own, which may be down when the test ends."""
    host = fleet.sshd("rebooting", {})
    yield host
    fleet.stop(host)


def go_down(fleet: Fleet, host: LabHost) -> None:
    """End the daemon and everybody's sessions; nobody listens any more."""
    pid = fleet.host(host.name).pid
    assert pid is not None
    fleet.end_sessions(host)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    fleet.end_sessions(host)


def come_up(fleet: Fleet, host: LabHost) -> None:
    """Start its daemon again, with the same address and host key."""
    wait_ready([fleet._spawn(host)], timeout_s=PATIENCE_S)


@asynccontextmanager
async def engine() -> AsyncIterator[LocalEngine]:
    async with connecting() as connector:
        made = LocalEngine(connector)
        yield made
        await made.aclose()


def run_of(host: Host, line: str, *, retries: int = 0) -> Run:
    return Run("r1", line, [Assignment(host, Command(line))], limits=Limits(retries=retries))


def result_in(events: list[Event]) -> HostResult:
    (result,) = [event.result for event in events if isinstance(event, HostFinished)]
    return result


async def last_of(made: LocalEngine, run: Run) -> HostResult:
    return result_in([event async for event in made.execute(run)])


def test_F51_a_command_that_reboots_its_host_is_unknown_and_not_run_again(fleet, rebooting, loop):
    """
    F51: the link that goes with the host says nothing about the command, which is not repeated,
    whatever retries are allowed.
    """
    host = fleet.model_host(rebooting)

    async def main() -> HostResult:
        async with engine() as made:
            events: list[Event] = []
            async for event in made.execute(
                run_of(host, "echo once >> ~/marks; exec sleep 600", retries=3)
            ):
                events.append(event)
                if isinstance(event, HostStarted):
                    marks = rebooting.home / "marks"
                    until = time.monotonic() + PATIENCE_S
                    while not marks.exists():
                        assert time.monotonic() < until
                        await asyncio.sleep(0.02)
                    go_down(fleet, rebooting)
            return result_in(events)

    result = run_async(main, loop=loop)
    come_up(fleet, rebooting)
    assert result.outcome.failure is not None
    assert result.outcome.failure.kind == "session.lost"
    assert (result.ran, result.attempts) == ("unknown", 1)
    assert (rebooting.home / "marks").read_text() == "once\n"


def test_F51_a_host_that_is_down_is_waited_for(fleet, rebooting, loop):
    """
    F51: with ConnectionAttempts it is tried until it is back, inside one ConnectTimeout.
    """
    host = fleet.model_host(rebooting, connection_attempts=1000)
    go_down(fleet, rebooting)

    async def main() -> HostResult:
        async with engine() as made:
            running = asyncio.ensure_future(last_of(made, run_of(host, "echo back")))
            await asyncio.sleep(0.5)
            assert not running.done()
            come_up(fleet, rebooting)
            return await running

    result = run_async(main, loop=loop)
    assert result.outcome.result is not None
    assert (result.outcome.status, result.outcome.result.stdout) == ("ok", b"back\n")


def test_F51_an_idle_connection_to_a_host_that_rebooted_is_replaced(fleet, rebooting, loop):
    """
    F51: a connection kept from before the reboot is dead; the next command gets a new one.
    """
    host = fleet.model_host(rebooting)

    async def main() -> list[str]:
        async with engine() as made:
            statuses: list[str] = []
            for line in ("echo before", "echo after"):
                statuses.append((await last_of(made, run_of(host, line))).outcome.status)
                if line == "echo before":
                    go_down(fleet, rebooting)
                    come_up(fleet, rebooting)
            return statuses

    assert run_async(main, loop=loop) == ["ok", "ok"]
