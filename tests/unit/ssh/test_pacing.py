"""
How an endpoint that drops connections is pressed less, and when patience ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.ssh.pacing import Estimate, Pace, Pacing, TurnedAway
from fleetctl.testing import run_in_virtual_time

WEB = ("web", 22)


def turned_away(*, has_reason: bool = True) -> TurnedAway:
    return TurnedAway("connect.dropped", "too many", retryable=True, has_reason=has_reason)


class Endpoint:
    """Takes so many at once, each for a second, and drops the others at once."""

    def __init__(self, most: int, *, has_reason: bool = True) -> None:
        self.most = most
        self.has_reason = has_reason
        self.inside = 0
        self.most_inside = 0
        self.drops = 0
        self.tries: list[float] = []

    async def log_in(self, deadline_at: float) -> str:
        loop = asyncio.get_running_loop()
        assert loop.time() < deadline_at
        self.tries.append(loop.time())
        if self.inside >= self.most:
            self.drops += 1
            raise turned_away(has_reason=self.has_reason)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await asyncio.sleep(1)
        finally:
            self.inside -= 1
        return "in"


class Turn:
    """Notes what happens to it."""

    def __init__(self) -> None:
        self.is_lent = False
        self.loans = 0
        self.notices: list[str] = []

    def lend(self) -> None:
        self.loans += not self.is_lent
        self.is_lent = True

    async def take_back(self) -> None:
        self.is_lent = False

    def notice(self, message: str) -> None:
        self.notices.append(message)


def paced(
    pacing: Pacing,
    once: Callable[[float], Awaitable[str]],
    *,
    limit_s: float = 60.0,
    turn: Turn | None = None,
) -> Awaitable[str]:
    return pacing.connect(WEB, "web port 22", once, limit_s=limit_s, turn=turn)


def test_F07_everybody_gets_in_at_last():
    """
    Fifty at an endpoint that takes two at once all get in, and few of their tries are dropped.
    """

    async def main() -> Endpoint:
        pacing, endpoint = Pacing(), Endpoint(2)
        admitted = asyncio.Semaphore(8)

        async def one() -> str:
            async with admitted:
                return await paced(pacing, endpoint.log_in)

        assert await asyncio.gather(*(one() for _ in range(50))) == ["in"] * 50
        return endpoint

    endpoint = run_in_virtual_time(main)
    assert endpoint.most_inside == 2
    assert endpoint.drops < 50


def test_a_turn_is_lent_while_nothing_can_be_done():
    """
    Who was turned away, or waits for those before it, lends its turn; the operator is told once.
    """

    async def main() -> list[Turn]:
        pacing, endpoint = Pacing(), Endpoint(1)
        turns = [Turn() for _ in range(4)]
        await asyncio.gather(*(paced(pacing, endpoint.log_in, turn=turn) for turn in turns))
        return turns

    turns = run_in_virtual_time(main)
    assert [turn.is_lent for turn in turns] == [False] * 4
    assert turns[0].loans == 0
    assert all(turn.loans for turn in turns[1:])
    (notice,) = [notice for turn in turns for notice in turn.notices]
    assert notice.startswith("web port 22 drops connections (too many)")


def test_another_failure_is_not_tried_again():
    """
    A login that was refused is refused: it is raised as it is, after one try.
    """

    async def main() -> int:
        tries = 0

        async def once(_: float) -> str:
            nonlocal tries
            tries += 1
            raise FleetError("auth.denied", "no", retryable=True)

        with pytest.raises(FleetError, match=r"^no$"):
            await paced(Pacing(), once)
        return tries

    assert run_in_virtual_time(main) == 1


def test_the_deadline_ends_the_tries():
    """
    Tries end with the time of the first admission, whatever the endpoint says; the failure tells
    how many there were.
    """

    async def main() -> float:
        with pytest.raises(FleetError, match=r"too many \(tried \d+ times\)") as caught:
            await paced(Pacing(), Endpoint(0).log_in, limit_s=10.0)
        assert (caught.value.kind, caught.value.failure.retryable) == ("connect.dropped", True)
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(main) < 10


def test_F31_an_endpoint_without_a_reason_is_tried_three_times():
    """
    Whoever closes without a word, and never let anybody in, is not hammered (F31).
    """

    async def main() -> Endpoint:
        endpoint = Endpoint(0, has_reason=False)
        with pytest.raises(FleetError, match="tried 3 times"):
            await paced(Pacing(), endpoint.log_in)
        return endpoint

    assert len(run_in_virtual_time(main).tries) == 3


def test_an_endpoint_that_lets_some_in_is_tried_on():
    """
    Drops without a reason beside logins that succeed are a matter of time: nobody is lost.
    """

    async def main() -> list[str]:
        pacing, endpoint = Pacing(), Endpoint(1, has_reason=False)
        return await asyncio.gather(*(paced(pacing, endpoint.log_in) for _ in range(12)))

    assert run_in_virtual_time(main) == ["in"] * 12


def test_who_tries_again_goes_before_who_has_not_tried():
    """
    The deadline of a host that was turned away is running, so it does not queue behind others.
    """

    async def main() -> list[str]:
        pace, order = Pace(), []
        pace.limit = 1.0
        await pace.enter(None, first=False)

        async def enter(name: str, *, first: bool) -> None:
            await pace.enter(None, first=first)
            order.append(name)
            pace.leave()

        tasks = [
            asyncio.ensure_future(enter("new", first=False)),
            asyncio.ensure_future(enter("again", first=True)),
        ]
        await asyncio.sleep(0)
        pace.leave()
        await asyncio.gather(*tasks)
        return order

    assert run_in_virtual_time(main) == ["again", "new"]


def test_cancelled_waiters_leave_no_gap():
    """
    Cancelled while it waits, or in the moment it is let through, nobody holds up the next.
    """

    async def main(*, is_admitted: bool) -> None:
        pace = Pace()
        pace.limit = 1.0
        await pace.enter(None, first=False)
        waiting = asyncio.ensure_future(pace.enter(None, first=False))
        await asyncio.sleep(0)
        if is_admitted:
            pace.leave()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not is_admitted:
            pace.leave()
        async with asyncio.timeout(1):
            await pace.enter(None, first=False)
        assert pace.under_way == 1

    run_in_virtual_time(lambda: main(is_admitted=False))
    run_in_virtual_time(lambda: main(is_admitted=True))


def test_drops_of_one_wave_count_once():
    """
    Connections that were begun together and dropped together halve the pace once.
    """
    pace = Pace()
    for _ in range(5):
        pace.dropped(began=1.0, now=2.0)
    assert pace.limit == 2.0
    pace.dropped(began=3.0, now=4.0)
    pace.dropped(began=5.0, now=6.0)
    pace.dropped(began=7.0, now=8.0)
    assert pace.limit == 1.0


def test_an_endpoint_that_is_well_again_is_forgotten():
    """
    After enough successes the pace is what it was, and nothing is remembered.
    """

    async def main() -> None:
        pacing, endpoint = Pacing(), Endpoint(1)
        await asyncio.gather(*(paced(pacing, endpoint.log_in) for _ in range(3)))
        assert len(pacing._paces) == 1
        endpoint.most = 99
        for _ in range(60):
            await paced(pacing, endpoint.log_in)
        assert len(pacing._paces) == 0
        assert not pacing._under_way

    run_in_virtual_time(main)


def test_patience_follows_what_is_usual():
    """
    The limit starts generous, comes down to what hosts need, and follows a network that slows.
    """
    estimate = Estimate(0.5, least_s=0.05, most_s=2.0)
    assert estimate.limit_s == 0.5
    for _ in range(50):
        estimate.note(0.01)
    assert estimate.limit_s == 0.05
    for _ in range(50):
        estimate.note(0.3)
    assert 0.3 < estimate.limit_s < 0.6
    for _ in range(50):
        estimate.note(30.0)
    assert estimate.limit_s == 2.0
