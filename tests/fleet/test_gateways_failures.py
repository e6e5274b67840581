"""
Failures behind gateways: each names the hop it happened at; and connects that are cancelled.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.trace import Trace
from tests.support.drive import connected, connecting, failed_login, run_async, until
from tests.support.gateways import behind, logins
from tests.support.patience import at_some_pace
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet


def test_F56_key_refused_at_a_hop(fleet):
    """
    A gateway that does not take our key is auth.denied at that hop; the host never sees us.
    """
    host = behind(fleet, "web01", "web02", "key-refused")
    before = logins(fleet.host("web01"))
    failure = failed_login(host).failure
    assert (failure.kind, failure.hop) == ("auth.denied", fleet.host("key-refused").address)
    assert not failure.retryable
    assert logins(fleet.host("web01")) == before


@pytest.mark.parametrize(
    ("hop", "kind"), [("unknown-key", "hostkey.unknown"), ("new-key", "hostkey.changed")]
)
def test_F56_host_key_of_a_hop(fleet, hop, kind):
    """
    Each hop's host key is checked against its own known_hosts before anything is offered.
    """
    host = behind(fleet, "web01", hop)
    before = fleet.host(hop).log.read_text(errors="replace").count("publickey")
    failure = failed_login(host).failure
    assert (failure.kind, failure.hop) == (kind, fleet.host(hop).address)
    assert fleet.host(hop).log.read_text(errors="replace").count("publickey") == before


def test_F56_host_key_behind_a_hop(fleet):
    """
    The host behind a gateway is checked like any other, and the failure is its own.
    """
    failure = failed_login(behind(fleet, "unknown-key", "web02")).failure
    assert (failure.kind, failure.hop) == ("hostkey.unknown", None)


def test_F56_dead_hop(fleet):
    """
    A gateway where nobody listens is connect.refused at that hop.
    """
    settings = replace(fleet.settings(fleet.host("web02")), port=1)
    host = fleet.model_host(fleet.host("web01"), gateways=(settings,))
    failure = failed_login(host).failure
    assert (failure.kind, failure.hop) == ("connect.refused", settings.hostname)


def test_F56_second_hop_refused(fleet):
    """
    A second gateway that the first cannot reach is the failure of the second.
    """
    first = fleet.settings(fleet.host("web02"))
    second = replace(fleet.settings(fleet.host("web03")), port=1)
    host = fleet.model_host(fleet.host("web01"), gateways=(first, second))
    failure = failed_login(host).failure
    assert (failure.kind, failure.hop) == ("connect.refused", second.hostname)
    assert f"from gateway {first.hostname}: Connection refused" in failure.message


def test_gateway_without_a_name(fleet):
    """
    A gateway whose name has no address is resolve.gateway.
    """
    settings = replace(fleet.settings(fleet.host("web02")), hostname="no-such.invalid")
    failure = failed_login(fleet.model_host(fleet.host("web01"), gateways=(settings,))).failure
    assert (failure.kind, failure.hop) == ("resolve.gateway", "no-such.invalid")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"port": 1}, "connect.refused", "Connection refused"),
        ({"hostname": "no-such.invalid"}, "resolve.dns", "not known"),
    ],
)
def test_what_the_gateway_says_of_the_host(fleet, changes, kind, words):
    """
    A host that the gateway cannot reach has the kind it would have without one, and no hop.
    """
    failure = failed_login(behind(fleet, "web01", "web02", **changes)).failure
    assert (failure.kind, failure.hop) == (kind, None)
    assert words in failure.message


def test_gateway_that_does_not_forward(fleet):
    """
    AllowTcpForwarding no is the gateway's refusal, with the option to look at.
    """
    fleet.sshd("no-forwarding", {"AllowTcpForwarding": "no"})
    failure = failed_login(behind(fleet, "web01", "no-forwarding")).failure
    assert (failure.kind, failure.hop) == ("connect.refused", fleet.host("no-forwarding").address)
    assert "AllowTcpForwarding" in (failure.hint or "")


def test_one_failure_for_all_who_wait(fleet):
    """
    Hosts that wait for one gateway share its one login and its failure, each in its own name.
    """
    lab_gateway = fleet.host("key-refused")
    host = behind(fleet, "web01", "key-refused")
    before = lab_gateway.log.read_text(errors="replace").count("Connection from")

    async def main():
        async with connecting() as connector:
            errors = await asyncio.gather(
                *(connector.connect(host, Trace(), open_session=True) for _ in range(20)),
                return_exceptions=True,
            )
            # A login that was refused is not tried again for the next host either.
            with pytest.raises(FleetError):
                await connector.connect(host, Trace(), open_session=True)
            return errors

    errors = run_async(main)
    assert {error.kind for error in errors} == {"auth.denied"}
    assert len({id(error) for error in errors}) == 20
    after = lab_gateway.log.read_text(errors="replace").count("Connection from")
    assert after - before <= 1


def test_silent_gateway_ends_at_its_own_deadline(fleet):
    """
    A gateway that says nothing costs its own ConnectTimeout, not that of the host.
    """
    with hostile_peer("silent") as (address, port):

        def check(pace):
            settings = replace(
                fleet.settings(fleet.host("web02")),
                hostname=address,
                port=port,
                connect_timeout_s=0.4 * pace,
            )
            host = fleet.model_host(fleet.host("web01"), gateways=(settings,))
            failure = failed_login(host).failure
            assert (failure.kind, failure.hop) == ("banner.timeout", address)

        at_some_pace(check)


def test_host_that_says_nothing_behind_a_gateway(fleet):
    """
    A silent host behind a gateway fails at its own deadline; the gateway goes on.
    """
    with hostile_peer("silent") as (address, port):

        async def main(pace):
            before = logins(fleet.host("web02"))
            async with connecting() as connector:
                silent = behind(
                    fleet,
                    "web01",
                    "web02",
                    hostname=address,
                    port=port,
                    connect_timeout_s=1.5 * pace,
                )
                with pytest.raises(FleetError) as caught:
                    await connector.connect(silent, Trace(), open_session=True)
                assert (caught.value.kind, caught.value.failure.hop) == ("banner.timeout", None)
                host = behind(fleet, "web01", "web02")
                async with connected(host, connector=connector) as connection:
                    assert (await connection.exec("exit 2")).exit_status == 2
            assert logins(fleet.host("web02")) - before == 1

        at_some_pace(lambda pace: run_async(lambda: main(pace)))


# -- cancelled


@contextmanager
def full_listener() -> Iterator[tuple[str, int]]:
    """A port at which connecting never ends: nobody accepts, and the backlog is full."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.mark.parametrize("phase", ["gateway", "connect", "kex", "auth"])
def test_cancelled_in_each_phase(fleet, loop, phase):
    """
    A connect through a gateway can be cancelled at any time; nothing is left open, and the gateway
    serves the next host.
    """
    fleet.hosts(3)
    with full_listener() as full, hostile_peer("silent") as silent:
        host = {
            "gateway": behind(fleet, "web01", "slow-auth"),
            "connect": behind(fleet, "web01", "web02", hostname=full[0], port=full[1]),
            "kex": behind(fleet, "web01", "web02", hostname=silent[0], port=silent[1]),
            "auth": behind(fleet, "slow-auth", "web02"),
        }[phase]

        async def main():
            async with connecting() as connector:
                trace = Trace()
                task = asyncio.ensure_future(connector.connect(host, trace, open_session=True))
                if phase == "gateway":
                    # Its login takes a minute.
                    await until(lambda: connector._gateways is not None)
                    await asyncio.sleep(0.3)
                    assert not task.done()
                else:
                    await until(lambda: trace.phase == phase)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                other = behind(fleet, "web03", "web02")
                async with connected(other, connector=connector) as connection:
                    assert (await connection.exec("exit 1")).exit_status == 1

        run_async(main, loop=loop)


def test_cancelled_command_behind_a_gateway(fleet, loop):
    """
    Cancelling a command with much output and input closes its channel only.
    """
    host = behind(fleet, "web01", "web02")

    async def main():
        async with connected(host) as connection:
            running = asyncio.ensure_future(connection.exec("yes; cat", stdin=bytes(1024 * 1024)))
            await until(lambda: connection.trace.ran != "no")
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert (await connection.exec("exit 9")).exit_status == 9

    run_async(main, loop=loop)
