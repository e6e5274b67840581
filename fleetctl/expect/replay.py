"""
Playing an expect script against a transcript: nobody is contacted, and no time is spent.

The recorded program says what it said, waits where it waited, and takes what it was sent. The first
thing the script does differently is the result. Time is the transcript's, so timeouts come as they
would have come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from fleetctl.expect.dialogue import ExpectDialogue, masked
from fleetctl.expect.script import Script
from fleetctl.expect.transcript import Transcript, inputs_of
from fleetctl.expect.virtual_time import run_in_virtual_time
from fleetctl.inventory.entries import one_line
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.failure import Failure
from fleetctl.model.secret import Secret

_EOF = "\x04"
_SHOWN_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    How a replay went.

    Attributes:
        difference: What the script did otherwise than recorded; None if it did the same.
        failure: How the script itself failed, which may be what was recorded; or None.
        captured: Its variables.
        sent: How often it sent something.
        took_s: Seconds that passed in the transcript.
        compares_input: The transcript has what was typed, so it was compared.
    """

    difference: str | None
    failure: Failure | None
    captured: Mapping[str, str]
    sent: int
    took_s: float
    compares_input: bool

    @property
    def is_good(self) -> bool:
        """The script did what was recorded and came to its end."""
        return self.difference is None and self.failure is None


class _Different(Exception):
    """The script did something else than recorded."""


class ReplayedConversation:
    """
    Implements `fleetctl.model.dialogue.Conversation`.

    Attributes:
        sent: How often something was sent.
        waits_for: What the program was sent at the point where it waits now; or None.
    """

    def __init__(self, transcript: Transcript) -> None:
        self.sent = 0
        self.waits_for: str | None = None
        self._file = transcript.file
        self._events = transcript.events
        self._inputs = inputs_of(transcript.events)
        self._is_closed = False
        self._next = 0
        self._typed = 0  # characters of the recorded input that were sent
        self._passed = 0  # characters of it that lie before the next event
        self._at_s = 0.0  # when the last event was, in the transcript
        self._due: float | None = None  # when the next is, by the loop's clock
        self._has_typed = asyncio.Event()

    async def read(self) -> tuple[Stream, bytes] | None:
        loop = asyncio.get_running_loop()
        while self._next < len(self._events):
            event = self._events[self._next]
            if event.code == "i":
                end = self._passed + len(event.text)
                while self._typed < end:
                    if self._is_closed:
                        raise _Different(f"nothing more is sent, but {self._recorded_next()}")
                    self.waits_for = event.text
                    self._has_typed.clear()
                    await self._has_typed.wait()
                self.waits_for = None
                self._passed = end
            elif event.code == "o":
                if self._due is None:
                    self._due = loop.time() + max(0.0, event.at_s - self._at_s)
                await asyncio.sleep(max(0.0, self._due - loop.time()))
            self._next += 1
            self._at_s, self._due = event.at_s, None
            if event.code == "o" and event.text:
                return "stdout", event.text.encode("utf-8", "replace")
        return None

    def keep(self, stream: Stream, data: bytes) -> None:
        return

    async def write(self, data: bytes) -> None:
        self._type(data.decode("utf-8", "replace"))

    def write_eof(self) -> None:
        if self._inputs[self._typed :].startswith(_EOF):
            self._type(_EOF)
        self._is_closed = True

    def resize(self, columns: int, rows: int) -> None:
        return

    def rest(self) -> str:
        """Return what was typed in the transcript and not by the script."""
        return self._inputs[self._typed :].removesuffix(_EOF)

    def _type(self, text: str) -> None:
        self.sent += 1
        if not self._inputs:
            return
        if not self._inputs.startswith(text, self._typed):
            raise _Different(f"{_shown(text)} is sent, but {self._recorded_next()}")
        self._typed += len(text)
        self._has_typed.set()

    def _recorded_next(self) -> str:
        """Say what was typed next, and where."""
        position = 0
        for event in self._events:
            position += len(event.text) if event.code == "i" else 0
            if position > self._typed:
                return f"{_shown(event.text)} was sent in {self._file}:{event.line}"
        return f"nothing more was sent in {self._file}"


def replay(script: Script, transcript: Transcript, values: Mapping[str, str]) -> Replayed:
    """
    Play a script against a transcript.

    Args:
        values: Variables to begin with: ``host``, and those of the host as ``var:NAME``.
    """
    return run_in_virtual_time(lambda: _replay(script, transcript, values))


async def _replay(script: Script, transcript: Transcript, values: Mapping[str, str]) -> Replayed:
    conversation = ReplayedConversation(transcript)
    dialogue = ExpectDialogue(script, values=values, get_secret=_placeholder)
    difference: str | None = None
    failure: Failure | None = None
    try:
        await dialogue.hold(conversation)
        failure = dialogue.failure
        if rest := conversation.rest():
            here = f"{script.place(dialogue.line)}: nothing more is sent"
            difference = f"{here}, but {_shown(rest)} was in {transcript.file}"
    except _Different as error:
        difference = f"{script.place(dialogue.line)}: {error}"
    except FleetError as error:
        failure = error.failure
        if conversation.waits_for is not None:
            sent = f"{_shown(conversation.waits_for)} was sent here in {transcript.file}"
            difference = f"{failure.message}; {sent}"
    return Replayed(
        difference=difference,
        failure=failure,
        captured=dialogue.captured,
        sent=conversation.sent,
        took_s=asyncio.get_running_loop().time(),
        compares_input=bool(inputs_of(transcript.events)),
    )


async def _placeholder(source: str) -> Secret:
    return Secret(masked(source))


def _shown(text: str) -> str:
    cut = text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
    return f'"{one_line(cut)}"'
