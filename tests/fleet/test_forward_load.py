"""
Forwardings under load: many bytes, many connections, slow readers, and clients without manners.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource

import pytest

from fleetctl.ssh import loop_transport
from tests.support.drive import run_async, until
from tests.support.forwards import ask, connection, echo, forwarding, serving
from tests.support.gateways import behind

pytestmark = pytest.mark.fleet

MIB = 1024 * 1024


@pytest.mark.parametrize("where", ["web01", "rekey", "gateway"])
def test_millions_of_bytes_arrive_as_they_were_sent(fleet, loop, where):
    """
    32 MiB each way, on a local and a remote forwarding at once: also with new keys after every
    MiB, and through a gateway.
    """
    data = random.Random(1).randbytes(MIB) * 32
    digest = hashlib.sha256(data).digest()
    if where == "gateway":
        host = behind(fleet, "web01", "web02")
    else:
        host = fleet.model_host(fleet.host(where))

    async def main():
        async with (
            serving(echo) as port,
            forwarding(host, f"-L 0:127.0.0.1:{port}", f"-R 0:127.0.0.1:{port}") as forwards,
        ):
            got = await asyncio.gather(*(exchange(port, data) for port in forwards.ports))
            assert got == [digest, digest]

    run_async(main, loop=loop)


async def exchange(port: int, data: bytes) -> bytes:
    """Send and receive at the same time; return the digest of what came back."""
    async with connection(port) as (reader, writer):

        async def send() -> None:
            for start in range(0, len(data), 256 * 1024):
                writer.write(data[start : start + 256 * 1024])
                await writer.drain()
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        found = hashlib.sha256()
        while part := await reader.read(MIB):
            found.update(part)
        await sending
        return found.digest()


@pytest.mark.parametrize("kind", ["L", "R"])
def test_two_hundred_connections_at_once(fleet, loop, kind):
    """
    All are open at the same time, each gets its own bytes back, and none is left over.
    """
    host = fleet.model_host(fleet.host("web01"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    async def main():
        everybody_is_here = asyncio.Barrier(200)

        async def one(port: int) -> bool:
            data = os.urandom(20_000)
            async with connection(port) as (reader, writer):
                writer.write(data[:1000])
                got = await reader.readexactly(1000)
                await everybody_is_here.wait()
                writer.write(data[1000:])
                writer.write_eof()
                return got + await reader.read() == data

        async with (
            serving(echo) as port,
            forwarding(host, f"-{kind} 0:127.0.0.1:{port}") as forwards,
        ):
            (listening,) = forwards.ports
            assert all(await asyncio.gather(*(one(listening) for _ in range(200))))
            await until(lambda: not forwards.forwarding._streams)
            assert forwards.events == []

    run_async(main, loop=loop)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("kind", ["L", "R"])
@pytest.mark.parametrize("stuck", ["client", "target"])
def test_who_does_not_read_stops_nobody_else_and_costs_little(host, loop, kind, stuck):
    """
    Data for a stuck reader is held back where it comes from, on both ways; other connections of
    the same forwarding go on.
    """
    most = 24 * MIB  # windows, and the systems' socket buffers on both sides

    async def main():
        taken = 0

        async def floods(writer: asyncio.StreamWriter) -> None:
            nonlocal taken
            while taken < 3 * most:
                writer.write(bytes(64 * 1024))
                await writer.drain()
                taken += 64 * 1024

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.readexactly(1) == b"e":
                await echo(reader, writer)
            elif stuck == "client":
                await floods(writer)
            else:
                stop_reading(reader)
                await asyncio.Event().wait()

        async with (
            serving(serve) as port,
            forwarding(host, f"-{kind} 0:127.0.0.1:{port}") as forwards,
        ):
            (listening,) = forwards.ports
            async with connection(listening) as (reader, writer):
                writer.write(b"s")
                sending = None
                if stuck == "target":
                    sending = asyncio.ensure_future(floods(writer))
                else:
                    stop_reading(reader)
                seen = -1
                while seen != taken or not taken:
                    seen = taken
                    for _ in range(5):
                        data = os.urandom(100_000)
                        assert await ask(listening, b"e" + data) == data
                assert taken < most
                if sending is not None:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                writer.transport.abort()

    run_async(main, loop=loop)


def test_channels_of_weeks_are_not_all_remembered(host, monkeypatch):
    """
    Numbers of channels that closed long ago are forgotten, never those that are open.
    """
    monkeypatch.setattr(loop_transport, "MAX_CHANNELS_SEEN", 10)

    async def main():
        async with serving(echo) as port, forwarding(host, f"-L 0:127.0.0.1:{port}") as forwards:
            (listening,) = forwards.ports
            async with connection(listening) as (reader, writer):
                for number in range(40):
                    assert await ask(listening, b"x") == b"x"
                    writer.write(b"y")
                    assert await reader.readexactly(1) == b"y", number
            assert len(forwards.ssh.transport.channels_seen) <= 10

    run_async(main)


def stop_reading(reader: asyncio.StreamReader) -> None:
    """Let what comes wait in the system's buffers."""
    reader._transport.pause_reading()  # type: ignore[attr-defined] # there is no public way


def test_clients_that_come_and_go_leave_nothing_behind(host, loop):
    """
    Connections that are reset, half closed or left at any moment end on the other side too.
    """

    async def main():
        open_there = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_there
            open_there += 1
            try:
                await echo(reader, writer)
            finally:
                open_there -= 1

        async def rude(port: int, choose: random.Random) -> None:
            async with connection(port) as (reader, writer):
                for _ in range(choose.randrange(4)):
                    writer.write(os.urandom(choose.randrange(60_000)))
                    await asyncio.sleep(0)
                match choose.randrange(4):
                    case 0:
                        writer.transport.abort()
                    case 1:
                        writer.write_eof()
                        await reader.read(1000)
                    case 2:
                        await asyncio.sleep(0.01)

        async with (
            serving(serve) as port,
            forwarding(host, f"-L 0:127.0.0.1:{port}", f"-R 0:127.0.0.1:{port}") as forwards,
        ):
            for round_ in range(4):
                await asyncio.gather(
                    *(
                        rude(each, random.Random(round_ * 100 + number))
                        for number in range(20)
                        for each in forwards.ports
                    ),
                    return_exceptions=True,
                )
            await until(lambda: not open_there and not forwards.forwarding._streams)
            assert forwards.ssh.is_open

    run_async(main, loop=loop)
