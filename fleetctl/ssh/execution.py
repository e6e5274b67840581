"""
One program on an open session: asked for, fed, talked to, and followed to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fleetctl.model.dialogue import Dialogue
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.operation import ExecRequest, Pty
from fleetctl.ssh.agent_forwarding import REQUEST_NAME
from fleetctl.ssh.pump import end_of_typing, send_at_once, send_stdin
from fleetctl.ssh.session import OutputCallback, Session

if TYPE_CHECKING:
    from fleetctl.ssh.conversation import SshConversation

#: What a dialogue gets to say its last word after it has heard the program's.
LAST_WORD_S = 5.0


class Execution:
    """
    A request on its way.

    Args:
        session: Open; nothing was asked for on it yet.
    """

    def __init__(
        self, session: Session, request: ExecRequest, on_output: OutputCallback | None
    ) -> None:
        self._session = session
        self._request = request
        # Whoever feeds the program or talks to it; None when there is nothing left to do.
        self._side: asyncio.Task[None] | None = None
        self._conversation: SshConversation | None = None
        if request.is_subsystem and request.dialogue is None:
            on_output = _eof_after_answer(session, on_output)
        session.collect(request.max_output_bytes, on_output)

    async def get_terminal(self, pty: Pty, limit_s: float) -> None:
        """
        Ask for a terminal and wait for the answer: without one the program must not start.

        Raises:
            FleetError: ``pty.refused``: there was no answer; a refusal, and a lost connection, are
                noted in the session.

        Source: RFC 4254 sections 6.2 and 8.
        """
        modes = b"".join(
            bytes([opcode]) + value.to_bytes(4, "big") for opcode, value in pty.modes.items()
        )
        size = (pty.columns, pty.rows, 0, 0)
        self._session.request("pty-req", pty.term, *size, modes + b"\0")
        try:
            async with asyncio.timeout(limit_s):
                await self._session.answered.wait()
        except TimeoutError:
            raise FleetError(
                "pty.refused", f"no answer to the pty-req request within {limit_s:g} s"
            ) from None
        session = self._session
        if session.ended.done() and not session.lost and session.refused is None:
            raise FleetError("pty.refused", "the server closed the session without a terminal")

    def start(self, env: Mapping[str, str], *, forward_agent: bool) -> None:
        """Send environment, program and standard input in one flight, waiting for no answer."""
        session, request = self._session, self._request
        if forward_agent:
            session.channel.request(REQUEST_NAME, want_reply=False)
        for name, value in env.items():
            session.set_env(name, value)
        if request.is_shell:
            session.request("shell")
        else:
            kind = "subsystem" if request.is_subsystem else "exec"
            session.request(kind, request.command.encode("utf-8", "surrogateescape"))
        if request.dialogue is not None:
            self._side = asyncio.ensure_future(self._converse(request.dialogue))
            return
        stdin = request.stdin
        if request.pty is not None:
            stdin += end_of_typing(stdin)
        sent = send_at_once(session, memoryview(stdin))
        if sent < len(stdin):
            self._side = asyncio.ensure_future(self._send_rest(memoryview(stdin)[sent:]))
        elif not request.is_subsystem:
            session.channel.write_eof()

    async def follow(self) -> bool:
        """
        Wait for the program's end.

        Returns:
            False if it had not ended in time.

        Raises:
            Exception: What the dialogue raised; the program may still be running.
        """
        ended, limit_s = self._session.ended, self._request.timeout_s
        if self._request.dialogue is None or self._side is None:
            # Waited for as a stranger would: cancelling us must not end the session for others.
            if not ended.done():
                await asyncio.wait((ended,), timeout=limit_s)
            return ended.done()
        try:
            async with asyncio.timeout(limit_s) as limit:
                await asyncio.wait((ended, self._side), return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    await self._side
                    await asyncio.wait((ended,))
                await self._heard_all(self._side)
        except TimeoutError:
            if not limit.expired():
                raise  # the dialogue's own
            if not ended.done():
                self.stop()
            return ended.done()
        done, _ = await asyncio.wait((self._side,), timeout=LAST_WORD_S)
        for side in done:
            side.result()
        return True

    async def _heard_all(self, side: asyncio.Task[None]) -> None:
        """Wait until a dialogue knows that nothing more will come: it may pass on much, slowly."""
        if self._conversation is not None:
            await asyncio.wait((side, self._conversation.over), return_when=asyncio.FIRST_COMPLETED)

    def hear_out(self) -> None:
        """What a dialogue has not read is output: whoever asks for the result wants all of it."""
        if self._conversation is not None:
            self._conversation.end(drop=self._request.is_subsystem)

    def stop(self) -> None:
        """Let nobody feed the program or talk to it any more; whoever is stopped is so once."""
        if self._side is not None and not self._side.cancelling():
            self._side.cancel()

    async def close(self) -> None:
        """Stop feeding and talking; what a dialogue has to put in order is in order after."""
        self.stop()
        side, self._side = self._side, None
        if side is not None and self._request.dialogue is not None:
            await asyncio.wait((side,))
            if not side.cancelled():
                side.exception()  # nobody is interested any more

    async def _converse(self, dialogue: Dialogue) -> None:
        from fleetctl.ssh.conversation import SshConversation

        conversation = SshConversation(self._session, has_pty=self._request.pty is not None)
        self._conversation = conversation
        # What a subsystem says is a protocol, and means nothing to whoever reads output.
        is_output = not self._request.is_subsystem
        try:
            await dialogue.hold(conversation)
        except FleetError as error:
            # Before the command has begun, whatever is said is not its output.
            is_output = is_output and error.failure.phase != "become"
            raise
        finally:
            conversation.end(drop=not is_output)
        await conversation.write(self._request.stdin)
        conversation.write_eof()

    async def _send_rest(self, rest: memoryview) -> None:
        await send_stdin(self._session, rest)
        if not self._request.is_subsystem:
            self._session.channel.write_eof()


def _eof_after_answer(session: Session, on_output: OutputCallback | None) -> OutputCallback:
    """End the input of a subsystem when it has answered: sftp-server forgets its answer else."""
    is_first = True

    def pass_on(stream: Stream, data: bytes) -> asyncio.Future[None] | None:
        nonlocal is_first
        if is_first:
            is_first = False
            session.channel.write_eof()
        return on_output(stream, data) if on_output is not None else None

    return pass_on
