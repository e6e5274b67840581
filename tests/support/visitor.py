"""
One connection to a peer of the tests.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

_DRIP_S = 0.2
#: No flood sends more than this, should the other side read without end.
_FLOOD_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Visitor:
    """One connection to a peer, with what scripts do to it."""

    sock: socket.socket
    ended: threading.Event

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, chunks: Iterator[bytes] | list[bytes]) -> None:
        """Send a chunk every 0.2 s until the peer ends."""
        for chunk in chunks:
            self.sock.sendall(chunk)
            if self.ended.wait(_DRIP_S):
                return

    def flood(self, chunk: bytes) -> None:
        """Send the same bytes as fast as they are taken."""
        for _ in range(_FLOOD_BYTES // len(chunk)):
            self.sock.sendall(chunk)
            if self.ended.is_set():
                return

    def stall(self) -> None:
        """Take what comes and say nothing until the other side has gone."""
        while self.sock.recv(65536):
            pass

    def finish(self) -> None:
        """
        Send FIN, and close when the other side has gone.

        Closing at once would send RST for what was not read, and that can overtake what was sent.
        """
        self.sock.shutdown(socket.SHUT_WR)
        self.stall()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
