"""
Proof that it was our command that ran, and nothing else's output taken for its own.

What we start under a POSIX sh says a random word first, on both streams, and again when the
command's own output begins. Start-up files of shells may write before that, and a forced command
writes something else altogether.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream

#: From the login to the first sign of a command, start-up files of its shell included. For a
#: command that waits for its input: it gets none before it has shown that it is ours.
PATIENCE_S = 60.0
#: From the start on one stream to that on the other, should somebody have redirected it.
OTHER_STREAM_S = 5.0
#: Held per stream, until it is known whose it is.
MAX_HELD_BYTES = 128 * 1024

#: What a line with the random word says; any other word is a report.
BEGUN, READY, START, CUT = "begun", "ready", "start", "cut"
_LONGEST_LINE = 100


class Proof:
    """
    A `fleetctl.model.dialogue.Dialogue` that waits for a command of ours to show itself.

    What is written before the command starts is noise, and dropped; if the command never starts it
    is output. More than `MAX_HELD_BYTES` of it is output too.

    Args:
        token: The random word; nobody on the host can know it before.
        parts: Bytes for standard input, one for each time the command says that it is ready.
        has_stdin: More input follows, which is for the command alone.
        patience_s: How long to wait for a command that may wait for us.

    Attributes:
        has_begun: What we started runs: the login shell did as it was told.
        report: Why the command was not started, in a word of `fleetctl.commands.preparation`.
        noise: What was dropped, of each stream.
    """

    def __init__(
        self,
        token: str,
        *,
        parts: Sequence[bytes] = (),
        has_stdin: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.has_begun = False
        self.report: str | None = None
        self.noise: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._token = token.encode() + b" "
        # A shell that shows a mistake in a line shows what stands before the mistake, too.
        self._line = re.compile(self._token + rb"([a-z-]+)\r?\n")
        self._parts = list(parts)
        self._has_stdin = has_stdin
        self._patience_s = patience_s
        # Stream -> what came and is neither output nor noise yet.
        self._held: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._started: set[Stream] = set()

    @property
    def has_started(self) -> bool:
        """Whether the command itself runs."""
        return bool(self._started)

    async def hold(self, conversation: Conversation) -> None:
        """
        See `Dialogue`.

        Raises:
            FleetError: ``exec.refused``: there was no sign of the command for so long.
        """
        is_awaited = self._has_stdin or bool(self._parts)
        if not is_awaited:
            conversation.write_eof()  # whatever it is that runs
        try:
            async with asyncio.timeout(self._patience_s if is_awaited else None) as limit:
                while len(self._started) < len(self._held):
                    piece = await conversation.read()
                    if piece is None:
                        break
                    had_started = self.has_started
                    await self._take(conversation, *piece)
                    if self.has_started and not had_started:
                        limit.reschedule(asyncio.get_running_loop().time() + OTHER_STREAM_S)
        except TimeoutError:
            if not limit.expired():
                raise
        for stream, held in self._held.items():
            if held:
                conversation.keep(stream, held)
        if limit.expired() and not self.has_started:
            raise FleetError(
                "exec.refused",
                f"no sign of the command within {self._patience_s:g} s: another one runs in its "
                "place, or a start-up file of the shell waits for something",
                hint="see ForceCommand in its sshd_config, command= in its authorized_keys, and "
                "the start-up files of the account's shell",
            )

    async def _take(self, conversation: Conversation, stream: Stream, data: bytes) -> None:
        self._held[stream] += data
        while (word := self._next_word(stream)) is not None:
            self.has_begun = True
            if word == START:
                # On a terminal both lines come on the one stream there is.
                other: Stream = "stderr" if stream == "stdout" else "stdout"
                self._started.add(other if stream in self._started else stream)
            elif word == READY and self._parts:
                await conversation.write(self._parts.pop(0))
                if not self._parts and not self._has_stdin:
                    conversation.write_eof()
            elif word not in (BEGUN, READY):
                self.report = word
        held = self._held[stream]
        sure = len(held) if stream in self._started and not self._is_word(held) else 0
        if len(held) > MAX_HELD_BYTES:
            sure = max(sure, len(held) - _LONGEST_LINE)
        if sure:
            conversation.keep(stream, held[:sure])
            self._held[stream] = held[sure:]

    def _next_word(self, stream: Stream) -> str | None:
        """Return the word of the next line with the token, and drop all up to its end."""
        held = self._held[stream]
        found = self._line.search(held)
        if found is None or (found.start() and stream in self._started):
            return None
        if stream not in self._started:
            self.noise[stream] += held[: found.start()]
        self._held[stream] = held[found.end() :]
        return found[1].decode()

    def _is_word(self, held: bytes) -> bool:
        """Tell whether a second start on the same stream could begin here."""
        if len(self._started) == len(self._held):
            return False
        return held.startswith(self._token) or self._token.startswith(held)


def make_token() -> str:
    """Return a word that nobody can guess: letters and digits only."""
    return f"fleetctl{secrets.token_hex(16)}"


def say(token: str, word: str, *, both: bool = False) -> str:
    """
    Return what makes a POSIX sh say it: no byte in it means anything to any login shell between
    single quotes.
    """
    line = f'echo "{token} {word}"'
    return f"{line};{line} >&2" if both else line
