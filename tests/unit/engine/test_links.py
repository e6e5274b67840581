"""
Many commands of one operation at the same time: places, their order, and further connections.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.engine.links import FIRST_ROOM, MOST_LINKS, MOST_ROOM, PATIENCE_S
from fleetctl.engine.remote import PooledRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from tests.unit.engine.crowds import ROUND_TRIP_S, Crowded, in_a_crowd

DENIED = FleetError("auth.denied", "no")


def sleep(seconds: float, number: int = 0) -> ExecRequest:
    return ExecRequest(f"sleep {seconds} {number}")


async def all_at_once(
    remote: PooledRemote, count: int, seconds: float = 0.1
) -> list[ExecResult | BaseException]:
    """Run so many commands, started together; return their results in order."""
    return await asyncio.gather(
        *(remote.exec(sleep(seconds, number)) for number in range(count)), return_exceptions=True
    )


def numbers(server: Crowded) -> list[int]:
    """Return which command started first, second, ..."""
    return [int(command.split()[2]) for command, _ in server.started]


@pytest.mark.parametrize("max_sessions", [1, 2, 3, 7, 10, 11, 64, 100])
@pytest.mark.parametrize("idle", [0, 1])
def test_F36_many_commands_at_once_all_run(max_sessions, idle):
    """
    F36: whatever MaxSessions is, each of a thousand commands runs once, over one connection as long
    as they end soon, and few sessions are refused.
    """
    server = Crowded(max_sessions)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        results = await all_at_once(remote, 1000)
        assert [r.stdout for r in results if isinstance(r, ExecResult)] == [
            f"sleep 0.1 {number}".encode() for number in range(1000)
        ]
        assert trace.ran == "yes"

    in_a_crowd(body, server, idle=idle)
    assert len(server.links) == 1
    assert server.refusals <= FIRST_ROOM - min(FIRST_ROOM, max_sessions)


@pytest.mark.parametrize("max_sessions", [1, 4, 10])
def test_F36_commands_start_in_the_order_in_which_they_were_asked_for(max_sessions):
    """
    F36: those that were refused do not lose their turn to those that came later.
    """
    server = Crowded(max_sessions)

    async def body(remote: PooledRemote, _: Trace) -> None:
        await all_at_once(remote, 100)

    in_a_crowd(body, server)
    assert numbers(server) == list(range(100))


def test_F36_no_sessions_is_a_failure_of_each_at_once():
    """
    F36: with MaxSessions 0 nobody waits and nobody connects again.
    """
    server = Crowded(0)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        results = await all_at_once(remote, 50)
        assert [getattr(r, "kind", r) for r in results] == ["session.refused"] * 50
        assert len({id(r) for r in results}) == 50
        assert trace.ran == "no"

    took_s = in_a_crowd(body, server)
    assert (server.attempts, server.refusals) == (1, FIRST_ROOM)
    assert took_s < PATIENCE_S


@pytest.mark.parametrize("held", [1, 2, 3])
def test_F36_a_session_that_is_held_gets_another_connection_made(held):
    """
    F36: with MaxSessions 1, whoever waits behind a command without end gets a connection of its
    own, though not at once.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        try:
            lasting.extend(
                asyncio.ensure_future(remote.exec(sleep(1000, count))) for count in range(held)
            )
            await remote.exec(sleep(1, held))
            await remote.exec(sleep(1, held + 1))
            address_of_first = trace.address
            assert address_of_first == "192.0.2.1"
        finally:
            for task in lasting:
                task.cancel()
            await asyncio.gather(*lasting, return_exceptions=True)
        assert trace.ran == "unknown"

    lasting: list[asyncio.Task[ExecResult]] = []
    took_s = in_a_crowd(body, server)
    assert len(server.links) == held + 1
    assert held * PATIENCE_S < took_s < held * (PATIENCE_S + 1) + 10


def test_F36_connections_of_one_operation_are_few():
    """
    F36: however many commands last long, they share few connections, and all run in the end.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, _: Trace) -> None:
        assert all(isinstance(r, ExecResult) for r in await all_at_once(remote, 40, seconds=30))

    in_a_crowd(body, server)
    assert len(server.links) == MOST_LINKS


def test_a_server_that_allows_more_is_asked_for_more_when_it_helps():
    """
    Commands that last get more sessions of the same connection before another one is made.
    """
    server = Crowded(100)

    async def body(remote: PooledRemote, _: Trace) -> None:
        await all_at_once(remote, MOST_ROOM, seconds=30)

    took_s = in_a_crowd(body, server)
    assert (len(server.links), server.links[0].most, server.refusals) == (1, MOST_ROOM, 0)
    assert took_s < 40


def test_no_second_connection_to_be_had_is_no_failure():
    """
    When another connection cannot be made, whoever waits goes on waiting for a place.
    """
    server = Crowded(1, connects=(None, DENIED, DENIED))

    async def body(remote: PooledRemote, _: Trace) -> None:
        assert all(isinstance(r, ExecResult) for r in await all_at_once(remote, 5, seconds=60))

    took_s = in_a_crowd(body, server)
    assert (len(server.links), server.attempts) == (1, 2)
    assert took_s == pytest.approx(300, abs=5)


def test_no_connection_to_be_had_fails_each_at_once():
    """
    A login that fails is the failure of all who wait for it, each with an error of its own.
    """
    server = Crowded(10, connects=(DENIED,) * 50)

    async def body(remote: PooledRemote, _: Trace) -> None:
        results = await all_at_once(remote, 50)
        assert [getattr(r, "kind", r) for r in results] == ["auth.denied"] * 50
        assert len({id(r) for r in results}) == 50

    in_a_crowd(body, server)
    assert server.attempts == 1


def test_a_second_connection_without_sessions_spoils_nothing():
    """
    A server that gives the second connection no session does not fail a command that can wait.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, _: Trace) -> None:
        first = asyncio.ensure_future(remote.exec(sleep(30)))
        await asyncio.sleep(0.5)
        second = asyncio.ensure_future(remote.exec(sleep(1)))
        # Refused, patient, connected; the answer to its session is on the way.
        await asyncio.sleep(PATIENCE_S + 5.5 * ROUND_TRIP_S)
        server.links[1].ghosts = 1
        await first
        await second

    in_a_crowd(body, server)
    assert [number for _, number in server.started] == [0, 0]


def test_sessions_that_the_server_still_counts_cost_a_connection_not_a_command():
    """
    A connection that has served and gives no session any more is replaced.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, _: Trace) -> None:
        await remote.exec(sleep(1))
        server.links[0].ghosts = 1
        await remote.exec(sleep(1))

    in_a_crowd(body, server)
    assert [number for _, number in server.started] == [0, 1]


@pytest.mark.parametrize("step", range(12))
def test_F36_commands_that_are_cancelled_leave_their_places_to_others(step):
    """
    F36: cancelled at any moment, connecting, waiting or running, they hold nobody up.
    """
    server = Crowded(2)

    async def body(remote: PooledRemote, _: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(0.2, number))) for number in range(30)]
        await asyncio.sleep(step * 0.05)
        doomed = [task for number, task in enumerate(tasks) if number % 3 == 0]
        for task in doomed:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() or task.result().exit_status == 0 for task in tasks)
        assert not any(task.cancelled() for task in tasks if task not in doomed)
        assert (await remote.exec(sleep(0.1))).exit_status == 0

    in_a_crowd(body, server)
    assert len(server.links) <= 2


def test_F36_a_place_that_is_given_to_a_cancelled_command_goes_to_the_next():
    """
    F36: cancelled when its place was given to it, and before it could know.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, _: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(0.2, number))) for number in range(4)]
        # The next turn of the loop begins with the call and goes on with whoever got the place.
        server.at_end = lambda: asyncio.get_running_loop().call_soon(tasks[1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [False, True, False, False]

    in_a_crowd(body, server)
    assert server.started == [("sleep 0.2 0", 0), ("sleep 0.2 2", 0), ("sleep 0.2 3", 0)]


def test_F36_whoever_is_to_make_room_and_is_cancelled_leaves_it_to_the_next():
    """
    F36: cancelled when it was its turn to connect, and before it could know.
    """
    server = Crowded(1)

    async def body(remote: PooledRemote, _: Trace) -> None:
        lasting = asyncio.ensure_future(remote.exec(sleep(100, 0)))
        await asyncio.sleep(1)
        refused = asyncio.ensure_future(remote.exec(sleep(1, 1)))
        await asyncio.sleep(2 * ROUND_TRIP_S)
        refused.cancel()
        await asyncio.sleep(0.5)
        # From here on MaxSessions is known, and commands wait at once.
        tasks = [asyncio.ensure_future(remote.exec(sleep(1, number))) for number in (2, 3)]
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + PATIENCE_S + 1e-10, tasks[0].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task.cancelled() for task in tasks] == [True, False]
        lasting.cancel()
        await asyncio.gather(lasting, return_exceptions=True)

    took_s = in_a_crowd(body, server)
    assert server.started[-1] == ("sleep 1 3", 1)
    assert took_s < 10


def test_a_lost_connection_fails_what_was_sent_and_nothing_else():
    """
    Each command that was running gets an error of its own; those that waited run over another
    connection, and nothing runs twice.
    """
    server = Crowded(5)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(0.7, number))) for number in range(20)]
        await asyncio.sleep(0.5)
        server.links[0].drop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        lost = [r for r in results if isinstance(r, FleetError)]
        assert [(e.kind, e.failure.retryable) for e in lost] == [("session.lost", False)] * 5
        assert len({id(error) for error in lost}) == 5
        assert sum(isinstance(r, ExecResult) for r in results) == 15
        assert trace.ran == "unknown"

    in_a_crowd(body, server)
    assert len(server.links) == 2
    assert sorted(numbers(server)) == list(range(20))


def test_a_lost_connection_before_anything_was_sent_may_be_tried_again():
    """
    Commands whose session was not opened yet say that nothing ran and that it may be tried again.
    """
    server = Crowded(5)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        await remote.connect()
        tasks = [asyncio.ensure_future(remote.exec(sleep(1, number))) for number in range(5)]
        await asyncio.sleep(0.01)
        server.links[0].drop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [r for r in results if isinstance(r, FleetError)]
        assert [(e.kind, e.failure.retryable) for e in errors] == [("session.lost", True)] * 5
        assert trace.ran == "no"

    in_a_crowd(body, server)
    assert server.started == []


def test_a_host_that_is_gone_is_asked_once_for_all_who_wait():
    """
    When the connection is lost and no other can be made, nobody who waits connects in vain again.
    """
    server = Crowded(2, connects=(None, *[DENIED] * 30))

    async def body(remote: PooledRemote, _: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(1, number))) for number in range(30)]
        await asyncio.sleep(0.5)
        server.links[0].drop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = [getattr(r, "kind", r) for r in results]
        assert kinds == ["session.lost"] * 2 + ["auth.denied"] * 28

    in_a_crowd(body, server)
    assert server.attempts == 2


def test_an_idle_connection_that_is_dead_costs_none_of_many_commands():
    """
    Nothing was sent, so all of them run over a new connection.
    """
    server = Crowded(10)

    async def body(remote: PooledRemote, trace: Trace) -> None:
        tasks = [asyncio.ensure_future(remote.exec(sleep(1, number))) for number in range(20)]
        await asyncio.sleep(0.01)
        server.links[0].drop()
        assert all(isinstance(r, ExecResult) for r in await asyncio.gather(*tasks))
        assert trace.ran == "yes"

    in_a_crowd(body, server, idle=1)
    assert len(server.links) == 2
