"""
Dialogues for tests, made of one function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleetctl.model.dialogue import Conversation


@dataclass(frozen=True)
class Saying:
    """A dialogue that is one function."""

    say: Callable[[Conversation], Awaitable[None]]

    async def hold(self, conversation: Conversation) -> None:
        await self.say(conversation)


async def read_until(conversation: Conversation, end: bytes) -> bytes:
    """Return what was written up to these bytes; nothing of it becomes output."""
    seen = b""
    while not seen.endswith(end):
        piece = await conversation.read()
        assert piece is not None, f"it ended after {seen!r}"
        seen += piece[1]
    return seen
