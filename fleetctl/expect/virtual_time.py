"""
A loop whose clock does not wait, for replays and tests.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Skipping(selectors.DefaultSelector):
    """Moves a clock instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits for something that nobody will do")
        self.now_s += timeout
        return []


def run_in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run ``main()`` on a loop whose clock jumps to the next timer instead of waiting for it.

    An hour of sleeping takes no time, and a deadlock is an error at once. For code without threads,
    sockets and child processes: the clock does not wait for those.

    >>> run_in_virtual_time(lambda: asyncio.sleep(3600, "done"))
    'done'

    Raises:
        RuntimeError: All tasks wait and no timer is set.
    """
    selector = _Skipping()

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(selector)
        # The loop asks itself for the time before every timer.
        setattr(loop, "time", lambda: selector.now_s)  # noqa: B010 - mypy: a method
        return loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main())
