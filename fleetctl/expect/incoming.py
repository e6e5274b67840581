"""
What a program writes, on its way to where it is looked at, kept and recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fleetctl.expect.backlog import Backlog, Found, Matcher
from fleetctl.expect.masking import MaskedStream, Masks
from fleetctl.expect.terminal_text import TerminalText
from fleetctl.model.dialogue import Conversation
from fleetctl.model.events import Stream
from fleetctl.model.excerpt import end

#: Characters kept for messages.
SHOWN_LENGTH = 200


class Recorder(Protocol):
    """Told what happens, secrets masked."""

    def received(self, stream: Stream, data: bytes) -> None:
        """The program wrote this."""
        ...

    def sent(self, text: str) -> None:
        """This was typed; a secret is ``[secret SOURCE]``."""
        ...


class Incoming:
    """
    Reads a conversation.

    All that is read is output, secrets masked; it is looked at as it came.

    Attributes:
        masks: The secrets to mask.
        is_at_end: Nothing more will come.
    """

    def __init__(
        self, conversation: Conversation, recorder: Recorder | None, *, strips_ansi: bool
    ) -> None:
        self.masks = Masks()
        self.is_at_end = False
        self._conversation = conversation
        self._recorder = recorder
        self._strips_ansi = strips_ansi
        self._masked: dict[Stream, MaskedStream] = {}
        self._texts: dict[Stream, TerminalText] = {}
        self._backlog = Backlog()
        self._shown_text = TerminalText(strips_ansi=True)
        self._shown = ""

    @property
    def shown(self) -> str:
        """The end of the output, for messages."""
        return self._shown

    def begin(self) -> None:
        """A new wait begins, with what the last one left."""
        self._backlog.begin()

    def find(self, matchers: Sequence[Matcher]) -> Found | None:
        """Look for things in what was read; see `Backlog.find`."""
        return self._backlog.find(matchers)

    async def take(self) -> None:
        """Read the next piece; it can be given up without losing anything."""
        piece = await self._conversation.read()
        if piece is None:
            self.is_at_end = True
            for stream, text in self._texts.items():
                self._backlog.add(text.add(b"", is_last=True))
                self._keep(stream, self._masked[stream].add(b"", is_last=True))
            return
        stream, data = piece
        if stream not in self._texts:
            self._texts[stream] = TerminalText(strips_ansi=self._strips_ansi)
            self._masked[stream] = MaskedStream(self.masks)
        self._backlog.add(self._texts[stream].add(data))
        self._keep(stream, self._masked[stream].add(data))

    def _keep(self, stream: Stream, data: bytes) -> None:
        if not data:
            return
        self._conversation.keep(stream, data)
        self._shown = end(self._shown + self._shown_text.add(data), SHOWN_LENGTH)
        if self._recorder is not None:
            self._recorder.received(stream, data)
