"""
The one pool of threads, for the few things that cannot be done without blocking.

Name resolution, RSA signatures, encrypted keys, key files and prompts. The pool is the loop's
default executor, set by `fleetctl.ssh.loop` and joined when the loop is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Small: at most 12 threads in the process are promised during a large run.
POOL_SIZE = 8


def attach_pool(loop: asyncio.AbstractEventLoop) -> None:
    """Give the loop its pool; threads start only when something blocks."""
    loop.set_default_executor(ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="fleetctl"))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Call a blocking function in the pool and wait for its value.

    A cancelled wait leaves the call running to its own end; callers bound what they pass in.
    """
    return await asyncio.to_thread(function, *args, **kwargs)
