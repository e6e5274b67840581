"""
A program that talks as a test says, and what it was told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from fleetctl.become.become import Become
from fleetctl.become.dialogue import BecomeDialogue
from fleetctl.become.marks import Marks
from fleetctl.become.refusal import Attempt
from fleetctl.model.secret import Secret


class Program:
    """
    A `Conversation` with a script: pieces of output, and functions that are called when it is
    their turn.

    Attributes:
        written: What it was told.
        kept: What became output.
        is_at_end: Its input has ended.
    """

    def __init__(self, *script) -> None:
        self.written = b""
        self.kept: list[tuple[str, bytes]] = []
        self.is_at_end = False
        self._script = deque(script)

    async def read(self):
        while self._script:
            step = self._script.popleft()
            if not callable(step):
                return step
            step(self)
        return None

    def unread(self):
        """Return what the script has left, which the connection makes output."""
        return list(self._script)

    def keep(self, stream, data) -> None:
        if data:
            self.kept.append((stream, data))

    async def write(self, data) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.is_at_end = True

    def resize(self, columns, rows) -> None:
        pass


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def dialogue(marks) -> Callable[..., BecomeDialogue]:
    """Make a dialogue for deploy on web01."""

    def make(method="sudo", password="geheim", **options):
        become = Become(method=method)
        attempt = Attempt(become, "deploy", None if password is None else Secret(password))
        options = {"ask": password is not None, "has_pty": False} | options
        return BecomeDialogue(attempt, marks, **options)

    return make
