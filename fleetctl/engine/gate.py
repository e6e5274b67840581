"""
How many connections may be between TCP connect and "authenticated" at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from fleetctl.model.trace import Turn


class Slot:
    """
    One of the process's handshakes, a `fleetctl.model.trace.Turn`.

    Lending it lends the host's turn in its run as well.
    """

    def __init__(self, total: asyncio.Semaphore, turn: Turn | None) -> None:
        self._total = total
        self._turn = turn
        self._is_held = False

    def lend(self) -> None:
        self.leave()
        if self._turn is not None:
            self._turn.lend()

    async def take_back(self) -> None:
        # In this order: whoever has a slot never waits for a turn.
        if self._turn is not None:
            await self._turn.take_back()
        if not self._is_held:
            await self._total.acquire()
            self._is_held = True

    def notice(self, message: str) -> None:
        if self._turn is not None:
            self._turn.notice(message)

    def leave(self) -> None:
        """Free the slot, if it is not lent."""
        if self._is_held:
            self._is_held = False
            self._total.release()


class HandshakeGate:
    """
    A limit for the process and one per endpoint.

    sshd drops connections when too many are not yet logged in (MaxStartups), and a key exchange
    costs CPU here: admitting all at once would turn into timeouts. A host that only waits lends its
    part of the former, never of the latter.
    """

    def __init__(self, *, total: int, per_endpoint: int) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_endpoint = per_endpoint
        self._endpoints: dict[Hashable, asyncio.Semaphore] = {}
        self._users: dict[Hashable, int] = {}

    @asynccontextmanager
    async def admit(self, endpoint: Hashable, turn: Turn | None = None) -> AsyncIterator[Slot]:
        """
        Wait for a place; the endpoint's first, so that one crowded host holds nobody else up.

        Args:
            turn: Lent while the endpoint is crowded.
        """
        semaphore = self._endpoints.get(endpoint)
        if semaphore is None:
            semaphore = self._endpoints[endpoint] = asyncio.Semaphore(self._per_endpoint)
        self._users[endpoint] = self._users.get(endpoint, 0) + 1
        slot = Slot(self._total, turn)
        try:
            if turn is not None and semaphore.locked():
                turn.lend()
            async with semaphore:
                try:
                    await slot.take_back()
                    yield slot
                finally:
                    slot.leave()
        finally:
            self._users[endpoint] -= 1
            if not self._users[endpoint]:
                del self._users[endpoint], self._endpoints[endpoint]
