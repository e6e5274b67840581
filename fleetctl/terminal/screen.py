"""
The terminal somebody sits at, while a session has it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from fleetctl.model.operation import Pty
from fleetctl.terminal.modes import Attributes, encode_modes, raw_attributes

_DEFAULT_SIZE = (80, 24)


class Screen:
    """
    A terminal that is raw while it is held, and as before afterwards, whatever happens.

    Args:
        fd: The terminal; stays open.
        on_held: Told True when it is taken, and False when it is given back.
    """

    def __init__(self, fd: int, on_held: Callable[[bool], None] = lambda _: None) -> None:
        self._fd = fd
        self._on_held = on_held
        self._before: Attributes | None = None

    def size(self) -> tuple[int, int]:
        """Return columns and rows; 80 and 24 for a terminal that does not know its size."""
        rows, columns = termios.tcgetwinsize(self._fd)
        return (columns, rows) if columns and rows else _DEFAULT_SIZE

    def as_pty(self, term: str) -> Pty:
        """Return the pseudo-terminal that is like this one."""
        columns, rows = self.size()
        modes = encode_modes(termios.tcgetattr(self._fd))
        return Pty(term=term, columns=columns, rows=rows, modes=modes)

    @contextmanager
    def held(self, on_resize: Callable[[int, int], None]) -> Iterator[None]:
        """
        Make it raw and watch its size while the block runs.

        Args:
            on_resize: Told columns and rows whenever they may have changed; at the start, too.

        Being stopped by a signal gives the terminal back, and continuing takes it again. For the
        main thread, which is the only one that gets signals.
        """
        loop = asyncio.get_running_loop()

        def resized() -> None:
            with suppress(termios.error):  # the terminal is gone; its reader finds out
                on_resize(*self.size())

        def continued() -> None:
            self._take()
            resized()

        handlers: Mapping[int, Callable[[], None]] = {
            signal.SIGWINCH: resized,
            signal.SIGTSTP: self.suspend,
            signal.SIGCONT: continued,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            continued()
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
            self._give_back()

    def suspend(self) -> None:
        """
        Stop this process until somebody continues it; nothing happens if nobody could.

        Source: the default of SIGTSTP, which orphaned process groups ignore.
        """
        loop = asyncio.get_running_loop()
        self._give_back()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self.suspend)
        self._take()

    def _take(self) -> None:
        self._on_held(True)
        with suppress(termios.error):
            now = termios.tcgetattr(self._fd)
            self._before = self._before or now
            # What was written before is not changed by it, and what was typed ahead is kept.
            termios.tcsetattr(self._fd, termios.TCSANOW, raw_attributes(now))

    def _give_back(self) -> None:
        before, self._before = self._before, None
        with suppress(termios.error, OSError):
            # Whoever is in front meanwhile has set it as they like.
            if before is not None and os.tcgetpgrp(self._fd) == os.getpgrp():
                termios.tcsetattr(self._fd, termios.TCSANOW, before)
        self._on_held(False)
