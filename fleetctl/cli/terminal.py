"""
Asking a person: one line from the controlling terminal, with or without echo.

Waits on the loop, in no thread, so that a question can be given up like any other wait. What is
asked, and what answers mean, is decided in `fleetctl.cli.secrets` and `fleetctl.cli.hostkey`.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

TERMINAL = "/dev/tty"
MAX_LINE_BYTES = 4096


class Person(Protocol):
    """Somebody who can be asked."""

    async def ask(self, question: str, *, echo: bool = True) -> str | None:
        """Return the answer, or None if there is none."""
        ...


class Terminal:
    """
    The controlling terminal. One question at a time; further ones wait for their turn.

    Attributes:
        is_asking: True while a question is on the screen; nothing else should be drawn then.
        before_question: Called before a question is written, to clear the line for it.
    """

    def __init__(self, path: str = TERMINAL) -> None:
        self.is_asking = False
        self.before_question: Callable[[], None] | None = None
        self._path = path
        self._turn = asyncio.Lock()

    @property
    def is_there(self) -> bool:
        """Whether there is a terminal to ask on."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return False
        return True

    async def ask(self, question: str, *, echo: bool = True) -> str | None:
        """
        Write a question and wait for a line.

        Args:
            question: Written as it is; text from hosts must be escaped before.
            echo: Show what is typed.

        Returns:
            The line without its newline, or None at end of file or without a terminal.
        """
        async with self._turn:
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                return None
            self.is_asking = True
            try:
                if self.before_question is not None:
                    self.before_question()
                with _echo(fd, on=echo):
                    os.write(fd, question.encode())
                    line = await _read_line(fd)
                    if not echo:
                        os.write(fd, b"\n")
            finally:
                self.is_asking = False
                os.close(fd)
        return line


@contextmanager
def _echo(fd: int, *, on: bool) -> Iterator[None]:
    before = termios.tcgetattr(fd)
    wanted = termios.tcgetattr(fd)
    if not on:
        wanted[3] &= ~termios.ECHO
    try:
        # What was typed ahead was not meant as the answer to a question about secrets.
        termios.tcsetattr(fd, termios.TCSADRAIN if on else termios.TCSAFLUSH, wanted)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def _read_line(fd: int) -> str | None:
    loop = asyncio.get_running_loop()
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fd, _wake, readable)
        try:
            await readable
        finally:
            loop.remove_reader(fd)
        part = os.read(fd, MAX_LINE_BYTES)
        if not part:
            return None if not line else line.decode(errors="surrogateescape")
        line += part
    return line.decode(errors="surrogateescape").rstrip("\r\n")


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
