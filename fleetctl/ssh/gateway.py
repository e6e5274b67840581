"""
Gateways: hosts we go through. Their connections are shared by all hosts behind them.

One connection carries many streams, so a gateway sees one login however many hosts are behind it
(its MaxStartups is no limit then, and MaxSessions does not count streams). Another connection is
made when one is full. A gateway may itself be behind others. Closing one host closes one stream;
the connection is closed last (ADR 0006).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Turn
from fleetctl.ssh.channel_wire import ChannelWire
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.stream_refusal import StreamRefused, refused_open
from fleetctl.ssh.wire import GatewayLost

#: Streams of one connection: far below what sshd has descriptors for, and no more are lost at once.
MAX_STREAMS = 100
#: A gateway nobody has gone through for this long is closed: it may be dead without our knowing.
IDLE_S = 30.0
#: What a refused login or host key is good for: as long, no other host tries it again.
REFUSAL_S = 30.0
#: At the end, streams that are being closed get this long.
CLOSE_GRACE_S = 1.0

#: What sshd puts into the originator of a stream that nobody connected to. Source: OpenSSH's
#: channels.c, port_open_helper.
_ORIGINATOR = ("127.0.0.1", 65535)

Connect: TypeAlias = Callable[[Host], Awaitable[SshConnection]]


def hop_name(settings: HostSettings) -> str:
    """Return what a gateway is called in failures: the address it is reached at."""
    return settings.hostname or ""


def chain_key(chain: Sequence[HostSettings]) -> tuple[object, ...]:
    """Return what two chains have in common if one connection can serve both: every setting."""
    return tuple(_settings_key(settings) for settings in chain)


def _settings_key(settings: HostSettings) -> tuple[object, ...]:
    key: list[object] = []
    for one in fields(settings):
        if one.name not in ("gateways", "origin"):
            value = getattr(settings, one.name)
            key.append(tuple(sorted(value.items())) if hasattr(value, "items") else value)
    return tuple(key)


class Gateway:
    """
    One connection to a gateway, and the streams that go through it.

    Attributes:
        hop: Its name in failures.
        streams: Streams open or promised.
    """

    def __init__(self, hop: str, connection: SshConnection) -> None:
        self.hop = hop
        self.streams = 0
        self._connection = connection
        self._wires: set[ChannelWire] = set()
        self._idle: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    def reserve(self) -> Lease:
        """Promise a stream."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self.streams += 1
        self._connection.watch_channel()
        return Lease(self)

    def give_back(self) -> None:
        """A stream promised is closed, or was never opened."""
        self.streams -= 1
        self._connection.unwatch_channel()
        if not self.streams and self.is_open:
            loop = self._connection.transport.loop
            self._idle = loop.call_later(IDLE_S, self._connection.transport.close)

    def open_wire(self, kind: str, *fields: bytes | str | int) -> ChannelWire:
        """Ask for a stream; its channel's `opened` is set when the gateway has answered."""
        if not self.is_open:
            raise self._as_failure(self.lost())
        wire = ChannelWire(self._connection.transport, lost=self.lost)
        wire.open(kind, *fields)
        self._wires.add(wire)
        wire.finished.add_done_callback(lambda _: self._wires.discard(wire))
        return wire

    async def wait_for(self, wire: ChannelWire, target: str) -> None:
        """
        Wait until the gateway has opened the stream; on any failure it is closed.

        Raises:
            FleetError: See `refused_open`; ``gateway.lost``.
        """
        channel = wire.channel
        assert channel is not None
        try:
            await channel.opened.future
            if channel.open_refused is not None:
                self._wires.discard(wire)
                refused = refused_open(self.hop, target, *channel.open_refused)
                if isinstance(refused, StreamRefused):
                    refused.others = len(self._wires)
                raise refused
            if not channel.active or channel.closed:
                raise self._as_failure(self.lost())
        except BaseException:
            wire.abort()
            raise

    def lost(self) -> GatewayLost:
        """Say why the connection ended: another gateway's end may be the reason of this one's."""
        cause = self._connection.transport.stream_error
        if isinstance(cause, GatewayLost):
            return cause
        return GatewayLost(self.hop, self._connection.end_reason())

    def _as_failure(self, lost: GatewayLost) -> FleetError:
        return FleetError("gateway.lost", str(lost), retryable=True, hop=lost.hop)

    async def close(self) -> None:
        """Close the connection, after the streams that are being closed."""
        if self._idle is not None:
            self._idle.cancel()
        waiting = [wire.finished for wire in self._wires]
        if waiting and self.is_open:
            await asyncio.wait(waiting, timeout=CLOSE_GRACE_S)
        await self._connection.close()


@dataclass(slots=True, eq=False)
class Lease:
    """
    The right to one stream at a time through a gateway, a `fleetctl.ssh.connect.Route`.

    It ends when its holder has given it back and its stream is closed.
    """

    gateway: Gateway
    _is_held: bool = True
    _open: int = 0

    async def reach(self, hostname: str, port: int) -> ChannelWire:
        """
        Return a stream to a TCP port; the gateway looks the name up.

        The caller bounds the time. Nothing stays open when this is cancelled or fails.

        Raises:
            FleetError: See `refused_open`; ``gateway.lost``.

        Source: RFC 4254 section 7.2 (direct-tcpip).
        """
        wire = self._open_wire("direct-tcpip", hostname, port, *_ORIGINATOR)
        await self.gateway.wait_for(wire, f"{hostname} port {port}")
        return wire

    async def reach_socket(self, path: str) -> ChannelWire:
        """
        Return a stream to a Unix-domain socket on the gateway, as `reach` does to a port.

        Source: OpenSSH PROTOCOL section 2.4 (direct-streamlocal@openssh.com).
        """
        wire = self._open_wire("direct-streamlocal@openssh.com", path, "", 0)
        await self.gateway.wait_for(wire, path)
        return wire

    async def explain(self, error: FleetError) -> FleetError:
        """Return the error: what the gateway knows is in the failure of its stream already."""
        return error

    def _open_wire(self, kind: str, *fields: bytes | str | int) -> ChannelWire:
        wire = self.gateway.open_wire(kind, *fields)
        self._open += 1
        wire.finished.add_done_callback(self._stream_ended)
        return wire

    def _stream_ended(self, _: object) -> None:
        self._open -= 1
        self._end_if_over()

    def give_back(self) -> None:
        """Open no more; a stream that is open keeps its place until it is closed. Once."""
        self._is_held = False
        self._end_if_over()

    def _end_if_over(self) -> None:
        if not self._is_held and not self._open:
            self.gateway.give_back()


@dataclass(slots=True, eq=False)
class _Shared:
    """The connections of one chain."""

    chain: tuple[HostSettings, ...]
    # How many streams one connection seems to have room for.
    room: int
    gateways: list[Gateway] = field(default_factory=list)
    connecting: asyncio.Task[Gateway] | None = None
    refusal: FleetError | None = None
    refused_at: float = 0.0


class Gateways:
    """
    The gateways of a process, each connected when first needed.

    Args:
        connect: Logs in to one host, through the gateways its settings name.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._shared: dict[tuple[object, ...], _Shared] = {}

    async def lease(self, chain: tuple[HostSettings, ...], turn: Turn | None = None) -> Lease:
        """
        Return the right to a stream through the last gateway of the chain.

        The gateway has a deadline of its own; its failure is that of everybody who waits for it.

        Args:
            chain: Resolved settings of the gateways, outermost first; not empty.
            turn: Lent to others while a connection is made.

        Raises:
            FleetError: Of the gateway that failed, with its `hop`.
        """
        shared = self._shared.setdefault(chain_key(chain), _Shared(chain, MAX_STREAMS))
        loop = asyncio.get_running_loop()
        while True:
            shared.gateways = [gateway for gateway in shared.gateways if gateway.is_open]
            for gateway in shared.gateways:
                if gateway.streams < shared.room:
                    return gateway.reserve()
            if shared.refusal is not None and loop.time() < shared.refused_at + REFUSAL_S:
                raise _copy(shared.refusal)
            if shared.connecting is None:
                shared.connecting = asyncio.ensure_future(self._connect_to(shared))
                # If nobody waits any more, nobody asks for its exception either.
                shared.connecting.add_done_callback(lambda t: t.cancelled() or t.exception())
            if turn is not None:
                turn.lend()
            try:
                gateway = await asyncio.shield(shared.connecting)
            except FleetError as error:
                raise _copy(error) from error
            has_room = gateway.is_open and gateway.streams < shared.room
            lease = gateway.reserve() if has_room else None
            try:
                if turn is not None:
                    await turn.take_back()
            except BaseException:
                if lease is not None:
                    lease.give_back()
                raise
            if lease is not None:
                return lease

    def may_be_full(self, chain: tuple[HostSettings, ...], refused: StreamRefused) -> bool:
        """
        Tell whether a refused stream is worth another try, which is made on another connection.

        It is not if the connection carried no others, or far fewer than one is known to have room
        for: then the reason is the host's.
        """
        shared = self._shared[chain_key(chain)]
        if not refused.others or 4 * refused.others < shared.room < MAX_STREAMS:
            shared.room = MAX_STREAMS
            return False
        shared.room = min(shared.room, refused.others)
        return True

    async def _connect_to(self, shared: _Shared) -> Gateway:
        *before, settings = shared.chain
        hop = hop_name(settings)
        try:
            connection = await self._connect(
                Host(name=hop, settings=replace(settings, gateways=tuple(before)))
            )
        except FleetError as error:
            failure = error.failure
            named = FleetError(
                "resolve.gateway" if failure.kind == "resolve.dns" else failure.kind,
                failure.message,
                hint=failure.hint,
                retryable=failure.retryable,
                hop=failure.hop or hop,
            )
            if failure.phase in ("auth", "hostkey") and not failure.retryable:
                # Asking again would be a login refused again, for each host behind it.
                shared.refusal = named
                shared.refused_at = asyncio.get_running_loop().time()
            raise named from error
        finally:
            shared.connecting = None
        gateway = Gateway(hop, connection)
        shared.gateways.append(gateway)
        return gateway

    async def aclose(self) -> None:
        """Close all gateways, each before those it is behind."""
        tasks = [s.connecting for s in self._shared.values() if s.connecting is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        depths = sorted({len(shared.chain) for shared in self._shared.values()}, reverse=True)
        for depth in depths:
            level = [s for s in self._shared.values() if len(s.chain) == depth]
            gateways = [gateway for shared in level for gateway in shared.gateways]
            await asyncio.gather(*(gateway.close() for gateway in gateways))
        self._shared.clear()


def _copy(error: FleetError) -> FleetError:
    """Return an error of its own for each who waited: raising adds to its traceback."""
    failure = error.failure
    return FleetError(
        failure.kind,
        failure.message,
        hint=failure.hint,
        retryable=failure.retryable,
        hop=failure.hop,
    )
