"""
Happy eyeballs without a network: which address is tried when, and what a failure says.
"""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.settings import HostSettings
from fleetctl.ssh import dial
from fleetctl.ssh.resolver import Address
from fleetctl.testing import run_in_virtual_time

V4, V6 = socket.AF_INET, socket.AF_INET6
SETTINGS = HostSettings(port=2222)


def v4(number: int) -> Address:
    return Address(V4, (f"192.0.2.{number}", 2222))


def v6(number: int) -> Address:
    return Address(V6, (f"2001:db8::{number}", 2222, 0, 0))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([v4(1)], [v4(1)]),
        ([v6(1), v6(2), v4(1), v4(2)], [v6(1), v4(1), v6(2), v4(2)]),
        ([v4(1), v4(2), v4(3), v6(1)], [v4(1), v6(1), v4(2), v4(3)]),
    ],
)
def test_families_alternate(given, expected):
    """
    The resolver's favourite first, then the other family, so that one dead family costs little.
    """
    assert dial.interleave(given) == expected


class Network:
    """
    Stands in for connecting: address -> (seconds, errno or 0).

    Attributes:
        began: Address -> when connecting to it began.
        sockets: Those that were connected.
    """

    def __init__(self, behaviour: dict[Address, tuple[float, int]]) -> None:
        self.behaviour = behaviour
        self.began: dict[str, float] = {}
        self.cancelled: list[str] = []
        self.sockets: dict[str, socket.socket] = {}

    async def connect(self, address: Address, settings: HostSettings) -> socket.socket:
        delay_s, error = self.behaviour[address]
        self.began[address.ip] = asyncio.get_running_loop().time()
        try:
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            self.cancelled.append(address.ip)
            raise
        if error:
            raise OSError(error, "words of the event loop")
        # Never connected to anything.
        self.sockets[address.ip] = socket.socket(address.family, socket.SOCK_STREAM)
        return self.sockets[address.ip]


@pytest.fixture
def race(monkeypatch):
    def race(behaviour: dict[Address, tuple[float, int]]) -> tuple[str, Network]:
        network = Network(behaviour)
        monkeypatch.setattr(dial, "_connect", network.connect)

        async def main() -> str:
            sock, address = await dial._race(list(behaviour), SETTINGS)
            sock.close()
            return address.ip

        try:
            return run_in_virtual_time(main), network
        finally:
            assert [s for s in network.sockets.values() if s.fileno() != -1] == []

    return race


def test_F03_a_dead_address_costs_a_quarter_of_a_second(race):
    """
    F03: the next address is tried beside one that does not answer, and the loser is given up.
    """
    winner, network = race({v6(1): (60, 0), v4(1): (0.01, 0)})
    assert winner == "192.0.2.1"
    assert network.began == {"2001:db8::1": 0, "192.0.2.1": dial.STAGGER_S}
    assert network.cancelled == ["2001:db8::1"]


def test_F03_a_refusing_address_costs_nothing(race):
    """
    F03: after a refusal the next address is tried at once.
    """
    winner, network = race({v6(1): (0.01, errno.ECONNREFUSED), v4(1): (0.01, 0)})
    assert winner == "192.0.2.1"
    assert network.began["192.0.2.1"] == pytest.approx(0.01)


def test_the_first_to_answer_wins_and_the_others_are_closed(race):
    """
    Of two that answer at the same moment one is used; the other leaves nothing open.
    """
    winner, network = race({v6(1): (0.5, 0), v4(1): (0.25, 0)})
    assert winner in network.sockets
    assert len(network.sockets) == 2


def test_F04_a_closed_port_says_so_with_every_address(race):
    """
    F04: if all refuse, the port is closed; each address and the port are named.
    """
    with pytest.raises(FleetError) as caught:
        race({v6(1): (0.01, errno.ECONNREFUSED), v4(1): (0.01, errno.ECONNREFUSED)})
    assert caught.value.kind == "connect.refused"
    assert str(caught.value) == (
        "2001:db8::1 port 2222: connection refused, 192.0.2.1 port 2222: connection refused"
    )
    assert not caught.value.failure.retryable


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ((errno.EHOSTUNREACH, errno.ENETUNREACH), "connect.unreachable"),
        ((errno.ECONNREFUSED, errno.ENETUNREACH), "connect.unreachable"),
        ((errno.ECONNRESET, errno.ENETUNREACH), "connect.reset"),
        ((errno.ETIMEDOUT, errno.ETIMEDOUT), "connect.unreachable"),
    ],
)
def test_F05_what_cannot_be_reached_may_be_reached_later(race, errors, kind):
    """
    F05: no route, a reset and the like may pass, so they may be tried again.
    """
    with pytest.raises(FleetError) as caught:
        race({v6(1): (0, errors[0]), v4(1): (0, errors[1])})
    assert caught.value.kind == kind
    assert caught.value.failure.retryable


def test_F76_too_many_open_files_is_a_fault_here(race):
    """
    F76: the limit of this process is not blamed on the host, and the hint says how to raise it.
    """
    with pytest.raises(FleetError, match="here, not there") as caught:
        race({v6(1): (0, errno.EMFILE), v4(1): (0, errno.EMFILE)})
    assert "ulimit -n" in (caught.value.failure.hint or "")


def test_a_cancelled_race_leaves_nothing_open(monkeypatch):
    """
    When the deadline ends a race, every address is given up.
    """
    network = Network({v6(1): (60, 0), v4(1): (60, 0)})
    monkeypatch.setattr(dial, "_connect", network.connect)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await dial._race([v6(1), v4(1)], SETTINGS)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_in_virtual_time(main)
    assert sorted(network.cancelled) == ["192.0.2.1", "2001:db8::1"]
