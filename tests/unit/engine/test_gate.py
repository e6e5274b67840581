"""
How many handshakes are admitted at once.
"""

from __future__ import annotations

import asyncio

from fleetctl.engine.gate import HandshakeGate
from fleetctl.testing import run_in_virtual_time

WEB, DB = ("web", 22), ("db", 22)


class Crowd:
    """Admits many at once, each for a second, and counts."""

    def __init__(self, gate: HandshakeGate) -> None:
        self.gate = gate
        self.inside: list[tuple[str, int]] = []
        self.most = 0
        self.ended_s: dict[tuple[str, int], float] = {}

    async def handshake(self, endpoint: tuple[str, int]) -> None:
        async with self.gate.admit(endpoint):
            self.inside.append(endpoint)
            self.most = max(self.most, len(self.inside))
            await asyncio.sleep(1)
            self.inside.remove(endpoint)
        self.ended_s[endpoint] = asyncio.get_running_loop().time()

    async def all_at(self, *endpoints: tuple[str, int]) -> None:
        await asyncio.gather(*map(self.handshake, endpoints))


def test_total_limit_holds():
    """
    Never more handshakes at once than the process may have.
    """

    async def main() -> int:
        crowd = Crowd(HandshakeGate(total=3, per_endpoint=8))
        await crowd.all_at(*[(f"web{n}", 22) for n in range(10)])
        return crowd.most

    assert run_in_virtual_time(main) == 3


def test_endpoint_limit_holds():
    """
    Never more handshakes with one address and port than sshd takes well.
    """

    async def main() -> int:
        crowd = Crowd(HandshakeGate(total=100, per_endpoint=2))
        await crowd.all_at(*[WEB] * 10)
        return crowd.most

    assert run_in_virtual_time(main) == 2


def test_a_crowded_endpoint_holds_nobody_else_up():
    """
    Those who wait for one endpoint take no place of the total, so others pass at once.
    """

    async def main() -> dict[tuple[str, int], float]:
        crowd = Crowd(HandshakeGate(total=2, per_endpoint=1))
        await crowd.all_at(*[WEB] * 20, DB)
        return crowd.ended_s

    assert run_in_virtual_time(main) == {WEB: 20.0, DB: 1.0}


def test_a_cancelled_wait_gives_its_place_back():
    """
    Waiting handshakes that are cancelled, and admitted ones that fail, leave the gate as it was.
    """

    async def main() -> int:
        gate = HandshakeGate(total=1, per_endpoint=1)
        crowd = Crowd(gate)
        tasks = [asyncio.ensure_future(crowd.handshake(WEB)) for _ in range(5)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        crowd.inside.clear()
        async with asyncio.timeout(1.5):
            await crowd.handshake(WEB)
        return len(gate._endpoints) + len(gate._users)

    assert run_in_virtual_time(main) == 0


class Turn:
    """A turn that is taken back after a second."""

    def __init__(self) -> None:
        self.is_lent = False
        self.notices: list[str] = []

    def lend(self) -> None:
        self.is_lent = True

    async def take_back(self) -> None:
        if self.is_lent:
            await asyncio.sleep(1)
            self.is_lent = False

    def notice(self, message: str) -> None:
        self.notices.append(message)


def test_who_only_waits_lends_its_part_of_the_total():
    """
    A handshake that waits frees its part of the process's limit and lends its host's turn, but not
    its part of the endpoint's limit; it goes on only with all of them.
    """

    async def main() -> None:
        gate, turn, order = HandshakeGate(total=1, per_endpoint=1), Turn(), []

        async def wait_for(endpoint: tuple[str, int], name: str, seconds: float) -> None:
            async with gate.admit(endpoint):
                order.append(name)
                await asyncio.sleep(seconds)

        async with gate.admit(WEB, turn) as slot:
            others = [
                asyncio.ensure_future(wait_for(DB, "db", 5)),
                asyncio.ensure_future(wait_for(WEB, "web", 0)),
            ]
            await asyncio.sleep(1)
            assert order == []
            slot.notice("no answer")
            slot.lend()
            await asyncio.sleep(1)
            assert (order, turn.is_lent, turn.notices) == (["db"], True, ["no answer"])
            await slot.take_back()
            assert asyncio.get_running_loop().time() == 6
            assert (order, turn.is_lent) == (["db"], False)
        await asyncio.gather(*others)
        assert order == ["db", "web"]

    run_in_virtual_time(main)


def test_a_crowded_endpoint_is_waited_for_without_a_turn():
    """
    Who finds its endpoint crowded lends its turn until there is room.
    """

    async def main() -> None:
        gate, turn = HandshakeGate(total=9, per_endpoint=1), Turn()
        async with gate.admit(WEB):
            waiting = asyncio.ensure_future(gate.admit(WEB, turn).__aenter__())
            await asyncio.sleep(0)
            assert turn.is_lent
        await waiting
        assert not turn.is_lent

    run_in_virtual_time(main)
