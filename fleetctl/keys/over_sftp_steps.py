"""
Steps that a cancellation does not break off: what was asked of the host is answered first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(step: Coroutine[Any, Any, T]) -> T:
    """
    Do a step, and let a cancellation that comes meanwhile out only after it.

    For a few requests at most, whose undoing must know whether they were done. A session that is
    given up ends them.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # seen: being cancelled matters more
        raise
