"""
What became of an operation whose commands ran at the same time, or one after another.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.engine.remote import PooledRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import Ran
from fleetctl.model.trace import Trace
from tests.unit.engine.crowds import Crowded, in_a_crowd

DENIED = FleetError("auth.denied", "no")


def sleep(seconds: float, number: int = 0) -> ExecRequest:
    return ExecRequest(f"sleep {seconds} {number}")


def ran(trace: Trace) -> Ran:
    """Return what the trace says by now; mypy would take an attribute for what it was before."""
    return trace.ran


def test_ran_is_unknown_if_it_is_of_one_command():
    """
    One command whose end is not known outweighs all that ended, before and after it.
    """
    server = Crowded(10)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        await remote.exec(sleep(1))
        assert ran(trace) == "yes"
        tasks = [asyncio.ensure_future(remote.exec(sleep(number, number))) for number in (3, 1)]
        await asyncio.sleep(2)
        server.links[0].drop()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert ran(trace) == "unknown"
        await remote.exec(sleep(1))
        assert ran(trace) == "unknown"

    in_a_crowd(body, server)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_worst_of_interrupted_commands_is_told(order):
    """
    Of several commands that were cancelled, what is told is of one that is not known to be gone.
    """
    server = Crowded(10)
    server.left = {"sleep 9 1": "left on the host: 4711"}

    async def body(remote: PooledRemote, trace: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(9, number))) for number in range(3)]
        await asyncio.sleep(1)
        for number in order:
            tasks[number].cancel()
            await asyncio.sleep(0.1)
        assert trace.partial is not None
        assert (trace.partial.gone, trace.left) == (False, "left on the host: 4711")

    in_a_crowd(body, server)


def test_ran_stays_yes_when_a_later_command_is_refused():
    """
    A command that was not sent does not change what is known of the others.
    """
    server = Crowded(1, connects=(None, DENIED))

    async def body(remote: PooledRemote, trace: Trace) -> None:
        await remote.exec(sleep(1))
        server.links[0].ghosts = 1
        with pytest.raises(FleetError):
            await remote.exec(sleep(1))
        assert ran(trace) == "yes"

    in_a_crowd(body, server)


def test_a_command_that_is_left_behind_makes_the_operation_unknown():
    """
    An operation that ends before its commands: their connection is closed, those that wait are
    cancelled, and whether they ran is not known.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(100, number))) for number in range(3)]
        await asyncio.sleep(0.5)
        remote.release()
        assert ran(trace) == "unknown"
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], FleetError)
        assert [type(r) for r in results[1:]] == [asyncio.CancelledError] * 2
        with pytest.raises(RuntimeError, match="left behind"):
            await remote.exec(sleep(1))

    in_a_crowd(body, server)
