"""A server that allows so many sessions on a connection, for many commands at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.pool import Pool
from fleetctl.engine.remote import PooledRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.ports import OutputListener
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from fleetctl.testing import exited, run_in_virtual_time

WEB1 = Host("web1")
#: Virtual seconds of one round trip.
ROUND_TRIP_S = 0.05


class Crowded:
    """
    A connector to one host; ``sleep N`` is the only command it knows.

    Args:
        max_sessions: On one connection.
        connects: What goes wrong with the first, second, ... connection; None goes well, and so
            does everything after the last one.

    Attributes:
        links: Every connection that was made, in order.
        started: Commands in the order in which they started, with their connection's number.
        refusals: Sessions that were refused.
        left: Cancelled command -> what is left of it.
        at_end: Called when a command has ended, before anybody hears of it.
    """

    def __init__(self, max_sessions: int, connects: tuple[FleetError | None, ...] = ()) -> None:
        self.max_sessions = max_sessions
        self.links: list[CrowdedLink] = []
        self.started: list[tuple[str, int]] = []
        self.refusals = 0
        self.at_end: Callable[[], object] = lambda: None
        self.left: dict[str, str] = {}
        self.attempts = 0
        self._connects = connects

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> CrowdedLink:
        self.attempts += 1
        attempt = self.attempts
        await asyncio.sleep(4 * ROUND_TRIP_S)
        error = self._connects[attempt - 1] if attempt <= len(self._connects) else None
        if error is not None:
            raise error
        trace.address = f"192.0.2.{attempt}"
        link = CrowdedLink(self, len(self.links))
        self.links.append(link)
        return link

    async def aclose(self) -> None:
        """Nothing is shared."""


class CrowdedLink:
    """
    A `fleetctl.model.ports.Link`.

    Attributes:
        sessions: Open now, and `most` of them at once so far.
        ghosts: Sessions that the server counts though they have ended.
    """

    def __init__(self, server: Crowded, number: int) -> None:
        self.number = number
        self.sessions = self.most = self.ghosts = self.closings = 0
        self._server = server
        self._asked = 0
        self._lost = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return not self._lost.is_set()

    def facts(self) -> Mapping[str, object]:
        return {"number": self.number}

    async def exec(
        self,
        request: ExecRequest,
        trace: Trace,
        on_output: OutputListener | None,
    ) -> ExecResult:
        # Answers come in the order of the questions.
        self._asked += 1
        await self._sleep(ROUND_TRIP_S + self._asked * 1e-6, None)
        if self.sessions + self.ghosts >= self._server.max_sessions:
            self._server.refusals += 1
            raise FleetError("session.refused", "the server refused a session", retryable=True)
        self.sessions += 1
        self.most = max(self.most, self.sessions)
        self._server.started.append((request.command, self.number))
        try:
            assert trace.ran == "no", "a trace of its own"
            trace.ran, trace.session_s = "unknown", ROUND_TRIP_S
            await self._sleep(float(request.command.split()[1]), exited())
            self._server.at_end()
            trace.ran, trace.command_s = "yes", float(request.command.split()[1])
            return exited(stdout=request.command.encode())
        except asyncio.CancelledError:
            trace.left = self._server.left.get(request.command)
            trace.partial = replace(exited(), gone=trace.left is None)
            raise
        finally:
            self.sessions -= 1

    async def _sleep(self, delay_s: float, result: ExecResult | None) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._lost.wait()
        except TimeoutError:
            return
        raise FleetError("session.lost", "reset", retryable=result is None, result=result)

    def drop(self) -> None:
        """Lose the connection."""
        self._lost.set()

    async def close(self) -> None:
        self._lost.set()
        self.closings += 1


def in_a_crowd(
    body: Callable[[PooledRemote, Trace], Awaitable[None]], server: Crowded, *, idle: int = 0
) -> float:
    """
    Run the body with a remote, over a pool that has so many idle connections.

    Returns:
        How many virtual seconds it took.
    """

    async def main() -> float:
        pool = Pool(server, HandshakeGate(total=8, per_endpoint=8), keep=8)
        links = [await pool.connect(WEB1, Trace(), open_session=True) for _ in range(idle)]
        for link in links:
            pool.release(WEB1, link)
        loop = asyncio.get_running_loop()
        trace, started = Trace(), loop.time()
        remote = PooledRemote(WEB1, trace, pool, None, None)
        try:
            async with asyncio.timeout(3600):
                await body(remote, trace)
            took_s = loop.time() - started
        finally:
            remote.release()
            await pool.close()
        assert [link.closings for link in server.links] == [1] * len(server.links)
        assert [link.sessions for link in server.links] == [0] * len(server.links)
        assert all(link.most <= server.max_sessions for link in server.links)
        return took_s

    return run_in_virtual_time(main)
