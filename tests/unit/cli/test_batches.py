"""
Events are taken as many at a time as there are.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from fleetctl.cli.batches import MOST, in_batches


async def counting(count, closed, *, error=None):
    try:
        for number in range(count):
            yield number
            await asyncio.sleep(0)
        if error is not None:
            raise error
    finally:
        closed.append(count)


async def taken(source, *, pause_s=0.0):
    batches = []
    async with aclosing(in_batches(source)) as found:
        async for batch in found:
            batches.append(batch)
            await asyncio.sleep(pause_s)
    return batches


def test_all_come_in_order():
    """
    Nothing is lost or turned round, and no batch is empty.
    """
    batches = asyncio.run(taken(counting(1000, [])))
    assert [number for batch in batches for number in batch] == list(range(1000))
    assert all(batches)


def test_while_one_batch_is_worked_on_the_next_one_fills():
    """
    Whoever is slow gets many at once, but no more than a bounded number.
    """
    batches = asyncio.run(taken(counting(1000, []), pause_s=0.01))
    assert sum(map(len, batches)) == 1000
    assert 1 < max(map(len, batches)) <= MOST
    assert len(batches) < 100


def test_an_error_comes_after_the_events_before_it():
    """
    What was made before the error is seen.
    """
    closed: list[int] = []
    seen: list[object] = []

    async def main():
        async for batch in in_batches(counting(3, closed, error=ValueError("broken"))):
            seen.extend(batch)

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(main())
    assert seen == [0, 1, 2]
    assert closed == [3]


def test_leaving_early_closes_the_source():
    """
    Whoever wants no more events stops those who make them; no task is left.
    """
    closed: list[int] = []

    async def main():
        async with aclosing(in_batches(counting(10_000, closed))) as found:
            async for _ in found:
                break
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert closed == [10_000]
