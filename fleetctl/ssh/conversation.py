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

    Attributes:
        over: Set when `read` has said that nothing more will come.
    """

    def __init__(self, session: Session, *, has_pty: bool) -> None:
        self.over: asyncio.Future[None] = session.transport.loop.create_future()
        self._session = session
        self._has_pty = has_pty
        self._unread: deque[tuple[StreamName, bytes]] = deque()
        self._unread_bytes = 0
        self._changed = asyncio.Event()
        self._last = b""  # byte written
        # Waits for room for the characters that end the input.
        self._end_of_input: asyncio.Task[None] | None = None
        self._is_over = False
        session.divert(self._receive)
        session.ended.add_done_callback(self._wake)

    async def read(self) -> tuple[StreamName, bytes] | None:
        while not self._unread:
            if self._session.ended.done():
                if not self.over.done():
                    self.over.set_result(None)
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
        if data and self._end_of_input is None:
            self._last = data[-1:]
            await send_stdin(self._session, data)

    def write_eof(self) -> None:
        channel = self._session.channel
        if channel.eof_sent or self._end_of_input is not None:
            return
        end = end_of_typing(self._last) if self._has_pty else b""
        rest = end[channel.write(memoryview(end)) :]
        if rest:
            self._end_of_input = asyncio.ensure_future(self._send_end(rest))
        else:
            channel.write_eof()

    async def _send_end(self, rest: bytes) -> None:
        await send_stdin(self._session, rest)
        self._session.channel.write_eof()

    def resize(self, columns: int, rows: int) -> None:
        if self._has_pty:
            self._session.channel.request("window-change", columns, rows, 0, 0, want_reply=False)

    def end(self, *, drop: bool = False) -> None:
        """
        The dialogue is over: what is unread, and all that comes, is output. Once; then nothing.

        Args:
            drop: It is not output either.
        """
        if self._is_over:
            return
        self._is_over = True
        self._session.ended.remove_done_callback(self._wake)
        self._session.divert(_drop if drop else None)
        while self._unread:
            piece = self._unread.popleft()
            if not drop:
                self._session.keep(*piece)
        self._session.resume_reading()

    def _receive(self, stream: StreamName, data: bytes) -> None:
        self._unread.append((stream, data))
        self._unread_bytes += len(data)
        if self._unread_bytes > HIGH_WATER_BYTES:
            self._session.pause_reading()
        self._changed.set()

    def _wake(self, _: object) -> None:
        self._changed.set()


def _drop(_stream: StreamName, _data: bytes) -> None:
    """What comes is nobody's."""
