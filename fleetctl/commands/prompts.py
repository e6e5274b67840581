"""
Knowing when a shell on a terminal waits for the next line: by a prompt of ours, or by a given one.
"""

from __future__ import annotations

import re
from time import thread_time
from typing import Protocol

import regex

from fleetctl.expect.terminal_text import TerminalText
from fleetctl.model.errors import FleetError

#: Held back until the first prompt of ours.
MOST_HELD_BYTES = 64 * 1024
#: Looked at for a given prompt: the end of a line that is not finished.
MOST_CHARACTERS = 512
#: Seconds of CPU that a regular expression may take on that once, and until the prompt comes; one
#: that is quick may look as often as it likes.
MAX_LOOK_S = 0.1
MAX_LOOKS_S = 1.0
_QUICK_S = 0.001


class Prompt(Protocol):
    """
    Watches what a shell writes.

    Attributes:
        is_shown: The prompt has come since `forget`, and nothing behind it.
        exit_status: Of the last command, if the prompt says it.
    """

    is_shown: bool
    exit_status: int | None

    @property
    def setup(self) -> tuple[bytes, ...]:
        """Lines to type first, each with its newline."""
        ...

    @property
    def hint(self) -> str:
        """What to do if it never comes."""
        ...

    def take(self, data: bytes) -> bytes:
        """
        Look at what came; return what of it is output.

        Raises:
            FleetError: ``expect.failed``: it takes too long.
        """
        ...

    def forget(self) -> None:
        """The next one counts."""
        ...

    def rest(self) -> bytes:
        """Return what was held back, when nothing more will come."""
        ...


class OwnPrompt:
    """
    Sets prompts that nobody can mistake, and leaves them out of the output.

    They tell the exit status of each command. What the shell wrote before the first of them is no
    output, unless there is none or it is very much. For shells of the POSIX family and zsh.

    Args:
        token: A random word of letters and digits.
    """

    hint = (
        "is its login shell a POSIX sh, bash, ksh or zsh? for another say what its prompt looks "
        "like: --prompt-regex REGEX"
    )

    def __init__(self, token: str) -> None:
        self.is_shown = False
        self.exit_status: int | None = None
        self._token = token
        # One that was printed with ``set`` shows its ``$?``, which is no number; and ksh expands
        # nothing in the prompt for the next line of a command, which counts at the end only.
        self._pattern = re.compile(token.encode() + rb":(?:(\d{1,3}):|\+:\Z)")
        self._held = b""
        self._was_shown = False

    @property
    def setup(self) -> tuple[bytes, ...]:
        """
        Lines of their own, because a mistake for one shell is only a line for another.

        Without line editing the terminal stays as it is, and nothing is typed back. What is typed
        must not look like the prompt itself.
        """
        middle = len(self._token) // 2
        token = f"'{self._token[:middle]}''{self._token[middle:]}:'"
        return (
            b"set +o emacs +o vi 2>/dev/null\n",
            b"unsetopt zle prompt_cr prompt_sp 2>/dev/null\n",
            b"setopt prompt_subst 2>/dev/null\n",
            # zsh without line editing has the terminal echo.
            b"stty -echo -onlcr 2>/dev/null\n",
            f"PROMPT_COMMAND=; PS2={token}'+:'; PS1={token}'$?:'\n".encode(),
        )

    def take(self, data: bytes) -> bytes:
        data = self._held + data
        output, end = [], 0
        for found in self._pattern.finditer(data):
            if self._was_shown:
                output.append(data[end : found.start()])
            end = found.end()
            self._was_shown = True
            if found[1]:
                self.exit_status = int(found[1])
        self.is_shown = self.is_shown or end > 0
        rest = data[end:]
        if not self._was_shown:
            place = max(0, len(rest) - MOST_HELD_BYTES)
            self._held = rest[place:]
            return rest[:place]
        place = self._beginning(rest)
        self._held = rest[place:]
        return b"".join([*output, rest[:place]])

    def forget(self) -> None:
        self.is_shown = False

    def rest(self) -> bytes:
        rest, self._held = self._held, b""
        return rest

    def _beginning(self, data: bytes) -> int:
        """Return where a prompt may begin of which only a part has come."""
        token = self._token.encode()
        for place in range(max(0, len(data) - len(token) - 5), len(data)):
            tail = data[place:]
            if token.startswith(tail) or re.fullmatch(token + rb":(\d{0,3}|\+)", tail):
                return place
        return len(data)


class GivenPrompt:
    """
    Waits for a prompt that somebody has described; everything is output.

    Args:
        pattern: Matches the end of a line that is not finished, colours and the like left out.
    """

    hint = "--prompt-regex must match the prompt up to its end, spaces behind it left out"
    setup: tuple[bytes, ...] = ()

    def __init__(self, pattern: str) -> None:
        self.is_shown = False
        self.exit_status: int | None = None
        self._regex = regex.compile(rf"(?:{pattern})\s*\Z")
        self._text = TerminalText(strips_ansi=True)
        self._line = ""
        self._spent_s = 0.0

    def take(self, data: bytes) -> bytes:
        text = self._line + self._text.add(data)
        self._line = text.rpartition("\n")[2].rpartition("\r")[2][-MOST_CHARACTERS:]
        before_s = thread_time()
        try:
            found = self._regex.search(self._line, timeout=MAX_LOOK_S)
        except TimeoutError:
            raise _too_slow() from None
        self._spent_s += max(0.0, thread_time() - before_s - _QUICK_S)
        if self._spent_s > MAX_LOOKS_S:
            raise _too_slow()
        self.is_shown = found is not None and self._line != ""
        return data

    def forget(self) -> None:
        self.is_shown = False
        self._line = ""
        self._spent_s = 0.0

    def rest(self) -> bytes:
        return b""


def _too_slow() -> FleetError:
    return FleetError(
        "expect.failed",
        "the regex of the prompt takes too long on what the host writes",
        hint="leave out nested repetitions, such as (a+)+",
    )


def problem_of_pattern(pattern: str) -> str | None:
    """Say why a regular expression cannot describe a prompt; None if it can."""
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        return f"not a regular expression: {error}"
    if compiled.fullmatch("") is not None:
        return "it matches nothing at all, so it would match at once"
    return None
