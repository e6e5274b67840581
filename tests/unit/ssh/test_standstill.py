"""
A deadline that waits for a person.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.ssh.standstill import MIN_REMAINING_S, standing_still
from tests.support.drive import run_async


def test_a_deadline_does_not_end_while_somebody_thinks():
    """
    Time inside the block does not count; afterwards what was left is left, and it ends.
    """

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(0.3) as deadline:
            with standing_still(deadline):
                assert deadline.when() is None
                await asyncio.sleep(MIN_REMAINING_S)
            ends = deadline.when()
            assert ends is not None
            return ends - loop.time()

    left_s = run_async(main)
    assert 0.3 < left_s <= MIN_REMAINING_S


def test_S05_questions_that_are_answered_at_once_give_a_host_no_more_time():
    """
    S05: however often it asks, what is left gets less.
    """

    async def ask_for_ever() -> None:
        async with asyncio.timeout(0.2) as deadline:
            while True:
                with standing_still(deadline):
                    pass
                await asyncio.sleep(0.001)

    with pytest.raises(TimeoutError):
        run_async(ask_for_ever, limit_s=30.0)


def test_the_deadline_ends_after_the_answer():
    """
    Time that was spent before the question, and after it, counts.
    """

    async def wait() -> None:
        async with asyncio.timeout(0.01) as deadline:
            with standing_still(deadline):
                await asyncio.sleep(0)
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        run_async(wait)


def test_an_error_inside_starts_the_deadline_again():
    """
    A person who gives up leaves the deadline as it was; a wait without one stays without.
    """

    async def main(limit_s: float | None) -> bool:
        async with asyncio.timeout(limit_s) as deadline:
            await asyncio.sleep(0)
            with pytest.raises(ValueError, match="given up"), standing_still(deadline):
                raise ValueError("given up")
            return deadline.when() is not None

    assert run_async(lambda: main(5.0))
    assert not run_async(lambda: main(None))
