"""
Connections that were made for one login, and are used for nothing else.
"""

from __future__ import annotations

import asyncio

from fleetctl.engine.pool import Pool
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.ports import Link
from fleetctl.model.trace import Trace


class Afresh:
    """
    What `fleetctl.engine.links.Links` takes its connections from, where each is to be a new one.

    Args:
        login: With what to log in.
    """

    def __init__(self, pool: Pool, login: Login) -> None:
        self._pool = pool
        self._login = None if login.is_usual else login
        self._closing: list[asyncio.Task[None]] = []

    def take_idle(self, host: Host) -> Link | None:
        """Return None: what is open was logged in to in another way."""
        return None

    async def connect(self, host: Host, trace: Trace, *, open_session: bool) -> Link:
        """Return a new connection; errors as of the pool."""
        return await self._pool.connect(host, trace, open_session=open_session, login=self._login)

    def release(self, host: Host, link: Link) -> None:
        """Close a connection: nobody else may have it."""
        self.discard(link)

    def discard(self, link: Link) -> None:
        """Close a connection, without waiting for it."""
        self._closing.append(self._pool.discard(link))

    async def closed(self) -> None:
        """Wait until all that were given back are closed."""
        await asyncio.gather(*self._closing, return_exceptions=True)
