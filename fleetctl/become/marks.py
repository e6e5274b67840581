"""
Random texts that nobody else can have written, to find one's way through what a host says.

What is looked for never stands in the command line as such: a start-up file that shows commands
before they run (``set -v``, ``set -x``) would say it before its time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


def _token() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Mark:
    """A text that a script prints."""

    first: str = field(default_factory=_token)
    second: str = field(default_factory=_token)

    @property
    def command(self) -> str:
        """What prints it, in POSIX sh."""
        return f"printf %s%s {self.first} {self.second}"

    @property
    def text(self) -> bytes:
        """What is printed."""
        return f"{self.first}{self.second}".encode()


@dataclass(frozen=True, slots=True)
class Question:
    """
    The prompt that sudo is given.

    Source: sudo(8), ``-p``: two ``%`` stand for one; sudo-rs the same.
    """

    first: str = field(default_factory=_token)
    second: str = field(default_factory=_token)

    @property
    def argument(self) -> str:
        """What is written behind ``-p``."""
        return f"{self.first}%%{self.second} "

    @property
    def text(self) -> bytes:
        """What of it is looked for."""
        return f"{self.first}%{self.second}".encode()


@dataclass(frozen=True, slots=True)
class Marks:
    """
    The marks of one program on one host.

    Attributes:
        started: The script of the user who logged in has begun.
        missing: It found no program that changes the user.
        became: The command is next; on both streams, or on the terminal.
        question: The password is asked for.
    """

    started: Mark = field(default_factory=Mark)
    missing: Mark = field(default_factory=Mark)
    became: Mark = field(default_factory=Mark)
    question: Question = field(default_factory=Question)
