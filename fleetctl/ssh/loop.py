"""
Choosing and running the event loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fleetctl.ssh.blocking import attach_pool

T = TypeVar("T")


def new_event_loop(choice: str | None = None) -> asyncio.AbstractEventLoop:
    """
    Return a uvloop event loop, or asyncio's own where uvloop is missing or not wanted.

    Args:
        choice: ``asyncio`` or ``uvloop``; None reads FLEETCTL_LOOP.
    """
    loop: asyncio.AbstractEventLoop | None = None
    if (choice or os.environ.get("FLEETCTL_LOOP")) != "asyncio":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            loop = uvloop.new_event_loop()
    loop = loop or asyncio.new_event_loop()
    attach_pool(loop)
    return loop


def run_loop(main: Callable[[], Coroutine[Any, Any, T]], *, choice: str | None = None) -> T:
    """Run ``main()`` to its end on a new loop, close the loop and return the value."""
    with asyncio.Runner(loop_factory=lambda: new_event_loop(choice)) as runner:
        return runner.run(main())


def settle_garbage_collector() -> None:
    """Keep collections away from what was imported, and rare: a run makes few cycles."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
