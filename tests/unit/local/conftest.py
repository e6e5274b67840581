"""
What tests of commands on this machine share.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.drive import LOOPS


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """Both kinds of event loop, one after the other."""
    kind: str = request.param
    return kind


@pytest.fixture
def strays() -> Iterator[list[int]]:
    """Process ids that a test adds, of processes meant to outlive their command: ended by it."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
