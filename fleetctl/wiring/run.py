"""
The engine and the loop it runs on.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fleetctl.model.ports import SecretProvider

if TYPE_CHECKING:
    from fleetctl.engine.local import LocalEngine
    from fleetctl.ssh.connect import HostKeyQuestion

T = TypeVar("T")


@asynccontextmanager
async def open_engine(
    *,
    secrets: SecretProvider,
    ask_host_key: Callable[[HostKeyQuestion], Awaitable[bool]] | None,
    warn: Callable[[str], None],
    live_output: bool,
) -> AsyncIterator[LocalEngine]:
    """Make the engine that speaks SSH from this process; everything it opened is closed after."""
    from fleetctl.engine.local import LocalEngine
    from fleetctl.ssh.connector import SshConnector
    from fleetctl.ssh.loop import settle_garbage_collector

    settle_garbage_collector()
    connector = SshConnector(
        secrets=secrets, ask_host_key=ask_host_key, warn=warn, environ=os.environ
    )
    # One operation per host and then the end: nobody comes back to an open connection.
    engine = LocalEngine(connector, keep_connections=0, live_output=live_output)
    try:
        yield engine
    finally:
        await engine.aclose()
        await connector.aclose()


def run_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the fastest loop there is; see `fleetctl.ssh.loop.run_loop`."""
    from fleetctl.ssh.loop import run_loop as run

    return run(main)
