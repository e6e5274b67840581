"""
Hosts behind gateways: one hop or several, shared, with each hop's own settings and failures.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.trace import Trace
from tests.support.drive import Connection, connected, connecting, failed_login, run_async, until
from tests.support.gateways import behind, logins
from tests.support.keys import keygen

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize("hops", [("web02",), ("web02", "web03"), ("web02", "web03", "web04")])
def test_host_behind_gateways(fleet, loop, hops):
    """
    A command runs behind one, two and three gateways, and each hop is logged in to once.
    """
    host = behind(fleet, "web01", *hops)
    before = [logins(fleet.host(name)) for name in ("web01", *hops)]

    async def main():
        async with connected(host) as connection:
            result = await connection.exec("cat; echo $SSH_CONNECTION >&2; exit 7", stdin=b"in\0")
            assert (result.exit_status, result.stdout) == (7, b"in\0")
            assert connection.trace.connect_s is not None
            assert connection.trace.address is None
            return result.stderr.decode().split()[0]

    run_async(main, loop=loop)
    after = [logins(fleet.host(name)) for name in ("web01", *hops)]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1] * (1 + len(hops))


def test_F57_200_hosts_through_one_gateway(fleet, loop):
    """
    The default limits of a gateway's sshd lose none of 200 hosts that come and go, and it sees few
    logins: a stream is not a session, and closing one host never ends the gateway.
    """
    gateway = fleet.host("default-limits")
    targets = [fleet.host(f"web{number:02d}") for number in range(1, 11)]
    before = logins(gateway)
    hosts = [
        replace(
            fleet.model_host(
                targets[number % 10],
                gateways=(fleet.settings(gateway),),
                connect_timeout_s=60.0,
            ),
            name=f"h{number}",
        )
        for number in range(200)
    ]
    admitted = asyncio.Semaphore(40)

    async def one(connector, host):
        async with admitted, connected(host, connector=connector) as connection:
            return (await connection.exec(f"echo {host.name}")).stdout

    async def main():
        async with connecting() as connector:
            return await asyncio.gather(*(one(connector, host) for host in hosts))

    assert run_async(main, loop=loop, limit_s=180) == [f"{h.name}\n".encode() for h in hosts]
    assert logins(gateway) - before == 1
    assert "nonexistent channel" not in gateway.log.read_text(errors="replace")


def test_streams_are_no_sessions(fleet):
    """
    With MaxSessions 1 at the gateway many hosts behind it are reached at once.
    """
    host = behind(fleet, "web01", "tiny-sessions")

    async def main():
        async with connecting() as connector:
            traces = [Trace() for _ in range(8)]
            links = await asyncio.gather(
                *(connector.connect(host, trace, open_session=True) for trace in traces)
            )
            for link, trace in zip(links, traces, strict=True):
                assert (await Connection(link, trace).exec("exit 3")).exit_status == 3
            await asyncio.gather(*(link.close() for link in links))

    run_async(main)


def test_one_host_closed_early_leaves_the_gateway_alone(fleet, loop):
    """
    A host that is closed or dropped in the middle of its output costs the others nothing.
    """
    host, other = behind(fleet, "web01", "web02"), behind(fleet, "web03", "web02")
    before = logins(fleet.host("web02"))

    async def main():
        async with connecting() as connector, connected(other, connector=connector) as lasting:
            for way in ("close", "abort") * 5:
                async with connected(host, connector=connector) as leaving:
                    seen = asyncio.Event()
                    running = asyncio.ensure_future(
                        leaving.exec("yes", on_output=lambda *_, seen=seen: seen.set())
                    )
                    await seen.wait()
                    getattr(leaving.transport, way)()
                    with pytest.raises(FleetError) as caught:
                        await running
                    assert caught.value.kind == "session.lost"
                    assert caught.value.failure.hop is None
            assert (await lasting.exec("exit 5")).exit_status == 5

    run_async(main, loop=loop)
    assert logins(fleet.host("web02")) - before == 1


def test_gateway_lost_while_a_command_runs(fleet, loop):
    """
    If the gateway goes away, a command that runs may have run; the failure names the hop, and the
    next host connects to the gateway anew.
    """
    lab_gateway = fleet.host("web02")
    host = behind(fleet, "web01", "web02")

    async def main():
        async with connecting() as connector:
            async with connected(host, connector=connector) as connection:
                running = asyncio.ensure_future(connection.exec("echo x; sleep 60"))
                await until(lambda: connection.trace.ran != "no")
                await until(lambda: fleet.sessions(lab_gateway))
                fleet.end_sessions(lab_gateway)
                with pytest.raises(FleetError) as caught:
                    await running
                error = caught.value
                assert (error.kind, error.failure.hop) == ("session.lost", lab_gateway.address)
                assert connection.trace.ran == "unknown"
                assert not error.failure.retryable
                with pytest.raises(FleetError) as caught:
                    await connection.exec("true")
                again = caught.value.failure
                assert (again.kind, again.hop) == ("gateway.lost", lab_gateway.address)
                assert again.retryable
            async with connected(host, connector=connector) as connection:
                assert (await connection.exec("exit 4")).exit_status == 4

    run_async(main, loop=loop)


def test_gateway_lost_before_the_login(fleet):
    """
    A gateway that goes away while a host behind it logs in is gateway.lost, and nothing ran.
    """
    lab_gateway = fleet.host("web02")
    host = behind(fleet, "slow-auth", "web02")

    async def main():
        async with connecting() as connector:
            trace = Trace()
            task = asyncio.ensure_future(connector.connect(host, trace, open_session=True))
            await until(lambda: trace.phase == "auth")
            fleet.end_sessions(lab_gateway)
            with pytest.raises(FleetError) as caught:
                await task
            failure = caught.value.failure
            assert (failure.kind, failure.hop) == ("gateway.lost", lab_gateway.address)
            assert failure.retryable
            assert trace.ran == "no"

    run_async(main)


# -- each hop's own settings


def test_each_hop_has_its_own_key(fleet, tmp_path):
    """
    A gateway is logged in to with the identity of its own settings.
    """
    key = keygen(tmp_path / "gate", "-t", "ed25519")
    lab_gateway = fleet.sshd("own-key", {})
    (lab_gateway.home / ".ssh" / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    settings = fleet.settings(lab_gateway)
    host = fleet.model_host(fleet.host("web01"), gateways=(settings,))
    assert failed_login(host).kind == "auth.denied"
    own = replace(settings, identity_files=(str(key),))

    async def main():
        async with connected(replace(host, settings=replace(host.settings, gateways=(own,)))) as c:
            return (await c.exec("exit 6")).exit_status

    assert run_async(main) == 6
    fleet.stop(lab_gateway)


def test_different_settings_are_different_gateways(fleet):
    """
    Hosts share a gateway's connection only if all its settings are equal.
    """
    settings = fleet.settings(fleet.host("web02"))
    before = logins(fleet.host("web02"))

    async def main():
        async with connecting() as connector:
            for gateway in (settings, replace(settings), replace(settings, compression=True)):
                host = fleet.model_host(fleet.host("web01"), gateways=(gateway,))
                async with connected(host, connector=connector) as connection:
                    assert (await connection.exec("true")).exit_status == 0

    run_async(main)
    assert logins(fleet.host("web02")) - before == 2


# -- much data


@pytest.mark.parametrize("hops", [("rekey",), ("rekey", "web02")])
def test_bytes_are_exact_while_the_gateway_changes_keys(fleet, loop, hops):
    """
    20 MiB each way through gateways that change keys after every MiB arrive as they were sent.
    """
    data = hashlib.shake_256(b"gateway").digest(20 * MEBIBYTE)
    host = behind(fleet, "web01", *hops)

    async def main():
        async with connected(host) as connection:
            return await connection.exec("cat", stdin=data, max_output_bytes=len(data))

    result = run_async(main, loop=loop, limit_s=120)
    assert result.stdout_bytes == len(data)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def test_we_change_keys_with_the_gateway_under_load(fleet, loop):
    """
    RekeyLimit of the gateway's own settings is kept while streams go through it.
    """
    data = hashlib.shake_256(b"ours").digest(8 * MEBIBYTE)
    gateway = fleet.settings(fleet.host("web02"), rekey_limit_bytes=MEBIBYTE)
    host = fleet.model_host(fleet.host("web01"), gateways=(gateway,))

    async def main():
        async with connecting() as connector:
            links = [await connector.connect(host, Trace(), open_session=True) for _ in range(3)]
            results = await asyncio.gather(
                *(
                    Connection(link, Trace()).exec("cat", stdin=data, max_output_bytes=len(data))
                    for link in links
                )
            )
            await asyncio.gather(*(link.close() for link in links))
            return [result.stdout == data for result in results]

    assert run_async(main, loop=loop, limit_s=120) == [True] * 3
