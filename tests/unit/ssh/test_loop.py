"""
Which event loop runs, and the one pool for what blocks.
"""

from __future__ import annotations

import asyncio
import threading

import pytest
import uvloop

from fleetctl.ssh.blocking import POOL_SIZE, in_thread
from fleetctl.ssh.loop import new_event_loop, run_loop

# The first uvloop of a process opens a pipe that stays: not a leak of the test that comes first.
new_event_loop("uvloop").close()


@pytest.mark.parametrize(
    ("choice", "environment", "is_uvloop"),
    [
        (None, None, True),
        (None, "asyncio", False),
        (None, "uvloop", True),
        ("asyncio", "uvloop", False),
        ("uvloop", "asyncio", True),
    ],
)
def test_uvloop_is_used_unless_asyncio_is_asked_for(monkeypatch, choice, environment, is_uvloop):
    """
    FLEETCTL_LOOP=asyncio is the way back; what the caller chooses wins over it.
    """
    monkeypatch.delenv("FLEETCTL_LOOP", raising=False)
    if environment is not None:
        monkeypatch.setenv("FLEETCTL_LOOP", environment)
    loop = new_event_loop(choice)
    try:
        assert isinstance(loop, uvloop.Loop) == is_uvloop
    finally:
        loop.close()


@pytest.mark.parametrize("choice", ["asyncio", "uvloop"])
def test_the_value_and_the_error_of_main_come_back(choice):
    """
    Running is calling: what main returns is returned, what it raises is raised, the loop is closed.
    """
    seen: list[asyncio.AbstractEventLoop] = []

    async def good() -> str:
        seen.append(asyncio.get_running_loop())
        return "done"

    async def bad() -> str:
        seen.append(asyncio.get_running_loop())
        raise ZeroDivisionError

    assert run_loop(good, choice=choice) == "done"
    with pytest.raises(ZeroDivisionError):
        run_loop(bad, choice=choice)
    assert all(loop.is_closed() for loop in seen)


@pytest.mark.parametrize("choice", ["asyncio", "uvloop"])
def test_what_blocks_shares_few_threads(choice):
    """
    However many hosts block at once, the pool stays small, and it is gone with the loop.
    """
    before, names = threading.active_count(), set()

    def block() -> None:
        names.add(threading.current_thread().name)

    async def main() -> int:
        await asyncio.gather(*[in_thread(block) for _ in range(100)])
        return threading.active_count() - before

    assert run_loop(main, choice=choice) <= POOL_SIZE
    assert threading.active_count() == before
    assert all(name.startswith("fleetctl") for name in names)
