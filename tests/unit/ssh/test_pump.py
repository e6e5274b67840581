"""
Standard input: sent as fast as the host takes it, without holding up anybody.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from fleetctl.ssh.pump import BURST_BYTES, send_at_once, send_stdin
from fleetctl.ssh.session import Session
from fleetctl.testing import run_in_virtual_time

PACKET = 32 * 1024


class Peer:
    """
    What the pump sees of a session: a window, a socket that may be full, an end.

    Attributes:
        packet_bytes: Most that one packet takes; 0 for a peer that takes none.
    """

    def __init__(self, *, window_bytes: int, packet_bytes: int = PACKET) -> None:
        self.got = bytearray()
        self.eofs = 0
        self.turns = 0
        self.packet_bytes = packet_bytes
        self.out_window_size = window_bytes
        self.closed = self.eof_sent = False
        self.can_write = True
        self.window = asyncio.Event()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.drained = asyncio.Event()

    @property
    def session(self) -> Session:
        stand_in = SimpleNamespace(
            transport=self, channel=self, window=self.window, ended=self.ended
        )
        return cast("Session", stand_in)  # has what the pump uses

    def write(self, data: memoryview) -> int:
        size = min(len(data), self.out_window_size, self.packet_bytes)
        self.got += data[:size]
        self.out_window_size -= size
        return size

    def write_eof(self) -> None:
        self.eofs += 1

    async def writable(self) -> None:
        await self.drained.wait()

    def open_window(self, size: int) -> None:
        self.out_window_size += size
        self.window.set()

    def end(self) -> None:
        self.closed = True
        self.ended.set_result(None)
        self.window.set()


def test_what_fits_leaves_at_once():
    """
    Small input goes with the command; what does not fit into the window is left for later.
    """

    async def main() -> None:
        assert send_at_once(Peer(window_bytes=PACKET).session, memoryview(b"abc")) == 3
        peer = Peer(window_bytes=5)
        assert send_at_once(peer.session, memoryview(b"abcdefgh")) == 5
        assert peer.got == b"abcde"

    run_in_virtual_time(main)


def test_one_burst_at_a_time():
    """
    However wide the window is, others on the loop have their turn between bursts.
    """

    async def main() -> None:
        peer = Peer(window_bytes=10 * BURST_BYTES)
        assert send_at_once(peer.session, memoryview(bytes(4 * BURST_BYTES))) == BURST_BYTES

    run_in_virtual_time(main)


@pytest.mark.parametrize("size", [0, 1, PACKET, 3 * BURST_BYTES + 1])
def test_every_byte_is_sent_in_order(size):
    """
    The host gets exactly the input, however its window opens.
    """
    data = bytes(number % 251 for number in range(size))

    async def main() -> Peer:
        peer = Peer(window_bytes=1000)
        pump = asyncio.ensure_future(send_stdin(peer.session, data))
        while not pump.done():
            await asyncio.sleep(0.1)
            peer.open_window(100_001)
        await pump
        return peer

    peer = run_in_virtual_time(main)
    assert bytes(peer.got) == data


def test_F53_a_host_that_does_not_read_is_waited_for():
    """
    F53: with the window closed nothing is sent and nothing spins; the pump sleeps.
    """

    async def main() -> None:
        peer = Peer(window_bytes=10)
        pump = asyncio.ensure_future(send_stdin(peer.session, bytes(100)))
        await asyncio.sleep(3600)
        assert len(peer.got) == 10
        peer.open_window(1000)
        await pump
        assert len(peer.got) == 100

    run_in_virtual_time(main)


def test_a_full_socket_is_waited_for():
    """
    While our own socket is full, no channel data is queued.
    """

    async def main() -> None:
        peer = Peer(window_bytes=1000)
        peer.can_write = False
        pump = asyncio.ensure_future(send_stdin(peer.session, bytes(100)))
        await asyncio.sleep(10)
        assert peer.got == b""
        peer.can_write = True
        peer.drained.set()
        await pump
        assert len(peer.got) == 100

    run_in_virtual_time(main)


def test_a_command_that_ends_needs_no_more_input():
    """
    When the session ends, the rest of the input is dropped at once.
    """

    async def main() -> None:
        peer = Peer(window_bytes=10)
        pump = asyncio.ensure_future(send_stdin(peer.session, bytes(100)))
        await asyncio.sleep(10)
        peer.end()
        await pump
        assert len(peer.got) == 10

    run_in_virtual_time(main)


def test_S06_a_peer_that_takes_no_packet_costs_no_cpu():
    """
    S06: a declared packet size too small for any data must not make the pump turn in a circle.
    """

    async def main() -> None:
        peer = Peer(window_bytes=1000, packet_bytes=0)
        pump = asyncio.ensure_future(send_stdin(peer.session, bytes(100)))
        await asyncio.sleep(60)
        assert not pump.done()
        peer.end()
        await pump

    run_in_virtual_time(main)


def test_nothing_is_sent_after_our_end_of_input():
    """
    Whoever still sends after EOF is not kept waiting for a window that opens for nobody.
    """

    async def main() -> None:
        peer = Peer(window_bytes=0)
        sending = asyncio.ensure_future(send_stdin(peer.session, b"x"))
        await asyncio.sleep(1)
        assert not sending.done()
        peer.eof_sent = True
        peer.open_window(0)
        await sending
        await send_stdin(peer.session, b"too late")
        assert bytes(peer.got) == b""

    run_in_virtual_time(main)
