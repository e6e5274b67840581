"""
Where somebody sits: three standard streams, of which the first may be a terminal.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from fleetctl.model.operation import Pty
from fleetctl.model.settings import HostSettings
from fleetctl.terminal.dialogue import TerminalDialogue
from fleetctl.terminal.screen import Screen


class Seat:
    """
    Has a session with one host after the other.

    Args:
        term: What TERM says; empty or None if nothing.
        on_held: Told True when the terminal is taken, and False when it is given back.

    Attributes:
        is_closed: Nobody reads our standard output any more.
    """

    def __init__(
        self,
        *,
        term: str | None,
        stdin: int = 0,
        stdout: int = 1,
        stderr: int = 2,
        on_held: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.is_closed = False
        self._term = term or "dumb"
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._on_held = on_held

    def pty(self, settings: HostSettings) -> Pty | None:
        """
        Return the pseudo-terminal to ask for: one like ours, if our input is a terminal.

        Source: ssh_config(5), RequestTTY.
        """
        if settings.request_tty == "no":
            return None
        if os.isatty(self._stdin):
            return Screen(self._stdin).as_pty(self._term)
        return Pty(term=self._term, modes={}) if settings.request_tty == "force" else None

    def dialogue(self, settings: HostSettings) -> TerminalDialogue:
        """Return the one that goes with `pty`; escapes are for people at a terminal only."""
        has_screen = settings.request_tty != "no" and os.isatty(self._stdin)
        return TerminalDialogue(
            stdin=self._stdin,
            stdout=self._stdout,
            stderr=self._stderr,
            screen=Screen(self._stdin, self._on_held) if has_screen else None,
            escape=escape_key(settings.escape_char) if has_screen else None,
            on_closed=self._close,
        )

    def _close(self) -> None:
        self.is_closed = True


def escape_key(setting: str) -> int | None:
    """
    Return the code of the escape character; None for ``none``.

    >>> escape_key("^]")
    29

    Source: ssh_config(5), EscapeChar.
    """
    if setting == "none":
        return None
    return ord(setting) if len(setting) == 1 else ord(setting[1]) & 0x1F
