"""
The socket under a transport.
"""

from __future__ import annotations

import socket

import pytest

from fleetctl.ssh.wire import SocketWire


class Sock(socket.socket):
    """A socket that remembers which options were set."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[tuple[object, ...]] = []

    def setsockopt(self, *option: object) -> None:
        self.options.append(option)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has quick answers")
def test_segments_are_acknowledged_at_once_until_the_login_is_over():
    """
    Each reading asks anew, since the system forgets; after the login it decides for itself.
    """
    with Sock() as sock:
        wire = SocketWire(sock)
        wire.data_received(b"one")
        wire.data_received(b"two")
        assert sock.options == [(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)] * 2
        wire.relax()
        wire.data_received(b"three")
        assert len(sock.options) == 2


def test_a_socket_that_is_not_TCP_is_left_alone():
    """
    What comes through one of a program is only passed on.
    """
    wire = SocketWire()
    wire.data_received(b"one")
