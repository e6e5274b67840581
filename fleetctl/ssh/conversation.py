"""
The SSH side of a conversation: a session channel as a dialogue sees it.
"""

from __future__ import annotations

import asyncio
from collections import deque

from fleetctl.ssh.loop_channel import StreamName
from fleetctl.ssh.pump import end_of_typing, send_stdin
from fleetctl.ssh.session import Session

#: The host is stopped from sending while more than this is unread.
HIGH_WATER_BYTES = 256 * 1024


class SshConversation:
    """
    Implements `fleetctl.model.dialogue.Conversation`.

    From its making until `end`, what arrives on the session goes here and is no output.
    """

    def __init__(self, session: Session, *, has_pty: bool) -> None:
        self._session = session
        self._has_pty = has_pty
        self._unread: deque[tuple[StreamName, bytes]] = deque()
        self._unread_bytes = 0
        self._changed = asyncio.Event()
        self._last = b""  # byte written
        session.divert(self._receive)
        session.ended.add_done_callback(self._wake)

    async def read(self) -> tuple[StreamName, bytes] | None:
        while not self._unread:
            if self._session.ended.done():
                return None
            self._changed.clear()
            await self._changed.wait()
        stream, data = self._unread.popleft()
        self._unread_bytes -= len(data)
        if self._unread_bytes <= HIGH_WATER_BYTES:
            self._session.resume_reading()
        return stream, data

    def keep(self, stream: StreamName, data: bytes) -> None:
        self._session.keep(stream, data)

    async def write(self, data: bytes) -> None:
        if data:
            self._last = data[-1:]
            await send_stdin(self._session, data)

    def write_eof(self) -> None:
        channel = self._session.channel
        if self._has_pty and not channel.eof_sent:
            channel.write(memoryview(end_of_typing(self._last)))
        channel.write_eof()

    def resize(self, columns: int, rows: int) -> None:
        if self._has_pty:
            self._session.channel.request("window-change", columns, rows, 0, 0, want_reply=False)

    def end(self) -> None:
        """The dialogue is over: what is unread, and all that comes, is output."""
        self._session.ended.remove_done_callback(self._wake)
        self._session.divert(None)
        while self._unread:
            self._session.keep(*self._unread.popleft())
        self._session.resume_reading()

    def _receive(self, stream: StreamName, data: bytes) -> None:
        self._unread.append((stream, data))
        self._unread_bytes += len(data)
        if self._unread_bytes > HIGH_WATER_BYTES:
            self._session.pause_reading()
        self._changed.set()

    def _wake(self, _: object) -> None:
        self._changed.set()
