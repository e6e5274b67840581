"""
Waiting for what must not be left half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(what: Awaitable[T]) -> T:
    """
    Wait for its value; whoever is cancelled meanwhile is so only when it is there.

    A call in a thread goes on when its caller is cancelled, and uses the database.
    """
    future = asyncio.ensure_future(what)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # looked at: nobody else will
        raise cancelled
    return future.result()
