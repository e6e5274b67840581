"""
Events, taken as many at a time as there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fleetctl.model.events import Event

#: Events taken from whoever makes them before those that were taken are done.
MOST = 256


async def in_batches(events: AsyncGenerator[Event, None]) -> AsyncGenerator[list[Event], None]:
    """
    Yield all that came while the batch before was worked on, in order; at least one event.

    The generator is closed with this one.

    Raises:
        Exception: What the generator raised, after the events that came before.
    """
    waiting: list[Event] = []
    came, taken = asyncio.Event(), asyncio.Event()

    async def take() -> None:
        async with aclosing(events):
            async for event in events:
                waiting.append(event)
                came.set()
                while len(waiting) >= MOST:
                    taken.clear()
                    await taken.wait()

    task = asyncio.get_running_loop().create_task(take())
    task.add_done_callback(lambda _: came.set())
    try:
        while waiting or not task.done():
            if not waiting:
                came.clear()
                await came.wait()
                continue
            batch = waiting.copy()
            waiting.clear()
            taken.set()
            yield batch
        await task
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # it was raised, or nobody asks any more
