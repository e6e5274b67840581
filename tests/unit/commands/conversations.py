"""
Programs that follow a script, as a dialogue sees them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from fleetctl.model.events import Stream


@dataclass
class ScriptedConversation:
    """
    A `Conversation` with a program that writes what it is told.

    Attributes:
        pieces: What the program writes, then its end; ``None`` waits for input first.
        is_endless: The program does not end, but waits.
    """

    pieces: Sequence[tuple[Stream, bytes] | None]
    is_endless: bool = False
    kept: dict[Stream, bytes] = field(default_factory=lambda: {"stdout": b"", "stderr": b""})
    written: list[bytes] = field(default_factory=list)
    has_eof: bool = False
    _at: int = 0

    async def read(self) -> tuple[Stream, bytes] | None:
        await asyncio.sleep(0)
        if self._at == len(self.pieces):
            if self.is_endless:
                await asyncio.Event().wait()
            return None
        piece = self.pieces[self._at]
        while piece is None:
            if not self.written and not self.has_eof:
                await asyncio.Event().wait()
            self._at += 1
            if self._at == len(self.pieces):
                return None
            piece = self.pieces[self._at]
        self._at += 1
        return piece

    def keep(self, stream: Stream, data: bytes) -> None:
        self.kept[stream] += data

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)
        self.written.append(data)

    def write_eof(self) -> None:
        self.has_eof = True

    def resize(self, columns: int, rows: int) -> None:
        raise NotImplementedError
