"""
Whoever takes the events may be slow: the engine waits with it instead of growing (F53).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from fleetctl.engine import local
from fleetctl.engine.local import LocalEngine
from fleetctl.model.events import HostFinished, HostStarted, Output, RunFinished
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.model.run import Limits
from fleetctl.testing.connector import ScriptedConnector
from tests.support.patience import PATIENCE_S
from tests.unit.engine.runs import run_on

PIECE = b"x" * 1000


@pytest.fixture(autouse=True)
def _little_room(monkeypatch):
    monkeypatch.setattr(local, "HIGH_WATER_BYTES", 10 * len(PIECE))


class Writing:
    """A connector whose hosts write pieces, each only when there is room for it."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.written = 0
        self.ended = 0
        self._connector = ScriptedConnector()

    async def connect(self, host, trace, *, open_session, login=None):
        link = await self._connector.connect(host, trace, open_session=open_session)
        setattr(link, "exec", self._exec)  # noqa: B010 - mypy: a method
        return link

    async def aclose(self):
        await self._connector.aclose()

    async def _exec(self, request, trace, on_output):
        trace.ran = "yes"
        try:
            for _ in range(self.pieces):
                self.written += 1
                room = on_output("stdout", PIECE)
                if room is not None:
                    await asyncio.wait((room,))
        finally:
            self.ended += 1
        return ExecResult(0, stdout=PIECE * self.pieces)


class Write:
    """Runs the command."""

    kind = "write"

    async def run(self, remote, *, check):
        return Outcome("ok", result=await remote.exec(ExecRequest("write")))


async def settle():
    for _ in range(200):
        await asyncio.sleep(0)


async def start(connector, names, forks):
    """Return an engine and its events, of which the first few are taken."""
    engine = LocalEngine(connector, live_output=True)
    run = run_on(names, Write(), limits=Limits(forks=forks))
    events = engine.execute(run)
    async for event in events:
        if isinstance(event, HostStarted):
            break
    await settle()
    return engine, events


def test_F53_hosts_are_not_read_from_while_nobody_takes():
    """
    F53: each host stops at the first piece for which there is no room; then all of it comes.
    """

    async def main():
        connector = Writing(pieces=100)
        engine, events = await start(connector, ["a", "b", "c"], forks=3)
        assert connector.written <= 11 + 3
        rest = [event async for event in events]
        assert sum(len(e.data) for e in rest if isinstance(e, Output)) == 300 * len(PIECE)
        assert sum(isinstance(e, HostFinished) for e in rest) == 3
        await engine.aclose()

    asyncio.run(main())


def test_F53_no_host_is_started_while_results_wait():
    """
    F53: results that nobody takes hold the next hosts up, so that they do not pile up either.
    """

    async def main():
        connector = Writing(pieces=20)
        engine = LocalEngine(connector, live_output=False)
        setattr(connector, "_exec", quiet(connector))  # noqa: B010 - mypy: a method
        run = run_on([f"web{n}" for n in range(100)], Write(), limits=Limits(forks=2))
        events = engine.execute(run)
        async for event in events:
            if isinstance(event, HostStarted):
                break
        await settle()
        assert connector.ended <= 3
        rest = [event async for event in events]
        assert sum(isinstance(e, HostFinished) for e in rest) == 100
        await engine.aclose()

    asyncio.run(main())


def quiet(connector):
    async def run(_request, trace, _on_output):
        trace.ran = "yes"
        connector.ended += 1
        return ExecResult(0, stdout=PIECE * connector.pieces)

    return run


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_F53_ending_a_run_waits_for_no_consumer(how):
    """
    F53: hosts that were held up are ended, and each of the run has its result.
    """

    async def main():
        connector = Writing(pieces=1000)
        names = [f"web{n}" for n in range(10)]
        engine, events = await start(connector, names, forks=3)
        async with asyncio.timeout(PATIENCE_S):
            if how == "close":
                async with aclosing(events):
                    pass
            else:
                engine.cancel()
                rest = [event async for event in events]
                assert sum(isinstance(e, HostFinished) for e in rest) == 10
                assert isinstance(rest[-1], RunFinished)
            await engine.aclose()
        assert connector.ended == 3

    asyncio.run(main())


def test_F53_after_a_stop_the_consumer_still_sets_the_pace():
    """
    F53: what runs goes on to its end, and no faster than it is taken.
    """

    async def main():
        connector = Writing(pieces=100)
        engine, events = await start(connector, ["a", "b"], forks=1)
        engine.stop()
        await settle()
        assert connector.written <= 12
        rest = [event async for event in events]
        statuses = [e.result.outcome.status for e in rest if isinstance(e, HostFinished)]
        assert statuses == ["ok", "cancelled"]
        await engine.aclose()

    asyncio.run(main())
