"""
A host as operations see it, over real connections: for tests of what an operation does there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.pool import Pool
from fleetctl.engine.remote import PooledRemote
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from tests.support.drive import connecting


@asynccontextmanager
async def operating_on(
    host: Host, *, trace: Trace | None = None, **options: Any
) -> AsyncIterator[PooledRemote]:
    """
    Yield the remote of one operation.

    Args:
        trace: What the engine would learn of it.
        options: Of `tests.support.drive.connecting`.
    """
    async with connecting(**options) as connector:
        pool = Pool(connector, HandshakeGate(total=8, per_endpoint=8), keep=0)
        remote = PooledRemote(host, trace or Trace(), pool, None, None)
        try:
            yield remote
        finally:
            remote.release()
            await pool.close()
