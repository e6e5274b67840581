"""
The dialogue that becomes another user, and then leaves the conversation to whoever wants it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextlib import suppress

from fleetctl.become.marks import Marks
from fleetctl.become.refusal import Attempt
from fleetctl.model.dialogue import Conversation, Dialogue
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.excerpt import last_bytes

#: From the start to the mark of the inner script. PAM and directory services may be slow, and sudo
#: waits for the name of its own host to be looked up.
LIMIT_S = 30.0
#: What the program gets to end by itself after it was told that there is no password.
LEAVE_S = 2.0
#: What is kept, per stream, of what is said before.
MAX_SAID_BYTES = 8 * 1024
#: More than that, so that it is seen later that something was left out.
_KEPT_BYTES = MAX_SAID_BYTES + 1024
#: A prompt is no longer than this, with the line before it.
MAX_PROMPT_BYTES = 512
#: What one stream may bring for another dialogue before the mark has come on the other stream.
MAX_REST_BYTES = 4 * 1024 * 1024

#: The last line, not ended, of su and doas: messages are in the locale C.
#: Source: pam_unix(8); doas: ``doas (deploy@web01) password: ``.
_PASSWORD = re.compile(rb"password\b[^\n]*: ?\Z", re.IGNORECASE)


class Heard:
    """
    What one stream says until the other user's script begins.

    Args:
        marks: What is looked for.
        any_prompt: Whatever asks for a password counts, once the outer script has begun.
    """

    def __init__(self, marks: Marks, *, any_prompt: bool) -> None:
        self._marks = marks
        self._any_prompt = any_prompt
        self._new = bytearray()
        self._said = bytearray()
        self.has_started = False
        self.is_missing = False

    @property
    def said(self) -> bytes:
        """Text that is none of ours, the end of it if there was much."""
        return last_bytes(bytes(self._said + self._new), MAX_SAID_BYTES)

    @property
    def lately(self) -> bytes:
        """The last of it."""
        return bytes(self._said[-MAX_PROMPT_BYTES:] + self._new[-MAX_PROMPT_BYTES:])

    def find_end(self, data: bytes) -> bytes | None:
        """Take bytes in; return those behind the mark of the inner script once it has come."""
        self._new += data
        if not self.has_started and self._pass(self._marks.started.text):
            self.has_started = True
            self._said.clear()  # of start-up files, which have no part in it
        self.is_missing = self.is_missing or self._marks.missing.text in self._new
        place = self._new.find(self._marks.became.text)
        if place < 0:
            self._forget()
            return None
        rest = bytes(self._new[place + len(self._marks.became.text) :])
        del self._new[place:]
        return rest

    def asks(self) -> bool:
        """Tell whether a password is asked for, once for each time that it is."""
        if self._pass(self._marks.question.text):
            return True
        if not self._any_prompt or not self.has_started:
            return False
        last_line = self._new[-MAX_PROMPT_BYTES:].rpartition(b"\n")[2]
        if not _PASSWORD.search(last_line):
            return False
        self._said += self._new + b"\n"
        self._new.clear()
        return True

    def _pass(self, mark: bytes) -> bool:
        """Go past a mark, if it is there."""
        place = self._new.find(mark)
        if place < 0:
            return False
        self._said += self._new[:place]
        del self._new[: place + len(mark)]
        return True

    def _forget(self) -> None:
        if len(self._new) > 2 * MAX_SAID_BYTES:
            del self._new[:-_KEPT_BYTES]
        if len(self._said) > 2 * MAX_SAID_BYTES:
            del self._said[:-_KEPT_BYTES]


class BecomeDialogue:
    """
    Becomes another user; implements `fleetctl.model.dialogue.Dialogue`.

    Nothing is written before a password is asked for in the words that sudo was given, which no
    other program knows; su and doas take no such words, so there it is the first thing they say
    that is not a whole line. The password is written once at most. What is said before the inner
    script's mark is dropped, what follows it is left untouched.

    Args:
        attempt: What is tried; says what went wrong.
        ask: The program may ask for the password, which is written then; else, and where there is
            none, asking is the end.
        then: Has the conversation afterwards; without one, what follows is output.
        limit_s: For becoming.
        leave_s: For the program to end by itself when it is to become nobody.

    Attributes:
        was_asked: A password was asked for.
        is_refused: It is known that nobody is become.
        has_become: The mark has come: whatever follows is the command's.
    """

    def __init__(
        self,
        attempt: Attempt,
        marks: Marks,
        *,
        ask: bool,
        has_pty: bool,
        then: Dialogue | None = None,
        limit_s: float = LIMIT_S,
        leave_s: float = LEAVE_S,
    ) -> None:
        self.was_asked = False
        self.is_refused = False
        self.has_become = False
        self._attempt = attempt
        self._password = attempt.password if ask else None
        self._then = then
        self._limit_s = limit_s
        self._leave_s = leave_s
        self._talk: Stream = "stdout" if has_pty else "stderr"
        any_prompt = attempt.become.method != "sudo"
        streams: tuple[Stream, ...] = ("stdout",) if has_pty else ("stdout", "stderr")
        self._heard = {
            stream: Heard(marks, any_prompt=any_prompt and stream == self._talk)
            for stream in streams
        }
        self._rest: deque[tuple[Stream, bytes]] = deque()
        self._rest_bytes = 0

    async def hold(self, conversation: Conversation) -> None:
        """
        Become, and then talk as the other dialogue does.

        Raises:
            FleetError: ``become.denied``, ``become.timeout``, ``become.unavailable``; what the
                other dialogue raises.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                await self._become(conversation)
        except TimeoutError:
            failure = self._timed_out()
            await self._leave(conversation)
            raise failure from None
        self.has_become = True
        if self._then is not None:
            await self._then.hold(_Continued(conversation, self._rest))

    async def _become(self, conversation: Conversation) -> None:
        missing = set(self._heard)
        while missing:
            piece = await conversation.read()
            if piece is None:
                raise self._refused()
            stream, data = piece
            heard = self._heard.get(stream)
            if heard is None:
                continue  # a terminal has one stream; this one is nobody's
            if stream not in missing:
                self._take(conversation, stream, data)
                continue
            rest = heard.find_end(data)
            if rest is not None:
                missing.discard(stream)
                self._take(conversation, stream, rest)
            elif stream == self._talk and heard.asks():
                await self._answer(conversation)
            elif stream == self._talk and self._attempt.is_hopeless(heard.lately):
                await self._leave(conversation)
                raise self._refused()

    async def _answer(self, conversation: Conversation) -> None:
        line = None if self._password is None else f"{self._password.reveal()}\n".encode()
        if self.was_asked or line is None:
            is_wrong, self.was_asked = self.was_asked, True
            await self._leave(conversation)
            raise self._refused(is_wrong=is_wrong)
        self.was_asked = True
        await conversation.write(line)

    async def _leave(self, conversation: Conversation) -> None:
        """Let the program end by itself: it writes to the log of the host what happened."""
        conversation.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._leave_s):
                while (piece := await conversation.read()) is not None:
                    heard = self._heard.get(piece[0])
                    if heard is not None:
                        heard.find_end(piece[1])

    def _take(self, conversation: Conversation, stream: Stream, data: bytes) -> None:
        """What the command writes before both of its streams have begun."""
        if self._then is None:
            conversation.keep(stream, data)
            return
        if data:
            self._rest.append((stream, data))
        self._rest_bytes += len(data)
        if self._rest_bytes > MAX_REST_BYTES:
            raise self._refused()

    def _refused(self, *, is_wrong: bool = False) -> FleetError:
        self.is_refused = True
        talk = self._heard[self._talk]
        if talk.is_missing:
            return self._attempt.no_program()
        said = b"\n".join(heard.said for heard in self._heard.values())
        if not talk.has_started:
            return self._attempt.not_begun(said)
        return self._attempt.refused(said, was_asked=self.was_asked, is_wrong=is_wrong)

    def _timed_out(self) -> FleetError:
        return self._attempt.timed_out(self._heard[self._talk].said, self._limit_s)


class _Continued:
    """A conversation of which some pieces were read ahead; implements `Conversation`."""

    def __init__(self, conversation: Conversation, ahead: deque[tuple[Stream, bytes]]) -> None:
        self._conversation = conversation
        self._ahead = ahead
        self.keep = conversation.keep
        self.write = conversation.write
        self.write_eof = conversation.write_eof
        self.resize = conversation.resize

    async def read(self) -> tuple[Stream, bytes] | None:
        return self._ahead.popleft() if self._ahead else await self._conversation.read()
