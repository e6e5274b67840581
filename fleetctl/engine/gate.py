"""
How many connections may be between TCP connect and "authenticated" at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class HandshakeGate:
    """
    A limit for the process and one per endpoint.

    sshd drops connections when too many are not yet logged in (MaxStartups), and a key exchange
    costs CPU here: admitting all at once would turn into timeouts.
    """

    def __init__(self, *, total: int, per_endpoint: int) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_endpoint = per_endpoint
        self._endpoints: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._users: dict[tuple[str, int], int] = {}

    @asynccontextmanager
    async def admit(self, endpoint: tuple[str, int]) -> AsyncIterator[None]:
        """Wait for a place; the endpoint's first, so that one crowded host holds nobody else up."""
        semaphore = self._endpoints.get(endpoint)
        if semaphore is None:
            semaphore = self._endpoints[endpoint] = asyncio.Semaphore(self._per_endpoint)
        self._users[endpoint] = self._users.get(endpoint, 0) + 1
        try:
            async with semaphore, self._total:
                yield
        finally:
            self._users[endpoint] -= 1
            if not self._users[endpoint]:
                del self._users[endpoint], self._endpoints[endpoint]
