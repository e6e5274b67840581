"""
The forwardings of one connection: listeners here and on the host, and what connects to them.

Every connection is a pair of joined streams; a task of its own leads it until they are joined.
What is listened on, and who is told, is decided elsewhere. Source: ssh(1), -L -R -D; RFC 4254
section 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

from fleetctl.model.errors import FleetError
from fleetctl.model.forward import (
    ConnectionRefused,
    Endpoint,
    Forward,
    ForwardEvent,
    Listening,
    Place,
    SocketPath,
)
from fleetctl.ssh.channel_wire import ChannelWire
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.forward_listen import BACKLOG, BoundSocket, bind
from fleetctl.ssh.forward_refusal import NO_RESOURCES, PROHIBITED, ForwardRefused
from fleetctl.ssh.forward_relay import ForwardStream, join_streams
from fleetctl.ssh.forward_remote import RemoteListeners
from fleetctl.ssh.forward_socket import ForwardSocket
from fleetctl.ssh.forward_target import NO_ORIGINATOR, reach_here, reach_there
from fleetctl.ssh.loop_channel import ChannelOffer
from fleetctl.ssh.resolver import Resolver
from fleetctl.ssh.socks_client import SocksClient, wait_for_request
from fleetctl.ssh.wire import GatewayLost

#: Connections a server may have open at once: it decides how many it opens, and each costs a
#: descriptor here.
MAX_FROM_SERVER = 1000


class Forwarding:
    """
    Forwardings over one connection, which stays its owner's.

    Args:
        tell: Told about connections that get no further.

    Attributes:
        failed: Set with an exception of our own code, never otherwise.
    """

    def __init__(self, connection: SshConnection, *, tell: Callable[[ForwardEvent], None]) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._host = connection.host.name
        self._tell = tell
        self._remote = RemoteListeners(
            self._transport, host=self._host, take=self._taken_from_server
        )
        self._servers: list[tuple[asyncio.Server, BoundSocket]] = []
        self._streams: set[ForwardStream] = set()
        self._leading: set[asyncio.Task[None]] = set()
        self._from_server = 0
        self._resolver = Resolver()
        self._resolving = 0
        self._is_closed = False
        self.failed: asyncio.Future[None] = self._transport.loop.create_future()
        connection.watch_channel()

    async def add(self, forward: Forward) -> Listening:
        """
        Begin to listen.

        Raises:
            FleetError: ``forward.bind`` for what is bound here, ``forward.refused`` for what the
                host is to do.
        """
        if forward.kind == "remote":
            return Listening(forward, (await self._remote.listen(forward),))
        bound = await bind(forward.listen, self._connection.host.settings)
        try:
            for each in bound:
                server = await self._serve(each, partial(self._taken_here, forward))
                self._servers.append((server, each))
        except BaseException:
            for each in bound:
                each.sock.close()
                each.remove_file()
            raise
        return Listening(forward, tuple(each.place for each in bound))

    def lost(self) -> ConnectionError:
        """Say why the connection ended."""
        cause = self._transport.stream_error
        if isinstance(cause, GatewayLost):
            return cause
        return ConnectionError(f"connection lost: {self._connection.end_reason()}")

    async def close(self) -> None:
        """Listen no more, and end every connection; once."""
        self._is_closed = True
        for server, bound in self._servers:
            server.close()
            bound.remove_file()
        self._servers.clear()
        leading = tuple(self._leading)
        for task in leading:
            task.cancel()
        await asyncio.gather(*leading, return_exceptions=True)
        streams = tuple(self._streams)
        for stream in streams:
            stream.abort()
        await self._remote.cancel_all()
        if streams and self._transport.active:
            await asyncio.wait([stream.finished for stream in streams], timeout=1.0)
        self._connection.unwatch_channel()
        if self.failed.done():
            self.failed.exception()

    async def _serve(
        self, bound: BoundSocket, connected: Callable[[ForwardSocket], None]
    ) -> asyncio.Server:
        loop = self._transport.loop

        def make() -> ForwardSocket:
            return ForwardSocket(connected)

        if isinstance(bound.place, SocketPath):
            return await loop.create_unix_server(make, sock=bound.sock, backlog=BACKLOG)
        return await loop.create_server(make, sock=bound.sock, backlog=BACKLOG)

    # -- connections

    def _taken_here(self, forward: Forward, stream: ForwardSocket) -> None:
        if self._is_closed:
            stream.abort()
            return
        self._keep(stream)
        self._lead(self._lead_there(forward, stream), forward, stream)

    def _taken_from_server(self, forward: Forward, offer: ChannelOffer) -> None:
        if self._is_closed or self._from_server >= MAX_FROM_SERVER:
            offer.refuse(NO_RESOURCES, "too many connections")
            return
        self._from_server += 1
        if forward.target is not None:
            task = self._lead(self._lead_here(forward.target, offer), forward, None)
            task.add_done_callback(partial(self._offer_settled, offer))
            return
        wire = ChannelWire(self._transport, lost=self.lost)
        if offer.accept(wire) is None:
            self._from_server -= 1
            return
        self._keep(wire)
        wire.finished.add_done_callback(self._one_less_from_server)
        self._lead(self._lead_as_proxy(wire), forward, wire)

    def _offer_settled(self, offer: ChannelOffer, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._from_server -= 1
            if not task.cancelled() and isinstance(error := task.exception(), ForwardRefused):
                offer.refuse(error.code, error.text)
            else:
                offer.refuse(NO_RESOURCES, "ended")

    def _one_less_from_server(self, _: object) -> None:
        self._from_server -= 1

    def _keep(self, stream: ForwardStream) -> None:
        """Remember a stream until it is closed."""
        self._streams.add(stream)
        stream.finished.add_done_callback(lambda _: self._streams.discard(stream))

    def _lead(
        self, leading: Coroutine[None, None, None], forward: Forward, stream: ForwardStream | None
    ) -> asyncio.Task[None]:
        """Lead a connection until both its streams are joined; if that fails its stream ends."""
        task = asyncio.ensure_future(leading)
        self._leading.add(task)
        task.add_done_callback(partial(self._led, forward, stream))
        return task

    def _led(
        self, forward: Forward, stream: ForwardStream | None, task: asyncio.Task[None]
    ) -> None:
        self._leading.discard(task)
        if task.cancelled():
            if stream is not None:
                stream.abort()
            return
        error = task.exception()
        if error is None:
            return
        if stream is not None:
            stream.close()
        if isinstance(error, FleetError):
            if self._transport.active:  # else everything ends, for one reason
                self._tell(ConnectionRefused(forward, error.failure))
        elif not self.failed.done():
            self.failed.set_exception(error)

    async def _lead_there(self, forward: Forward, stream: ForwardSocket) -> None:
        """From a listener here to a target seen from the host."""
        client: SocksClient | None = None
        target = forward.target
        if target is None:
            client = await wait_for_request(stream)
            target = client.target
        address, port = stream.peer
        originator = (address, port) if address else NO_ORIGINATOR
        try:
            wire = await reach_there(
                self._transport, target, originator, host=self._host, lost=self.lost
            )
        except ForwardRefused as refused:
            if client is not None:
                stream.write(client.answer(refused.outcome))
            raise
        self._keep(wire)
        if client is not None:
            stream.write(client.answer("connected"))
        join_streams(stream, wire, from_one=client.rest if client else b"")

    async def _lead_here(self, target: Endpoint, offer: ChannelOffer) -> None:
        """From a listener on the host to a target seen from here."""
        stream = await self._reach_here(target)
        self._keep(stream)
        wire = ChannelWire(self._transport, lost=self.lost)
        if offer.accept(wire) is None:
            stream.abort()
            raise ForwardRefused(str(self.lost()))
        self._keep(wire)
        wire.finished.add_done_callback(self._one_less_from_server)
        join_streams(wire, stream)

    async def _lead_as_proxy(self, wire: ChannelWire) -> None:
        """From a listener on the host to what its client asks for, seen from here."""
        client = await wait_for_request(wire)
        try:
            if not _is_permitted(client.target, self._connection.host.settings.permit_remote_open):
                raise ForwardRefused(
                    f"{client.target}: {self._host} may not reach it through here",
                    outcome="prohibited",
                    code=PROHIBITED,
                    hint="see PermitRemoteOpen",
                )
            stream = await self._reach_here(client.target)
        except ForwardRefused as refused:
            wire.write(client.answer(refused.outcome))
            raise
        self._keep(stream)
        wire.write(client.answer("connected"))
        join_streams(wire, stream, from_one=client.rest)

    async def _reach_here(self, target: Endpoint) -> ForwardSocket:
        self._resolving += 1
        try:
            return await reach_here(target, self._resolver)
        finally:
            self._resolving -= 1
            if not self._resolving:
                # A name may mean another address an hour later: forget what was learned.
                resolver, self._resolver = self._resolver, Resolver()
                await resolver.close()


def _is_permitted(target: Place, permitted: tuple[str, ...]) -> bool:
    """
    Tell whether PermitRemoteOpen lets a place be reached.

    Source: ssh_config(5), PermitRemoteOpen: names are compared as they are written.
    """
    if [word.lower() for word in permitted] == ["any"]:
        return True
    for word in permitted:
        host, _, port = word.rpartition(":")
        if host.strip("[]") in ("*", target.host) and port in ("*", str(target.port)):
            return True
    return False
