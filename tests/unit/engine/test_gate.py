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
