"""
Forwardings in tests: services to connect to, and what connects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleetctl.model.failure import Failure
from fleetctl.model.forward import ConnectionRefused, Endpoint, Forward, ForwardEvent, Place
from fleetctl.model.host import Host
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.forward import Forwarding
from fleetctl.wiring.forwards import read_forwards
from tests.support.drive import connected

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Forwards:
    """
    Forwardings that are there.

    Attributes:
        places: Where each listens, in the order they were asked for.
        events: What was told.
    """

    ssh: SshConnection
    forwarding: Forwarding
    places: list[Endpoint] = field(default_factory=list)
    events: list[ForwardEvent] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        return [place.port for place in self.places if isinstance(place, Place)]


def refusals(forwards: Forwards) -> list[Failure]:
    """Return why connections got no further."""
    return [each.failure for each in forwards.events if isinstance(each, ConnectionRefused)]


def wish(host: Host, *given: str) -> tuple[Forward, ...]:
    """Return forwardings written as ``-L 0:localhost:80``."""
    words = [each.split(" ", 1) for each in given]
    return read_forwards(host, [(letter.removeprefix("-"), spec) for letter, spec in words])


@asynccontextmanager
async def forwarding(host: Host, *given: str) -> AsyncIterator[Forwards]:
    """A connection with these forwardings."""
    async with connected(host, open_session=False) as connection:
        events: list[ForwardEvent] = []
        made = Forwarding(connection.ssh, tell=events.append)
        forwards = Forwards(connection.ssh, made, events=events)
        try:
            for forward in wish(host, *given):
                forwards.places.append((await made.add(forward)).places[0])
            yield forwards
        finally:
            await made.close()
            if made.failed.done():
                made.failed.result()


@asynccontextmanager
async def serving(
    handler: Handler, path: Path | None = None, *, address: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A service on loopback, or on a Unix-domain socket; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    if path is not None:
        server = await asyncio.start_unix_server(handle, path)
        port = 0
    else:
        server = await asyncio.start_server(handle, address, 0, backlog=512)
        port = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until its end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def saying(text: bytes) -> Handler:
    """Return a service that says this and leaves."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()

    return say


@asynccontextmanager
async def connection(place: Endpoint | int) -> AsyncIterator[Pair]:
    """A connection to a port on loopback, or to the socket of a path."""
    if isinstance(place, int):
        place = Place(None, place)
    if isinstance(place, Place):
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    else:
        reader, writer = await asyncio.open_unix_connection(place.path)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(place: Endpoint | int, sent: bytes = b"", *, eof: bool = True) -> bytes:
    """Send bytes, end the input, and return all that comes back."""
    async with connection(place) as (reader, writer):
        if sent:
            writer.write(sent)
        if eof:
            writer.write_eof()
        return await reader.read()


async def converse(place: Endpoint | int, steps: Sequence[bytes]) -> bytes:
    """Send bytes piece by piece, each when something has come back, and return all that came."""
    got = b""
    async with connection(place) as (reader, writer):
        for number, step in enumerate(steps, 1):
            writer.write(step)
            if number < len(steps):
                got += await reader.read(65536)
        return got + await reader.read()
