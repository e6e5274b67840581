"""
Commands on this machine, the way the engine runs them: one loop per call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetctl.local.connector import LocalConnector
from fleetctl.local.link import LocalLink
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from tests.support.drive import run_async

HERE = Host("here", connection="local")
MEBIBYTE = 1024 * 1024

#: Has a shell print its process group, its session, its terminal (0 for none) and its process id.
IDS = "cut -d ' ' -f 5-7 /proc/$$/stat; echo $$"


async def linked(host: Host = HERE, *, trace: Trace | None = None) -> LocalLink:
    """Return a link to this machine."""
    connector = LocalConnector(environ=os.environ)
    return await connector.connect(host, trace or Trace(), open_session=True)


def run_command(
    command: str,
    *,
    loop: str | None = None,
    host: Host = HERE,
    on_output: Callable[[Stream, bytes], None] | None = None,
    **fields: Any,
) -> tuple[ExecResult, Trace]:
    """Run one command; return its result and the trace."""
    trace = Trace()

    async def main() -> ExecResult:
        link = await linked(host, trace=trace)
        return await link.exec(ExecRequest(command, **fields), trace, on_output)

    return run_async(main, loop=loop), trace


def failed_command(
    command: str, *, loop: str | None = None, **fields: Any
) -> tuple[FleetError, Trace]:
    """Return the error of a command and the trace."""
    trace = Trace()

    async def main() -> FleetError:
        link = await linked(trace=trace)
        with pytest.raises(FleetError) as caught:
            await link.exec(ExecRequest(command, **fields), trace, None)
        return caught.value

    return run_async(main, loop=loop), trace


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")
