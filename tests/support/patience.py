"""
Time in tests: a machine under load is slow, not wrong.

What must happen is waited for, as long as it takes on any machine. A test fails because of a state,
an order or a number, not because a second was too short. Where time itself is what a test is about,
it is tried again at a slower pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from fleetctl.model.errors import FleetError

T = TypeVar("T")

#: How long to wait for what must happen; far longer than it takes anywhere.
PATIENCE_S = 60.0

#: How long one test may talk to its hosts; below the limit of pytest-timeout.
TEST_LIMIT_S = 300.0

#: What a deadline of a few seconds may be late by, where being late by more is wrong.
SLACK_S = 20.0

PACES = (1.0, 6.0, 36.0)


def at_some_pace(test: Callable[[float], T], paces: Sequence[float] = PACES) -> T:
    """
    Return what the test returns at the first pace it passes at; at the last one it must.

    For what has to happen between two moments: before a deadline, after a pause. Every time in the
    test is multiplied by the pace, so that a machine that is too slow for one is not for another.

    Raises:
        AssertionError, FleetError: Of the last pace.
    """
    for pace in paces[:-1]:
        try:
            return test(pace)
        except (AssertionError, FleetError, pytest.fail.Exception):
            continue
    return test(paces[-1])


def least_cpu_s(work: Callable[[], object], *, tries: int = 5) -> float:
    """
    Return the CPU seconds of the cheapest of some tries.

    To be compared with those of other work in the same test: how fast the machine is cancels out.
    """
    costs_s = []
    for _ in range(tries):
        before_s = time.process_time()
        work()
        costs_s.append(time.process_time() - before_s)
    return min(costs_s)
