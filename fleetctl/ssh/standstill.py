"""
A deadline that stands still while a person thinks, or looks for the key to touch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

#: What is left at least when somebody took their time: the answer has to travel.
MIN_REMAINING_S = 1.0


@contextmanager
def standing_still(deadline: asyncio.Timeout) -> Iterator[None]:
    """
    Stop a deadline for the block; afterwards what was left of it is left again.

    A host that asks again and again, and is answered at once, gains nothing by it.
    """
    ends = deadline.when()
    if ends is None:
        yield
        return
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline.reschedule(None)
    try:
        yield
    finally:
        now = loop.time()
        least_s = MIN_REMAINING_S if now - began >= MIN_REMAINING_S else 0.0
        if not deadline.expired():
            deadline.reschedule(now + max(ends - began, least_s))
