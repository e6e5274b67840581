"""
The local side of a conversation: a command's streams as a dialogue sees them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fleetctl.local.process import Process
from fleetctl.model.events import Stream


class LocalConversation:
    """
    Implements `fleetctl.model.dialogue.Conversation`.

    Args:
        keep: Counts bytes as output.
        drain_s: After the command's exit its output is at its end when nothing came for this long,
            or after ``max_drain_s`` in all: a child in the background may keep it open.

    Attributes:
        is_over: `read` has said that nothing more will come.
        on_end: Called when it says so.
    """

    def __init__(
        self,
        process: Process,
        keep: Callable[[Stream, bytes], None],
        *,
        drain_s: float,
        max_drain_s: float,
    ) -> None:
        self.is_over = False
        self.on_end: Callable[[], None] = lambda: None
        self._process = process
        self._keep = keep
        self._drain_s = drain_s
        self._max_drain_s = max_drain_s
        self._drain_ends: float | None = None

    async def read(self) -> tuple[Stream, bytes] | None:
        while not self.is_over:
            piece = self._process.take_first()
            if piece is not None:
                return piece
            if self._process.exit_code is None:
                await self._process.changed()
            elif not self._process.has_output or not await self._hears_more():
                self.is_over = True
                self.on_end()
        return None

    def keep(self, stream: Stream, data: bytes) -> None:
        self._keep(stream, data)

    async def write(self, data: bytes) -> None:
        self._process.send(data)
        await self._process.sent()

    def write_eof(self) -> None:
        self._process.send_eof()

    def resize(self, columns: int, rows: int) -> None:
        self._process.resize(columns, rows)

    async def _hears_more(self) -> bool:
        """Wait for a change after the exit; return False when that was long enough."""
        now = asyncio.get_running_loop().time()
        if self._drain_ends is None:
            self._drain_ends = now + self._max_drain_s
        try:
            async with asyncio.timeout_at(min(now + self._drain_s, self._drain_ends)):
                await self._process.changed()
        except TimeoutError:
            return False
        return True
