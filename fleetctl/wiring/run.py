"""
The engine and the loop it runs on.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fleetctl.model.ports import Connector, Journal, RunSecrets

if TYPE_CHECKING:
    from fleetctl.engine.local import LocalEngine
    from fleetctl.engine.rollout import BatchEngine, RolloutEngine
    from fleetctl.ssh.connect import HostKeyQuestion

T = TypeVar("T")


@asynccontextmanager
async def open_engine(  # noqa: PLR0913 - all that decides how hosts are reached
    *,
    secrets: RunSecrets,
    ask_host_key: Callable[[HostKeyQuestion], Awaitable[bool]] | None,
    warn: Callable[[str], None],
    live_output: bool,
    login_keys: Path | None = None,
    seen_host_keys: Path | None = None,
    journal: Journal | None = None,
    in_batches: bool = False,
    gate: str | None = None,
) -> AsyncIterator[LocalEngine | RolloutEngine]:
    """
    Make the engine that runs commands from this process, over SSH or on this machine itself.

    Everything it opened is closed after.

    Args:
        secrets: What logins and operations may ask for.
        login_keys: File that remembers which key each host took; None to remember nothing.
        seen_host_keys: File that remembers which key each host showed, and where; None to remember
            nothing.
        journal: Told before a command leaves; None for nobody.
        in_batches: Put runs that have a rollout through in its batches.
        gate: Command line of this machine that says after each batch whether to go on.
    """
    from fleetctl.engine.by_connection import ByConnection
    from fleetctl.engine.local import LocalEngine
    from fleetctl.ssh.connector import SshConnector
    from fleetctl.ssh.loop import settle_garbage_collector
    from fleetctl.ssh.remembered_keys import RememberedKeys
    from fleetctl.ssh.seen_host_keys import SeenHostKeys

    settle_garbage_collector()
    ssh = SshConnector(
        secrets=secrets,
        ask_host_key=ask_host_key,
        warn=warn,
        environ=os.environ,
        remembered=None if login_keys is None else RememberedKeys(login_keys),
        seen=None if seen_host_keys is None else SeenHostKeys(seen_host_keys),
    )
    connector = ByConnection(ssh, _make_local)
    # One operation per host and then the end: nobody comes back to an open connection.
    engine = LocalEngine(
        connector, keep_connections=0, live_output=live_output, journal=journal, secrets=secrets
    )
    try:
        yield _in_batches(engine, gate) if in_batches else engine
    finally:
        await engine.aclose()
        await connector.aclose()


def _in_batches(engine: BatchEngine, gate: str | None) -> RolloutEngine:
    from fleetctl.engine.rollout import RolloutEngine
    from fleetctl.wiring.gate import CommandGate

    return RolloutEngine(engine, None if gate is None else CommandGate(gate, os.environ))


def _make_local() -> Connector:
    from fleetctl.local.connector import LocalConnector

    return LocalConnector(environ=os.environ)


def run_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the fastest loop there is; see `fleetctl.ssh.loop.run_loop`."""
    from fleetctl.ssh.loop import run_loop as run

    return run(main)
