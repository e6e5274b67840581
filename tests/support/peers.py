"""
Peers that no sshd can play: silent, slow, lying or flooding ones, on a loopback port.

``with hostile_peer("silent") as (address, port):`` plays one to everybody who connects until the
block ends. The names are those of the fault catalogue; each script says what it does.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.lies import LIES
from tests.support.packets import BANNER, ESCAPES, kexinit, packet, string
from tests.support.patience import PATIENCE_S
from tests.support.visitor import Visitor

__all__ = ["BANNER", "SCRIPTS", "Visitor", "hostile_peer", "kexinit", "packet"]


_MSG_DISCONNECT, _MSG_IGNORE = 1, 2


def _read_banner(visitor: Visitor) -> None:
    """Read up to the end of the client's identification; whatever follows stays unread."""
    while visitor.sock.recv(1) not in (b"\n", b""):
        pass


def _silent(visitor: Visitor) -> None:
    visitor.stall()


def _close(visitor: Visitor) -> None:
    """Close at once, as sshd beyond MaxStartups; RST follows if the client has already spoken."""


def _reset(visitor: Visitor) -> None:
    visitor.reset()


def _half_banner(visitor: Visitor) -> None:
    visitor.send(b"SSH-2.0-Op")
    visitor.stall()


def _drip_banner(visitor: Visitor) -> None:
    """One byte each 0.2 s of a line that does not end soon."""
    visitor.drip(bytes([byte]) for byte in itertools.chain(BANNER[:-2], itertools.repeat(0x78)))


def _endless_lines(visitor: Visitor) -> None:
    """A line each 0.2 s, never the banner (endlessh)."""
    visitor.drip(b"%x\r\n" % number for number in itertools.count())


def _flood_no_newline(visitor: Visitor) -> None:
    visitor.flood(b"x" * 65536)


def _flood_lines(visitor: Visitor) -> None:
    visitor.flood(b"no banner yet\r\n" * 4096)


def _http(visitor: Visitor) -> None:
    visitor.send(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n")
    visitor.finish()


def _ssh1(visitor: Visitor) -> None:
    visitor.send(b"SSH-1.5-OldServer_1.0\n")
    visitor.stall()


def _binary_banner(visitor: Visitor) -> None:
    visitor.send(bytes(range(256)) + b"\n")
    visitor.stall()


def _escape_lines(visitor: Visitor) -> None:
    """Terminal escapes before and in the banner, then the end."""
    visitor.send(ESCAPES + b"\r\nSSH-2.0-" + ESCAPES + b"\r\n")
    visitor.finish()


def _stall_after_banner(visitor: Visitor) -> None:
    visitor.send(BANNER)
    visitor.stall()


def _garbage_after_banner(visitor: Visitor) -> None:
    visitor.send(BANNER + b"\xff\xfe\xfd\xfc" * 256)
    visitor.stall()


def _huge_packet(visitor: Visitor) -> None:
    """A packet said to be almost 4 GiB long, and its beginning."""
    visitor.send(BANNER + struct.pack(">IB", 0xFFFFFFF0, 4))
    visitor.flood(bytes(65536))


def _zero_packet(visitor: Visitor) -> None:
    visitor.send(BANNER + bytes(16))
    visitor.stall()


def _ignore_flood(visitor: Visitor) -> None:
    """Valid IGNORE packets without end instead of a key exchange."""
    visitor.send(BANNER)
    visitor.flood(packet(bytes([_MSG_IGNORE]) + string(b"x" * 100)) * 256)


def _disconnect(visitor: Visitor) -> None:
    """A proper DISCONNECT whose reason holds terminal escapes."""
    reason = struct.pack(">I", 2) + string(b"go away " + ESCAPES) + string(b"")
    visitor.send(BANNER + packet(bytes([_MSG_DISCONNECT]) + reason))
    visitor.finish()


def _maxstartups(visitor: Visitor) -> None:
    """What newer sshd say before they drop a connection."""
    visitor.send(b"Exceeded MaxStartups\r\n")
    visitor.finish()


def _stall_mid_kex(visitor: Visitor) -> None:
    visitor.send(BANNER + kexinit())
    visitor.stall()


def _drip_kex(visitor: Visitor) -> None:
    """Banner, then KEXINIT with a byte each 0.2 s."""
    visitor.send(BANNER)
    visitor.drip([bytes([byte]) for byte in kexinit()])


def _reset_mid_kex(visitor: Visitor) -> None:
    """RST once the client's identification has come and ours and a KEXINIT have left."""
    visitor.send(BANNER + kexinit())
    _read_banner(visitor)
    visitor.reset()


def _no_common_kex(visitor: Visitor) -> None:
    visitor.send(BANNER + kexinit(kex=b"made-up-kex@example.org"))
    visitor.stall()


def _no_common_hostkey(visitor: Visitor) -> None:
    visitor.send(BANNER + kexinit(host_key=b"made-up-key@example.org"))
    visitor.stall()


def _weak_only(visitor: Visitor) -> None:
    """Nothing but what was given up years ago."""
    visitor.send(
        BANNER
        + kexinit(
            kex=b"diffie-hellman-group1-sha1",
            host_key=b"ssh-rsa",
            cipher=b"3des-cbc",
            mac=b"hmac-md5",
        )
    )
    visitor.stall()


SCRIPTS: Mapping[str, Callable[[Visitor], None]] = {
    script.__name__.removeprefix("_"): script
    for script in (
        _silent,
        _close,
        _reset,
        _half_banner,
        _drip_banner,
        _endless_lines,
        _flood_no_newline,
        _flood_lines,
        _http,
        _ssh1,
        _binary_banner,
        _escape_lines,
        _stall_after_banner,
        _garbage_after_banner,
        _huge_packet,
        _zero_packet,
        _ignore_flood,
        _disconnect,
        _maxstartups,
        _stall_mid_kex,
        _drip_kex,
        _reset_mid_kex,
        _no_common_kex,
        _no_common_hostkey,
        _weak_only,
    )
}


@dataclass(frozen=True)
class _Peer:
    """A listener and the threads that serve its visitors."""

    listener: socket.socket
    script: Callable[[Visitor], None]
    ended: threading.Event = field(default_factory=threading.Event)
    visitors: list[Visitor] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def accept(self) -> None:
        while True:
            sock, _ = self.listener.accept()
            if self.ended.is_set():
                sock.close()
                return
            visitor = Visitor(sock, self.ended)
            self.visitors.append(visitor)
            thread = threading.Thread(target=self._play, args=(visitor,), name="hostile visitor")
            self.threads.append(thread)
            thread.start()

    def _play(self, visitor: Visitor) -> None:
        # A visitor that goes away while it is talked to is what most of them do.
        with visitor.sock, suppress(OSError):
            self.script(visitor)

    def end(self, acceptor: threading.Thread) -> None:
        self.ended.set()
        # One more connection wakes the acceptor on every system; closing its listener does not.
        socket.create_connection(self.listener.getsockname(), PATIENCE_S).close()
        acceptor.join(PATIENCE_S)
        for visitor in self.visitors:
            with suppress(OSError):
                visitor.sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE_S)


@contextmanager
def hostile_peer(kind: str) -> Iterator[tuple[str, int]]:
    """
    Play a peer of `SCRIPTS` or `LIES` on a free loopback port and yield its address and port.

    All connections are closed and all threads joined when the block ends.
    """
    script = LIES.get(kind) or SCRIPTS[kind]
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        peer = _Peer(listener, script)
        acceptor = threading.Thread(target=peer.accept, name=f"hostile peer {kind}")
        acceptor.start()
        try:
            address, port = listener.getsockname()
            yield address, port
        finally:
            peer.end(acceptor)
