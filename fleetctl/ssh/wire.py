"""
The byte stream under a transport: an asyncio protocol that looks like the socket Paramiko expects.

Knows nothing about SSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol, cast


class GatewayLost(ConnectionError):
    """
    The stream to a host ended because the connection to its gateway did.

    Attributes:
        hop: Name of the gateway.
    """

    def __init__(self, hop: str, reason: str) -> None:
        super().__init__(f"the connection to gateway {hop} was lost: {reason}")
        self.hop = hop


class StreamClosed(ConnectionError):
    """A stream takes nothing more either; its reader was told its plain end before."""

    def __init__(self) -> None:
        super().__init__("the stream is closed")


class StreamOwner(Protocol):
    """Who is told what the stream does; always called on the loop's thread."""

    def bytes_received(self, data: bytes) -> None: ...

    def stream_ended(self, error: BaseException | None) -> None:
        """
        Nothing more will come: None for a plain end, else why.

        A stream that can be half closed may say so twice: after a plain end, that it is closed or
        lost.
        """
        ...

    def write_pressure(self, *, paused: bool) -> None: ...


class Wire(Protocol):
    """
    What a transport asks of the stream under it; all calls on the loop's thread.

    It must also look like a socket to Paramiko: `settimeout`, `getpeername` and `close`.
    """

    def attach(self, owner: StreamOwner) -> None: ...

    def relax(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...

    def settimeout(self, timeout: float | None) -> None: ...

    def getpeername(self) -> object: ...

    def close(self) -> None: ...


class SocketWire(asyncio.Protocol):
    """
    One connected socket. What arrives before `attach` is kept for the owner.

    Args:
        hurried: The socket, if it is one of TCP: its segments are acknowledged at once until
            `relax`. The loop's view of it makes a new socket object for each call.
    """

    def __init__(self, hurried: socket.socket | None = None) -> None:
        self._owner: StreamOwner | None = None
        self._early: list[bytes] = []
        self._early_end: tuple[BaseException | None] | None = None
        self._tcp: asyncio.Transport | None = None
        self._closed = False
        # sshd has Nagle's algorithm on during the login, and would wait 40 ms for a delayed
        # acknowledgement. Source: tcp(7).
        self._hurried = hurried if hasattr(socket, "TCP_QUICKACK") else None

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._hurried is not None:
            self._hurried.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if self._owner is not None:
            self._owner.bytes_received(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._end(exc)
        self._owner = None

    def _end(self, error: BaseException | None) -> None:
        if self._owner is not None:
            self._owner.stream_ended(error)
        elif self._early_end is None:
            self._early_end = (error,)

    def pause_writing(self) -> None:
        if self._owner is not None:
            self._owner.write_pressure(paused=True)

    def resume_writing(self) -> None:
        if self._owner is not None:
            self._owner.write_pressure(paused=False)

    # -- for the owner

    def attach(self, owner: StreamOwner) -> None:
        """Hand over what came so far, and everything from now on."""
        self._owner = owner
        for data in self._early:
            owner.bytes_received(data)
        self._early.clear()
        if self._early_end is not None:
            owner.stream_ended(self._early_end[0])

    @property
    def local_end(self) -> tuple[str, int] | None:
        """Our address and port, or None if they are not those of IP, or no longer known."""
        name = self._tcp.get_extra_info("sockname") if self._tcp is not None else None
        return (name[0], name[1]) if isinstance(name, tuple) else None

    def relax(self) -> None:
        """The login is over: let the system decide again when to acknowledge."""
        self._hurried = None

    def mark(self, service: int) -> None:
        """
        Set the type of service of all packets from now on, if they are packets of IP.

        What the system does not allow is left out. Source: ip(7), IP_TOS; ipv6(7), IPV6_TCLASS.
        """
        if self._tcp is None or self._closed:
            return
        sock = self._tcp.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, service)
            elif sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, service)

    def write(self, data: bytes) -> None:
        if self._tcp is not None and not self._closed:
            self._tcp.write(data)

    def pause_reading(self) -> None:
        if self._tcp is not None and not self._closed:
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        if self._tcp is not None and not self._closed:
            self._tcp.resume_reading()

    def abort(self) -> None:
        """Drop the connection without sending what is buffered."""
        self._closed = True
        if self._tcp is not None:
            self._tcp.abort()

    # -- what Paramiko asks of a socket

    def settimeout(self, timeout: float | None) -> None:
        """Nothing waits on this object, so there is nothing to limit."""

    def getpeername(self) -> object:
        return self._tcp.get_extra_info("peername") if self._tcp else ("unknown", 0)

    def close(self) -> None:
        """Close after what was written has been sent."""
        self._closed = True
        if self._tcp is not None:
            self._tcp.close()
