"""
Many commands of one operation on a server with any MaxSessions, with anything happening meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from fleetctl.engine.links import MOST_LINKS
from fleetctl.engine.remote import PooledRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from tests.unit.engine.crowds import Crowded, in_a_crowd

TIMES_S = st.integers(0, 60).map(lambda steps: steps / 20)
DENIED = FleetError("auth.denied", "no")


@dataclass(frozen=True)
class Planned:
    """A command: when it is asked for, how long it runs, and when it is cancelled, if it is."""

    at_s: float
    lasts_s: float
    cancelled_after_s: float | None


COMMANDS = st.lists(
    st.builds(Planned, TIMES_S, TIMES_S, st.none() | st.none() | TIMES_S), min_size=1, max_size=60
)


@given(
    commands=COMMANDS,
    max_sessions=st.integers(0, 12),
    drops_s=st.lists(TIMES_S, max_size=3),
    connects=st.lists(st.sampled_from([None, None, DENIED]), max_size=6).map(tuple),
    idle=st.integers(0, 2),
)
def test_F36_every_command_has_an_end_and_runs_at_most_once(
    commands, max_sessions, drops_s, connects, idle
):
    """
    F36: no deadlock, no session too many, nothing sent twice, and nothing stays open, whatever is
    cancelled, refused and lost; and `ran` says what became of them all.
    """
    server = Crowded(max_sessions, connects=(None,) * idle + connects)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        loop = asyncio.get_running_loop()

        async def run(number: int, plan: Planned) -> ExecResult:
            await asyncio.sleep(plan.at_s)
            return await remote.exec(ExecRequest(f"sleep {plan.lasts_s} {number}"))

        def drop() -> None:
            if server.links:
                server.links[-1].drop()

        tasks = [asyncio.ensure_future(run(*numbered)) for numbered in enumerate(commands)]
        for task, plan in zip(tasks, commands, strict=True):
            if plan.cancelled_after_s is not None:
                loop.call_later(plan.at_s + plan.cancelled_after_s, task.cancel)
        for at_s in drops_s:
            loop.call_later(at_s, drop)
        results = await asyncio.gather(*tasks, return_exceptions=True)

        sent = [int(command.split()[2]) for command, _ in server.started]
        assert len(set(sent)) == len(sent)
        ended = {number for number, r in enumerate(results) if isinstance(r, ExecResult)}
        assert ended <= set(sent)
        for number, result in enumerate(results):
            assert isinstance(result, ExecResult | FleetError | asyncio.CancelledError)
            if isinstance(result, FleetError) and result.failure.retryable:
                assert number not in sent
        if not (max_sessions == 0 or drops_s or DENIED in connects):
            assert not any(isinstance(result, FleetError) for result in results)
        expected = "unknown" if set(sent) - ended else "yes" if sent else "no"
        assert trace.ran == expected
        assert sum(link.is_open for link in server.links) <= MOST_LINKS + idle

    in_a_crowd(body, server, idle=idle)
