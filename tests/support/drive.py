"""
Driving the library the way the engine does: one loop per call, connections to test hosts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

import pytest
from paramiko.transport import _active_threads

from fleetctl.model.challenge import Challenge
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from fleetctl.model.trace import Trace
from fleetctl.ssh.connect import AskHostKey
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.loop import new_event_loop, run_loop
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.session import OutputCallback
from tests.support.patience import PATIENCE_S, TEST_LIMIT_S

T = TypeVar("T")

LOOPS = ("uvloop", "asyncio")

# libuv makes a pipe for signals with the first loop of a process and keeps it. Made here, before
# any test, it is not taken for a leak of the first test that runs a loop.
new_event_loop("uvloop").close()


def run_async(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    loop: str | None = None,
    limit_s: float = TEST_LIMIT_S,
) -> T:
    """
    Run ``main()`` on a new loop of this kind, for at most ``limit_s``.

    A transport that is left open fails the test, and is closed: uvloop does not end with one.
    """

    async def bounded() -> T:
        left = []
        try:
            async with asyncio.timeout(limit_s):
                value = await main()
        finally:
            here = asyncio.get_running_loop()
            left = [t for t in _active_threads if isinstance(t, LoopTransport) and t.loop is here]
            for transport in left:
                transport.abort()
            await asyncio.sleep(0.01)
        assert not left, f"transports left open: {left}"
        return value

    return run_loop(bounded, choice=loop)


async def until(condition: Callable[[], object], *, pause_s: float = 0.005) -> None:
    """Wait until a condition holds; with no pause it is looked at in every turn of the loop."""
    deadline = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < deadline, "what the test waits for does not happen"
        await asyncio.sleep(pause_s)


@dataclass
class Secrets:
    """
    A `SecretProvider` that counts the questions.

    Attributes:
        told: Answers to a host's questions, in the order they are asked.
    """

    login: str | None = None
    passphrases: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def password(self, host: Host, user: str) -> Secret | None:
        self.asked.append(f"password of {user} at {host.name}")
        return None if self.login is None else Secret(self.login)

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        self.asked.append(f"passphrase of {path}")
        return Secret(self.passphrases.pop(0)) if self.passphrases else None

    async def answers(self, host: Host, user: str, challenge: Challenge) -> list[Secret] | None:
        texts = [prompt.text for prompt in challenge.prompts]
        self.asked.append(f"{' '.join(texts)}(attempt {challenge.attempt}) at {host.name}")
        if len(self.told) < len(texts):
            return None
        return [Secret(self.told.pop(0)) for _ in texts]


@dataclass(frozen=True)
class Connection:
    """A connection with its trace; `exec` runs one command."""

    ssh: SshConnection
    trace: Trace

    @property
    def transport(self) -> LoopTransport:
        return self.ssh._transport

    async def exec(
        self, command: str, *, on_output: OutputCallback | None = None, **fields: Any
    ) -> ExecResult:
        return await self.ssh.exec(ExecRequest(command, **fields), self.trace, on_output)


@asynccontextmanager
async def connecting(
    *,
    secrets: Secrets | None = None,
    ask_host_key: AskHostKey | None = None,
    warnings: list[str] | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[SshConnector]:
    """A connector, closed at the end."""
    warn = (lambda _: None) if warnings is None else warnings.append
    connector = SshConnector(
        secrets=secrets or Secrets(), ask_host_key=ask_host_key, warn=warn, environ=environ
    )
    try:
        yield connector
    finally:
        await connector.aclose()


@asynccontextmanager
async def connected(
    host: Host,
    *,
    connector: SshConnector | None = None,
    secrets: Secrets | None = None,
    trace: Trace | None = None,
    open_session: bool = True,
) -> AsyncIterator[Connection]:
    """A connection to one host, logged in, closed at the end."""
    if connector is None:
        async with (
            connecting(secrets=secrets) as own,
            connected(host, connector=own, trace=trace, open_session=open_session) as connection,
        ):
            yield connection
        return
    trace = trace or Trace()
    ssh = await connector.connect(host, trace, open_session=open_session)
    try:
        yield Connection(ssh, trace)
    finally:
        await ssh.close()


def run_command(
    host: Host, command: str, *, loop: str | None = None, **fields: Any
) -> tuple[ExecResult, Trace]:
    """Run one command on a new connection; return its result and the trace."""

    async def main() -> tuple[ExecResult, Trace]:
        async with connected(host) as connection:
            return await connection.exec(command, **fields), connection.trace

    return run_async(main, loop=loop)


def failed_command(host: Host, command: str, **fields: Any) -> tuple[FleetError, Trace]:
    """Return the error of a command, on a new connection, and the trace."""

    async def main() -> tuple[FleetError, Trace]:
        async with connected(host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec(command, **fields)
            return caught.value, connection.trace

    return run_async(main)


def log_in(host: Host, *, secrets: Secrets | None = None) -> tuple[int | None, str | None]:
    """Run ``exit 7`` on a new connection; return its exit status and the method that let us in."""

    async def main() -> tuple[int | None, str | None]:
        async with connected(host, secrets=secrets) as connection:
            result = await connection.exec("exit 7")
            return result.exit_status, connection.ssh.login.method

    return run_async(main)


def failed_login(host: Host, **connector_options: Any) -> FleetError:
    """Return why connecting fails."""

    async def main() -> FleetError:
        async with connecting(**connector_options) as connector:
            with pytest.raises(FleetError) as caught:
                await connector.connect(host, Trace(), open_session=True)
            return caught.value

    return run_async(main)


@dataclass
class Ticker:
    """How late a 20 ms timer on the loop was, and how many threads there were, at worst."""

    latest_s: float = 0.0
    most_threads: int = 0


@asynccontextmanager
async def ticking(interval_s: float = 0.02) -> AsyncIterator[Ticker]:
    """Watch the loop while the block runs."""
    ticker = Ticker()

    async def tick() -> None:
        while True:
            due = monotonic() + interval_s
            await asyncio.sleep(interval_s)
            ticker.latest_s = max(ticker.latest_s, monotonic() - due)
            count_threads()

    def count_threads() -> None:
        ticker.most_threads = max(ticker.most_threads, threading.active_count())

    task = asyncio.ensure_future(tick())
    try:
        yield ticker
        count_threads()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
