"""
Lookups on threads of their own: a few at once, and none that is waited for at the end.
"""

from __future__ import annotations

import asyncio
import threading

import pytest

from fleetctl.ssh import lookup
from fleetctl.ssh.lookup import MOST_AT_ONCE, Lookups
from tests.support.drive import until
from tests.support.patience import PATIENCE_S


class Names:
    """Stands in for the system's resolver; waits until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []

    def wait(self, name: str) -> str:
        self.asked.append(name)
        self.released.wait(PATIENCE_S)
        return name.upper()


def test_what_the_function_returns_or_raises_comes_back():
    """
    A lookup is a call: its value or its error is the caller's.
    """

    def refuse() -> None:
        raise OSError("no such name")

    async def main():
        lookups = Lookups()
        assert await lookups.run(str.upper, "a") == "A"
        with pytest.raises(OSError, match="no such name"):
            await lookups.run(refuse)
        await until(lambda: threading.active_count() == before)

    before = threading.active_count()
    asyncio.run(main())


def test_only_a_few_are_asked_at_once(monkeypatch):
    """
    A thousand names do not make a thousand threads: the others wait for their turn.
    """
    monkeypatch.setattr(lookup, "STUCK_S", PATIENCE_S)
    names = Names()

    async def main():
        lookups = Lookups()
        tasks = [asyncio.ensure_future(lookups.run(names.wait, f"n{n}")) for n in range(20)]
        await until(lambda: len(names.asked) == MOST_AT_ONCE)
        await asyncio.sleep(0.05)
        assert len(names.asked) == MOST_AT_ONCE
        names.released.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [f"N{n}" for n in range(20)]


def test_F02_those_that_hang_do_not_count(monkeypatch):
    """
    F02: after a moment a lookup that does not come back makes room for the next.
    """
    monkeypatch.setattr(lookup, "STUCK_S", 0.05)
    names = Names()

    async def main():
        lookups = Lookups()
        hanging = [asyncio.ensure_future(lookups.run(names.wait, f"n{n}")) for n in range(12)]
        assert await asyncio.wait_for(lookups.run(str.upper, "quick"), PATIENCE_S) == "QUICK"
        names.released.set()
        await asyncio.gather(*hanging)
        # And each has given its place back once: no more at once than before.
        assert lookups._free._value == MOST_AT_ONCE

    asyncio.run(main())


def test_F02_an_answer_that_comes_too_late_hurts_nobody():
    """
    F02: the loop may be closed when the resolver comes back at last.
    """
    names = Names()

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Lookups().run(names.wait, "late"), 0.05)

    asyncio.run(main())
    [thread] = [t for t in threading.enumerate() if t.name == "fleetctl lookup"]
    assert thread.daemon
    names.released.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
