"""
The local end of a forwarded connection: one connected socket that can be half closed.

Reads nothing before it has an owner, so that whoever connects to us waits in the system's buffers
and not in ours. Knows nothing about SSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from fleetctl.ssh.wire import StreamClosed, StreamOwner

#: Seconds to linger: none, so that closing resets. Source: socket(7), SO_LINGER.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ForwardSocket(asyncio.Protocol):
    """
    One connected socket as a stream, beside `fleetctl.ssh.channel_wire.ChannelWire`.

    Args:
        connected: Told when it is connected, if somebody connected to us.

    Attributes:
        finished: Set when the socket is closed.
    """

    def __init__(self, connected: Callable[[ForwardSocket], None] | None = None) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connected = connected
        self._owner: StreamOwner | None = None
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._early_eof = False
        self._is_paused = True
        self._has_read_eof = False
        self._has_written_eof = False

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of whoever connected; of a Unix-domain socket there is none."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return (str(name[0]), int(name[1])) if isinstance(name, tuple) else ("", 0)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.pause_reading()
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        if self._owner is None or self._is_paused:
            self._early.append(data)
            self.pause_reading()
        else:
            self._owner.bytes_received(data)

    def eof_received(self) -> bool:
        if not self._has_read_eof:
            self._has_read_eof = True
            if self._owner is None or self._is_paused:
                self._early_eof = True
            else:
                self._owner.stream_ended(None)
                self._close_if_over()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.stream_ended(exc or StreamClosed())
        if not self.finished.done():
            self.finished.set_result(None)

    def pause_writing(self) -> None:
        if self._owner is not None:
            self._owner.write_pressure(paused=True)

    def resume_writing(self) -> None:
        if self._owner is not None:
            self._owner.write_pressure(paused=False)

    # -- for the owner

    def attach(self, owner: StreamOwner) -> None:
        """Let another have what comes from now on; reading starts with `resume_reading`."""
        self._owner = owner

    def write(self, data: bytes) -> None:
        if self._is_open and not self._has_written_eof:
            assert self._transport is not None
            self._transport.write(data)

    def write_eof(self) -> None:
        """Write no more; the socket is closed once the peer's end was read as well."""
        if not self._has_written_eof:
            self._has_written_eof = True
            if self._is_open and not self._has_read_eof:
                assert self._transport is not None
                # The peer may have reset it since.
                with contextlib.suppress(OSError):
                    self._transport.write_eof()
            self._close_if_over()

    def pause_reading(self) -> None:
        self._is_paused = True
        if self._is_open and not self._has_read_eof:
            assert self._transport is not None
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        early, self._early = self._early, []
        for data in early:
            if self._owner is not None:
                self._owner.bytes_received(data)
        if self._is_paused:
            return
        if self._early_eof:
            self._early_eof = False
            if self._owner is not None:
                self._owner.stream_ended(None)
            self._close_if_over()
        elif self._is_open and not self._has_read_eof:
            assert self._transport is not None
            self._transport.resume_reading()

    def close(self) -> None:
        """Close after what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; the peer sees a reset, and does not take what it got for all."""
        if self._is_open:
            assert self._transport is not None
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                if sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self._transport is not None:
            self._transport.abort()

    @property
    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _close_if_over(self) -> None:
        if self._has_read_eof and not self._early_eof and self._has_written_eof:
            self.close()
