"""
The dialogue between a program on a host and somebody at a terminal, or whatever our streams are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.terminal.escapes import Escapes, Wish, escape_help
from fleetctl.terminal.screen import Screen
from fleetctl.terminal.streams import Input, Output


class TerminalDialogue:
    """
    Implements `fleetctl.model.dialogue.Dialogue`: what is typed is sent, what is sent is shown.

    Nothing is kept as output, and nothing is limited but by what the other side takes.

    Args:
        screen: Raw while the dialogue goes on; None if the program has no terminal.
        escape: The escape character; None if all is for the host. Needs a screen.
        on_closed: Called if nobody reads our output any more.
    """

    def __init__(
        self,
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        screen: Screen | None = None,
        escape: int | None = None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._screen = screen
        self._escape = escape
        self._on_closed = on_closed

    async def hold(self, conversation: Conversation) -> None:
        """
        Pass everything on until the program has ended.

        Raises:
            FleetError: ``run.cancelled``: somebody left with an escape, or our output was closed.
        """
        held: AbstractContextManager[None] = nullcontext()
        if self._screen is not None:
            held = self._screen.held(conversation.resize)
        keys = Input(self._stdin)
        outputs: dict[Stream, Output] = {
            "stdout": Output(self._stdout),
            "stderr": Output(self._stderr),
        }
        try:
            with held:
                await self._pass_on(conversation, keys, outputs)
        finally:
            keys.close()
            for output in outputs.values():
                output.close()

    async def _pass_on(
        self, conversation: Conversation, keys: Input, outputs: dict[Stream, Output]
    ) -> None:
        showing = asyncio.ensure_future(self._show(conversation, outputs))
        typing = asyncio.ensure_future(self._type(conversation, keys, outputs["stderr"]))
        try:
            await asyncio.wait((showing, typing), return_when=asyncio.FIRST_COMPLETED)
            if typing.done():
                typing.result()
            await showing
        finally:
            showing.cancel()
            typing.cancel()
            await asyncio.gather(showing, typing, return_exceptions=True)

    async def _show(self, conversation: Conversation, outputs: dict[Stream, Output]) -> None:
        while (piece := await conversation.read()) is not None:
            stream, data = piece
            try:
                await outputs[stream].write(data)
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    self._on_closed()
                raise FleetError(
                    "run.cancelled", f"{stream} cannot be written: {error.strerror}"
                ) from None

    async def _type(self, conversation: Conversation, keys: Input, messages: Output) -> None:
        escapes = Escapes(self._escape)
        while typed := await keys.read():
            for piece in escapes.feed(typed):
                if isinstance(piece, bytes):
                    await conversation.write(piece)
                else:
                    await self._grant(piece, messages)
        conversation.write_eof()

    async def _grant(self, wish: Wish, messages: Output) -> None:
        match wish:
            case Wish.LEAVE:
                await messages.write(b"\r\n")  # whatever the host's line was
                raise FleetError("run.cancelled", "left with the escape character")
            case Wish.SUSPEND:
                assert self._screen is not None  # or there is no escape character
                self._screen.suspend()
            case Wish.HELP:
                assert self._escape is not None
                await messages.write(escape_help(self._escape).encode())
