"""
Servers that take few connections at a time, and hosts that do not answer.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest

from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.model.events import HostFinished, Notice
from fleetctl.model.host import Host
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.ssh.connector import SshConnector
from fleetctl.testing import EventRecorder
from tests.support.drive import Secrets, connecting, run_async
from tests.support.patience import TEST_LIMIT_S
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet


def run_of(hosts: list[Host], limits: Limits | None = None) -> Run:
    operation = Command("echo done")
    return Run("r1", "echo", [Assignment(host, operation) for host in hosts], limits or Limits())


async def execute(connector: SshConnector, run: Run) -> EventRecorder:
    """Execute the run as the command line does: nothing is kept."""
    engine = LocalEngine(connector, keep_connections=0)
    recorder = EventRecorder()
    try:
        async for event in engine.execute(run):
            recorder.handle(event)
    finally:
        await engine.aclose()
    return recorder


def outcomes(recorder: EventRecorder) -> set[str]:
    """Return what became of the hosts: a status, with the failure if there is one."""
    return {
        f"{result.outcome.status} {result.outcome.failure or ''}".strip()
        for result in recorder.results.values()
    }


@pytest.fixture
def throttled(fleet):
    """A host that drops every connection beyond two that are not logged in."""
    lab_host = fleet.sshd("throttled", {"MaxStartups": "2:100:2"})
    yield lab_host
    fleet.stop(lab_host)


def test_F07_fifty_hosts_behind_one_crowded_endpoint(fleet, loop, throttled):
    """
    With MaxStartups 2:100:2 fifty hosts at one address all get their result, without --retries,
    and the operator is told what is waited for.
    """
    host = fleet.model_host(throttled)
    hosts = [replace(host, name=f"h{number}") for number in range(50)]

    async def main():
        async with connecting() as connector:
            return await execute(connector, run_of(hosts))

    recorder = run_async(main, loop=loop)
    assert outcomes(recorder) == {"ok"}
    assert len(recorder.results) == 50
    assert {result.attempts for result in recorder.results.values()} == {1}
    notices = recorder.of(Notice)
    assert notices
    assert all(notice.kind == "wait" for notice in notices)
    assert f"{throttled.address} port {throttled.port} drops connections" in notices[0].message


def test_F07_many_logins_at_one_crowded_gateway(fleet, throttled):
    """
    Gateways are paced like hosts: thirty logins with settings of their own all get in.
    """
    gateway = fleet.settings(throttled)
    hosts = [
        replace(
            fleet.model_host(
                fleet.host("web01"), gateways=(replace(gateway, set_env={"N": str(number)}),)
            ),
            name=f"h{number}",
        )
        for number in range(30)
    ]

    async def main():
        async with connecting() as connector:
            return await execute(connector, run_of(hosts))

    assert outcomes(run_async(main)) == {"ok"}


def test_refused_login_is_never_tried_again(fleet):
    """
    A host that does not take our key is asked once, whatever the pacing of others is.
    """
    lab_host = fleet.host("key-refused")
    before = lab_host.log.read_text(errors="replace").count("Connection closed by authenticating")

    async def main():
        async with connecting() as connector:
            return await execute(connector, run_of([fleet.model_host(lab_host)]))

    (result,) = run_async(main).results.values()
    assert result.outcome.failure is not None
    assert result.outcome.failure.kind == "auth.denied"
    after = lab_host.log.read_text(errors="replace").count("Connection closed by authenticating")
    assert after - before <= 1


def test_endpoint_that_gives_no_reason_is_not_hammered(fleet):
    """
    Whoever only ever closes at once is tried three times and then believed (F31).
    """
    with hostile_peer("close") as (address, port):
        host = fleet.model_host(fleet.host("web01"), hostname=address, port=port)

        async def main():
            async with connecting() as connector:
                return await execute(connector, run_of([host]))

        (result,) = run_async(main).results.values()
    failure = result.outcome.failure
    assert failure is not None
    assert failure.kind in ("connect.dropped", "connect.reset")
    assert "(tried 3 times)" in failure.message


def test_tarpits_do_not_hold_up_good_hosts(fleet, loop):
    """
    Beside ten times as many silent hosts as there are forks, good ones finish before the first of
    those is given up.
    """
    good = [
        replace(fleet.model_host(lab_host), name=f"good{number}")
        for number, lab_host in enumerate(fleet.hosts(10) * 4)
    ]
    with ExitStack() as listeners:
        tarpits = []
        for number in range(40):
            # The kernel takes the connection, and nobody ever says anything on it.
            listener = listeners.enter_context(socket.create_server(("127.0.0.1", 0)))
            address, port = listener.getsockname()
            tarpits.append(
                Host(
                    f"tar{number}",
                    settings=replace(
                        good[0].settings,
                        hostname=address,
                        port=port,
                        connect_timeout_s=TEST_LIMIT_S,
                    ),
                )
            )
        hosts = [host for pair in zip(tarpits, good, strict=True) for host in pair]

        async def main():
            connector = SshConnector(secrets=Secrets())
            engine = LocalEngine(connector, keep_connections=0)
            recorder = EventRecorder()
            async for event in engine.execute(run_of(hosts, Limits(forks=4))):
                recorder.handle(event)
                if len(recorder.of(HostFinished)) == len(good):
                    engine.cancel()
            await engine.aclose()
            await connector.aclose()
            return recorder

        recorder = run_async(main, loop=loop)
    first = [event.result for event in recorder.of(HostFinished)][: len(good)]
    assert {result.host.name for result in first} == {host.name for host in good}
    assert {result.outcome.status for result in first} == {"ok"}
    assert len(recorder.results) == 80


def test_dead_gateway_does_not_hold_up_good_hosts(fleet):
    """
    Many hosts that wait for one silent gateway let those work that do not need it.
    """
    with hostile_peer("silent") as (address, port):
        silent = replace(
            fleet.settings(fleet.host("web01")),
            hostname=address,
            port=port,
            connect_timeout_s=TEST_LIMIT_S,
        )
        waiting = [
            replace(fleet.model_host(fleet.host("web01"), gateways=(silent,)), name=f"behind{n}")
            for n in range(20)
        ]
        good = [replace(fleet.model_host(h), name=f"good{n}") for n, h in enumerate(fleet.hosts(5))]

        async def main():
            connector = SshConnector(secrets=Secrets())
            engine = LocalEngine(connector, keep_connections=0)
            recorder = EventRecorder()
            async for event in engine.execute(run_of([*waiting, *good], Limits(forks=2))):
                recorder.handle(event)
                if len(recorder.of(HostFinished)) == len(good):
                    engine.cancel()
            await engine.aclose()
            await connector.aclose()
            return recorder

        recorder = run_async(main)
    results = recorder.results
    assert {results[host.name].outcome.status for host in good} == {"ok"}
    assert {results[host.name].outcome.status for host in waiting} == {"cancelled"}
