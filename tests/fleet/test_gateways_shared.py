"""
One connection to a gateway for many hosts, and another when one is not enough.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import threading
from contextlib import AsyncExitStack, closing
from dataclasses import replace

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from fleetctl.ssh import gateway as gateway_module
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.gateway import Gateways, Lease
from tests.support.drive import Connection, connected, connecting, run_async, until
from tests.support.gateways import behind, logins
from tests.support.leaks import child_pids

pytestmark = pytest.mark.fleet


async def lease_of(connector: SshConnector, host: Host) -> Lease:
    """Return a stream's lease as the connector takes it, without a host behind it."""
    connector._gateways = connector._gateways or Gateways(connector._connect_gateway)
    return await connector._gateways.lease(host.settings.gateways)


class Echo:
    """Sends back what it gets, until the other side has finished; in a thread of its own."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, name="echo")
        self._thread.start()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data)

    def join(self) -> None:
        self._thread.join(5)


class Reader:
    """The owner of a stream in these tests."""

    def __init__(self) -> None:
        self.data = b""
        self.is_over = False
        self.error: BaseException | None = None

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def stream_ended(self, error: BaseException | None) -> None:
        self.is_over, self.error = True, error

    def write_pressure(self, *, paused: bool) -> None:
        pass


def test_another_connection_when_one_is_full(fleet, monkeypatch):
    """
    Beyond its number of streams a gateway is logged in to once more, for as many again.
    """
    monkeypatch.setattr(gateway_module, "MAX_STREAMS", 4)
    host = behind(fleet, "web01", "web02")
    before = logins(fleet.host("web02"))

    async def main():
        async with connecting() as connector:
            links = await asyncio.gather(
                *(connector.connect(host, Trace(), open_session=True) for _ in range(10))
            )
            for link in links:
                assert (await Connection(link, Trace()).exec("exit 3")).exit_status == 3
            await asyncio.gather(*(link.close() for link in links))
            # The streams are free again: nobody has to log in.
            async with connected(host, connector=connector) as connection:
                assert (await connection.exec("exit 4")).exit_status == 4

    run_async(main)
    assert logins(fleet.host("web02")) - before == 3


def test_another_connection_when_the_gateway_refuses_more(fleet):
    """
    A gateway that has no descriptors left for another stream gets another connection, and every
    host behind it is reached.
    """
    lab_gateway = fleet.sshd("few-descriptors", {})
    assert lab_gateway.pid is not None
    resource.prlimit(lab_gateway.pid, resource.RLIMIT_NOFILE, (20, 20))
    host = behind(fleet, "web01", "few-descriptors")

    async def main():
        async with connecting() as connector, AsyncExitStack() as links:
            connections = await asyncio.gather(
                *(
                    links.enter_async_context(connected(host, connector=connector))
                    for _ in range(30)
                )
            )
            results = await asyncio.gather(*(c.exec("exit 3") for c in connections))
            return {result.exit_status for result in results}

    assert run_async(main) == {3}
    assert 1 < logins(lab_gateway) < 30
    fleet.stop(lab_gateway)


def test_idle_gateway_is_closed(fleet, monkeypatch):
    """
    A gateway nobody has gone through for a while is closed, and connected to again when needed.
    """
    monkeypatch.setattr(gateway_module, "IDLE_S", 0.1)
    lab_gateway = fleet.host("web02")
    host = behind(fleet, "web01", "web02")
    before = logins(lab_gateway)

    async def main():
        async with connecting() as connector:
            for _ in range(2):
                async with connected(host, connector=connector) as connection:
                    assert (await connection.exec("sleep 0.3; exit 4")).exit_status == 4
                await until(lambda: not fleet.sessions(lab_gateway))

    run_async(main)
    assert logins(lab_gateway) - before == 2


def test_silent_gateway_is_noticed(fleet, loop):
    """
    A gateway that answers no keepalive any more is lost, for all that go through it, though the
    hosts themselves have no keepalive.
    """
    lab_gateway = fleet.sshd("stopped", {})
    gateway = fleet.settings(lab_gateway, server_alive_interval_s=0.4)
    host = fleet.model_host(fleet.host("web01"), gateways=(gateway,), server_alive_interval_s=0.0)

    async def main():
        async with connecting() as connector, connected(host, connector=connector) as connection:
            running = asyncio.ensure_future(connection.exec("echo x; sleep 60"))
            await until(lambda: connection.trace.ran != "no")
            for pid in fleet.sessions(lab_gateway):
                os.kill(pid, signal.SIGSTOP)
            (error,) = await asyncio.gather(running, return_exceptions=True)
            return error

    try:
        error = run_async(main, loop=loop)
    finally:
        fleet.end_sessions(lab_gateway)
        fleet.stop(lab_gateway)
    assert (error.kind, error.failure.hop) == ("session.lost", lab_gateway.address)
    assert "3 keepalives in a row got no answer" in str(error)


def test_lost_outer_gateway_is_the_one_named(fleet):
    """
    Behind two gateways, the loss of the outer one is its own, not that of the inner one.
    """
    outer = fleet.host("web02")
    host = behind(fleet, "web01", "web02", "web03")

    async def main():
        async with connecting() as connector, connected(host, connector=connector) as connection:
            running = asyncio.ensure_future(connection.exec("sleep 60"))
            await until(lambda: connection.trace.ran != "no")
            fleet.end_sessions(outer)
            (error,) = await asyncio.gather(running, return_exceptions=True)
            return error

    error = run_async(main)
    assert (error.kind, error.failure.hop) == ("session.lost", outer.address)


def test_gateway_is_shared_by_chains_that_begin_with_it(fleet):
    """
    A host behind one gateway and a host behind two share the first.
    """
    before = logins(fleet.host("web02"))
    fleet.hosts(4)

    async def main():
        async with connecting() as connector:
            for hops in (("web02",), ("web02", "web03"), ("web02", "web04")):
                async with connected(behind(fleet, "web01", *hops), connector=connector) as c:
                    assert (await c.exec("true")).exit_status == 0

    run_async(main)
    assert logins(fleet.host("web02")) - before == 1


def test_connector_closes_gateways_after_their_streams(fleet, loop):
    """
    Hosts closed in the same moment as the connector are still said goodbye to through the gateway.
    """
    target = fleet.host("web01")
    goodbyes = "Received disconnect"
    before = target.log.read_text(errors="replace").count(goodbyes)
    host = behind(fleet, "web01", "web02", "web03")

    async def main():
        async with connecting() as connector:
            links = [await connector.connect(host, Trace(), open_session=True) for _ in range(5)]
            await asyncio.gather(*(link.close() for link in links))

    run_async(main, loop=loop)

    async def seen():
        def count() -> int:
            return target.log.read_text(errors="replace").count(goodbyes)

        await until(lambda: count() - before == 5)

    run_async(seen)


def test_stream_to_a_socket_on_the_gateway(fleet, loop, tmp_path):
    """
    A stream may lead to a Unix-domain socket there; its end is told as it came.
    """
    path = str(tmp_path / "echo.sock")
    host = behind(fleet, "web01", "web02")

    async def main():
        async with connecting() as connector:
            lease = await lease_of(connector, host)
            wire = await lease.reach_socket(path)
            lease.give_back()
            reader = Reader()
            wire.attach(reader)
            wire.write(b"hello")
            await until(lambda: reader.data == b"hello")
            wire.pause_reading()
            wire.write(b" again")
            await asyncio.sleep(0.1)
            assert reader.data == b"hello"
            wire.resume_reading()
            await until(lambda: reader.data == b"hello again")
            wire.close()
            await until(lambda: lease.gateway.streams == 0)
            assert wire.getpeername() == ("unknown", 0)

    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()
        echo = Echo(listener)
        run_async(main, loop=loop)
        echo.join()


def test_socket_that_is_not_there(fleet, tmp_path):
    """
    A path where nobody listens is a failure that names it.
    """

    async def main():
        async with connecting() as connector:
            lease = await lease_of(connector, behind(fleet, "web01", "web02"))
            with pytest.raises(FleetError) as caught:
                await lease.reach_socket(str(tmp_path / "nothing"))
            lease.give_back()
            await until(lambda: lease.gateway.streams == 0)
            return caught.value

    error = run_async(main)
    assert error.kind == "connect.unreachable"
    assert "nothing" in str(error)


def test_writer_is_held_back_when_nobody_reads(fleet, loop):
    """
    Into a stream whose far end takes nothing, no more is sent than windows hold, the writer is
    told to wait, and closing gives up what is left.
    """

    class Writer(Reader):
        is_paused = False

        def write_pressure(self, *, paused: bool) -> None:
            self.is_paused = paused

    async def main(address, port):
        async with connecting() as connector:
            lease = await lease_of(connector, behind(fleet, "web01", "web02"))
            wire = await lease.reach(address, port)
            lease.give_back()
            writer = Writer()
            wire.attach(writer)
            channel = wire.channel
            assert channel is not None
            written = 0
            while not writer.is_paused or channel.out_window_size:
                wire.write(bytes(65536))
                written += 65536
                assert written < 64 * 1024 * 1024
                await asyncio.sleep(0)
            wire.close()
            await until(lambda: channel.closed)
            # The gateway keeps the channel as long as the far end keeps the connection.
            listener.close()
            await until(lambda: lease.gateway.streams == 0)
            assert lease.gateway.is_open

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run_async(lambda: main(*listener.getsockname()), loop=loop)


def test_no_threads_and_no_children(fleet):
    """
    Hosts behind gateways cost neither threads nor processes.
    """
    host = replace(behind(fleet, "web01", "web02"), name="h")
    before = child_pids()

    async def main():
        async with connected(host) as connection:
            await connection.exec("true")
            threads = [t.name for t in threading.enumerate()]
            return child_pids() - before, threads

    children, threads = run_async(main)
    assert children == set()
    assert all(name.startswith(("MainThread", "fleetctl", "pytest", "execnet")) for name in threads)
