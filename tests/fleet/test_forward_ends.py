"""
How forwarded connections end: one way after the other, by a reset, or with the connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from fleetctl.model.forward import Place
from fleetctl.ssh import forward as forward_module
from fleetctl.ssh.forward import Forwarding
from tests.support.drive import run_async, until
from tests.support.forwards import ask, connection, echo, forwarding, serving, wish

pytestmark = pytest.mark.fleet


async def is_cut_off(port: int) -> bool:
    """Tell whether a connection is refused or reset, or ends without a byte."""
    try:
        return await ask(port, eof=False) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("kind", ["L", "R"])
def test_either_side_may_finish_first(host, loop, kind):
    """
    Half-close both ways: what is written after the other side's end still arrives.
    """

    async def answers_at_the_end(reader, writer):
        data = await reader.read()
        await asyncio.sleep(0.05)
        writer.write(b"got " + data)

    async def ends_first(reader, writer):
        writer.write(b"hello")
        writer.write_eof()
        heard.append(await reader.read())

    heard: list[bytes] = []

    async def main():
        async with (
            serving(answers_at_the_end) as late,
            serving(ends_first) as early,
            forwarding(host, f"-{kind} 0:127.0.0.1:{late}", f"-{kind} 0:127.0.0.1:{early}") as up,
        ):
            assert await ask(up.places[0], b"question") == b"got question"
            async with connection(up.places[1]) as (reader, writer):
                assert await reader.read() == b"hello"
                writer.write(b"after your end")
                writer.write_eof()
                await until(lambda: heard)
            assert heard == [b"after your end"]
            await until(lambda: not up.forwarding._streams)

    run_async(main, loop=loop)


def test_closing_takes_listeners_back_on_both_sides(host, loop):
    """
    The connection may live on: nobody listens any more, and the ports can be had again.
    """

    async def main():
        async with (
            serving(echo) as port,
            forwarding(host, f"-L 0:localhost:{port}", f"-R 0:localhost:{port}") as up,
        ):
            ports = up.ports
            remote = up.ports[1]
            async with connection(up.places[0]) as (reader, writer):
                writer.write(b"x")
                assert await reader.read(1) == b"x"
                await up.forwarding.close()
                with pytest.raises(ConnectionResetError):
                    await reader.read(1)
            for each in ports:
                assert await is_cut_off(each)
            up.ssh.watch_channel()  # it is closed once more at the end
            again = Forwarding(up.ssh, tell=up.events.append)
            listening = await again.add(*wish(host, f"-R {remote}:localhost:{port}"))
            assert listening.places == (Place(None, remote),)
            assert await ask(remote, b"again") == b"again"
            await again.close()

    run_async(main, loop=loop)


def test_a_reset_on_one_side_ends_the_other(host, loop):
    """
    RST of the client ends the server's connection, and the other way round.
    """

    async def main():
        gone = asyncio.Event()

        async def waits(reader, writer):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(10)
            gone.set()

        async def resets(reader, writer):
            await reader.readexactly(1)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

        async with (
            serving(waits) as first,
            serving(resets) as second,
            forwarding(host, f"-L 0:127.0.0.1:{first}", f"-L 0:127.0.0.1:{second}") as forwards,
        ):
            async with connection(forwards.places[0]) as (_, writer):
                writer.write(b"x")
                await until(lambda: len(forwards.forwarding._streams) == 2)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            await gone.wait()
            async with connection(forwards.places[1]) as (reader, writer):
                writer.write(b"x")
                assert await reader.read() == b""
            await until(lambda: not forwards.forwarding._streams)

    run_async(main, loop=loop)


def test_when_the_connection_dies_every_forwarded_one_ends(fleet, loop):
    """
    None of them looks like a good end: what was cut off is seen as a reset.
    """
    lab_host = fleet.sshd("dies", {})
    host = fleet.model_host(lab_host)

    async def main():
        async with (
            serving(echo) as port,
            forwarding(host, f"-L 0:127.0.0.1:{port}", f"-R 0:127.0.0.1:{port}") as forwards,
        ):
            async with connection(forwards.places[0]) as (reader, writer):
                writer.write(b"x")
                assert await reader.read(1) == b"x"
                await asyncio.to_thread(fleet.end_sessions, lab_host)
                with pytest.raises(ConnectionResetError):
                    await reader.read(1)
            await forwards.ssh.transport.ended
            assert "connection" in str(forwards.forwarding.lost())
            assert await is_cut_off(forwards.ports[0])
            assert forwards.events == []

    run_async(main, loop=loop)
    fleet.stop(lab_host)


def test_a_mistake_of_ours_is_not_lost(host, loop, monkeypatch):
    """
    What our own code raises ends the connection it was for, and is kept for whoever owns the
    forwardings.
    """

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(forward_module, "join_streams", fails)

    async def main():
        async with (
            serving(echo) as port,
            forwarding(host, f"-L 0:127.0.0.1:{port}") as forwards,
        ):
            assert await is_cut_off(forwards.ports[0])
            await until(forwards.forwarding.failed.done)

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        run_async(main, loop=loop)
