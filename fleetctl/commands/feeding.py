"""
Feeding a shell with a script: through a pipe, or typed on a terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from fleetctl.commands.prompts import Prompt
from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.excerpt import last_bytes

#: Source: termios(3), VEOF.
END_OF_FILE = b"\x04"
#: Between two of them. A shell that edits its lines changes the terminal, and one that was typed
#: before is no end of file after; a program that reads to the end takes another.
AGAIN_S = 0.5
#: From the login to the first prompt, start-up files of the shell included.
PATIENCE_S = 60.0
#: Shown of what a shell writes that has no prompt.
_TAIL_BYTES = 200


class Recorder(Protocol):
    """Told what happens; `fleetctl.expect.transcript.TranscriptWriter` is one."""

    def received(self, stream: Stream, data: bytes) -> None: ...

    def sent(self, text: str) -> None: ...


class PipedScript:
    """
    A `fleetctl.model.dialogue.Dialogue` that sends a script and its end, and keeps what comes.

    Only needed for a transcript: without one, bytes for standard input do the same.
    """

    def __init__(self, script: bytes, recorder: Recorder | None) -> None:
        self._script = script
        self._recorder = recorder

    async def hold(self, conversation: Conversation) -> None:
        """See `Dialogue`."""
        keeping = asyncio.ensure_future(_keep_all(conversation, self._recorder))
        try:
            _note_sent(self._recorder, self._script)
            await conversation.write(self._script)
            conversation.write_eof()
            await keeping
        finally:
            await _stop(keeping)


class TypedScript:
    """
    A `fleetctl.model.dialogue.Dialogue` that types a script on a terminal, as fast as it takes it.

    At the end it holds Ctrl-D down until the shell has ended.

    Args:
        script: Ends with a newline.
    """

    def __init__(self, script: bytes, recorder: Recorder | None) -> None:
        self._script = script
        self._recorder = recorder

    async def hold(self, conversation: Conversation) -> None:
        """See `Dialogue`."""
        keeping = asyncio.ensure_future(_keep_all(conversation, self._recorder))
        try:
            _note_sent(self._recorder, self._script)
            await conversation.write(self._script)
            await _type_end(conversation, keeping)
        finally:
            await _stop(keeping)


class PromptedScript:
    """
    A `fleetctl.model.dialogue.Dialogue` that types each line when the shell asks for it.

    Args:
        lines: Each with its newline; at least one. After the last of them comes the end.

    Attributes:
        typed: How many of the lines were.
    """

    def __init__(
        self,
        lines: Sequence[bytes],
        prompt: Prompt,
        recorder: Recorder | None,
    ) -> None:
        self.typed = 0
        self._lines = lines
        self._prompt = prompt
        self._recorder = recorder
        self._shown = b""

    async def hold(self, conversation: Conversation) -> None:
        """
        See `Dialogue`.

        Raises:
            FleetError: ``expect.timeout``: there was no prompt; ``expect.failed``: it cannot be
                looked for.
        """
        try:
            for line in self._prompt.setup:
                await conversation.write(line)
            if not await self._first_prompt(conversation):
                return
            self._prompt.exit_status = None  # of what was set up
            for line in self._lines[:-1]:
                if not await self._type(conversation, line):
                    return
            keeping = asyncio.ensure_future(self._keep_rest(conversation))
            try:
                self._begin_line(self._lines[-1])
                await conversation.write(self._lines[-1])
                await _type_end(conversation, keeping)
            finally:
                await _stop(keeping)
        finally:
            if rest := self._prompt.rest():
                conversation.keep("stdout", rest)

    def facts(self) -> dict[str, object]:
        """Return what is known beyond the shell's own end, as JSON types."""
        found: dict[str, object] = {}
        if self._prompt.exit_status is not None:
            found["last_exit_status"] = self._prompt.exit_status
        if self.typed < len(self._lines):
            found["lines_not_typed"] = len(self._lines) - self.typed
        return found

    async def _first_prompt(self, conversation: Conversation) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S) as limit:
                return await self._until_prompt(conversation)
        except TimeoutError:
            if not limit.expired():
                raise
        shown = self._shown.decode("utf-8", "replace").strip()
        raise FleetError(
            "expect.timeout",
            f"no prompt of the shell within {PATIENCE_S:g} s"
            + (f", it wrote: {shown}" if shown else ""),
            hint=self._prompt.hint,
        )

    async def _type(self, conversation: Conversation, line: bytes) -> bool:
        """Type a line and wait for the next prompt; False if the shell has ended instead."""
        self._begin_line(line)
        writing = asyncio.ensure_future(conversation.write(line))
        try:
            is_shown = await self._until_prompt(conversation)
            if is_shown:
                await writing
            return is_shown
        finally:
            await _stop(writing)

    def _begin_line(self, line: bytes) -> None:
        self.typed += 1
        self._prompt.forget()
        _note_sent(self._recorder, line)

    async def _until_prompt(self, conversation: Conversation) -> bool:
        while not self._prompt.is_shown:
            piece = await conversation.read()
            if piece is None:
                return False
            self._take(conversation, *piece)
        return True

    async def _keep_rest(self, conversation: Conversation) -> None:
        while (piece := await conversation.read()) is not None:
            self._take(conversation, *piece)

    def _take(self, conversation: Conversation, stream: Stream, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.received(stream, data)
        self._shown = last_bytes(self._shown + data, _TAIL_BYTES)
        output = self._prompt.take(data)
        if output:
            conversation.keep(stream, output)


async def _keep_all(conversation: Conversation, recorder: Recorder | None) -> None:
    while (piece := await conversation.read()) is not None:
        if recorder is not None:
            recorder.received(*piece)
        conversation.keep(*piece)


async def _type_end(conversation: Conversation, reading: asyncio.Future[None]) -> None:
    """Type the end-of-file character until there is nothing more to read."""
    while not reading.done():
        await conversation.write(END_OF_FILE)
        await asyncio.wait((reading,), timeout=AGAIN_S)
    await reading


async def _stop(work: asyncio.Future[None]) -> None:
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def _note_sent(recorder: Recorder | None, data: bytes) -> None:
    if recorder is not None:
        recorder.sent(data.decode("utf-8", "replace"))
