"""
Calls to the system's resolver, which may not come back for minutes.

They have threads of their own: a name that nobody answers for holds up neither other names, nor
what else needs a thread, nor the end of the process. Source: getaddrinfo(3), resolv.conf(5).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Lookups at once; one that takes longer than this does not count any more.
MOST_AT_ONCE = 4
STUCK_S = 0.5


class Lookups:
    """Blocking lookups, a few at once, on threads that nobody waits for at the end."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """
        Call the function off the loop and return its value.

        Raises:
            OSError, ValueError: As the function did.
        """
        await self._free.acquire()
        is_counted = True

        def release() -> None:
            nonlocal is_counted
            if is_counted:
                is_counted = False
                self._free.release()

        stuck = asyncio.get_running_loop().call_later(STUCK_S, release)
        try:
            return await _in_daemon(function, *arguments)
        finally:
            stuck.cancel()
            release()


def _in_daemon(function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type] # without an error it is a T

    def work() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = function(*arguments)
        except (OSError, ValueError) as raised:
            error = raised
        # Nobody waits any more when the loop is closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=work, name="fleetctl lookup", daemon=True).start()
    return future
