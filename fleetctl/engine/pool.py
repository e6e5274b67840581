"""
Live connections, one per host, kept for the next operation.
"""

from __future__ import annotations

import asyncio

from fleetctl.engine.gate import HandshakeGate
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.ports import Connector, Link
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace


def endpoint_of(host: Host) -> tuple[object, ...]:
    """
    Return whose limits a handshake with the host counts against.

    The server's own; its gateways see one login for all hosts behind them. The same address behind
    different gateways may be different servers. Hosts that are this machine itself have none.
    """
    if host.connection == "local":
        return (host.name,)
    gateways = tuple((hop.hostname, hop.port) for hop in host.settings.gateways)
    return (*gateways, host.hostname, host.settings.port)


class Pool:
    """
    Owns connections. One caller at a time uses a connection.

    Args:
        keep: Idle connections kept open; those of the host idle longest are closed first. 0 closes
            each after use.
    """

    def __init__(self, connector: Connector, gate: HandshakeGate, *, keep: int) -> None:
        self._connector = connector
        self._gate = gate
        self._keep = keep
        # Name and address of a host -> its connections with the settings each was made with.
        # Hosts are in the order in which they were last given back.
        self._idle: dict[tuple[str, str], list[tuple[HostSettings, Link]]] = {}
        self._idle_count = 0
        self._closing: set[asyncio.Task[None]] = set()

    def take_idle(self, host: Host) -> Link | None:
        """Return an open connection that was made with the same settings, or None."""
        links = self._idle.get((host.name, host.hostname), [])
        while links:
            settings, link = self._pop(host.name, host.hostname)
            if link.is_open and settings == host.settings:
                return link
            self.discard(link)
        return None

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> Link:
        """
        Return a new connection, once there is a place for another handshake.

        The trace's turn may be lent meanwhile; whoever gets a connection has it back.

        Raises:
            FleetError: Kinds ``resolve`` to ``auth`` and ``gateway``.
        """
        turn = trace.turn
        async with self._gate.admit(endpoint_of(host), turn) as slot:
            trace.turn = slot
            try:
                link = await self._connector.connect(
                    host, trace, open_session=open_session, login=login
                )
            finally:
                trace.turn = turn
        if turn is not None:
            try:
                await turn.take_back()
            except BaseException:
                self.discard(link)
                raise
        return link

    def release(self, host: Host, link: Link) -> None:
        """Take a connection back, or close it."""
        if not self._keep or not link.is_open:
            self.discard(link)
            return
        key = host.name, host.hostname
        links = self._idle.pop(key, [])
        links.append((host.settings, link))
        self._idle[key] = links
        self._idle_count += 1
        if self._idle_count > self._keep:
            _, oldest = self._pop(*next(iter(self._idle)), index=0)
            self.discard(oldest)

    def discard(self, link: Link) -> asyncio.Task[None]:
        """Close a connection nobody uses, without waiting for it; return what does so."""
        task = asyncio.ensure_future(link.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def close(self) -> None:
        """
        Keep nothing from now on, and wait until all connections given back are closed.

        Gateways are the connector's, which is closed after this (ADR 0006).
        """
        self._keep = 0
        for links in self._idle.values():
            for _, link in links:
                self.discard(link)
        self._idle.clear()
        self._idle_count = 0
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _pop(self, name: str, hostname: str, *, index: int = -1) -> tuple[HostSettings, Link]:
        links = self._idle[name, hostname]
        entry = links.pop(index)
        self._idle_count -= 1
        if not links:
            del self._idle[name, hostname]
        return entry
