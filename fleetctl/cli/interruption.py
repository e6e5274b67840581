"""
What Ctrl-C, SIGTERM and SIGHUP do during a run.

First Ctrl-C: nothing new is started. Second, or SIGTERM, or SIGHUP: what runs is ended too.
One more Ctrl-C: leave at once. How a run is stopped is the engine's business.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from types import FrameType

EXIT_INTERRUPTED = 130


class Stage(IntEnum):
    """How far a run has been interrupted; never goes back."""

    RUNNING = 0
    STOPPING = 1
    ENDING = 2


class Interruption:
    """
    Counts signals and tells the run what they mean.

    Attributes:
        stage: How far it has come.
        signal_name: ``INT``, ``TERM`` or ``HUP``, the last one that changed the stage, or None.
    """

    def __init__(
        self,
        *,
        on_stage: Callable[[Stage], None],
        last_words: Callable[[], str],
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        """
        Args:
            on_stage: Called on the loop with each new stage.
            last_words: What to say on stderr when leaving at once; must not block.
            leave: Ends the process with that exit code.
        """
        self.stage = Stage.RUNNING
        self.signal_name: str | None = None
        self._on_stage = on_stage
        self._last_words = last_words
        self._leave = leave

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals while the block runs; those that are ignored stay ignored (nohup)."""
        loop = asyncio.get_running_loop()

        def handle(number: int, _frame: FrameType | None) -> None:
            self.receive(signal.Signals(number).name.removeprefix("SIG"), loop.call_soon_threadsafe)

        before = {
            number: signal.getsignal(number)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        # loop.add_signal_handler would be deaf while a write to a full pipe blocks the loop.
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def receive(self, name: str, call_soon: Callable[..., object]) -> None:
        """
        Take a signal; called in its handler, so it only notes it and wakes the loop.

        Args:
            name: ``INT``, ``TERM`` or ``HUP``.
            call_soon: Has the loop call a function with its arguments, and wakes it.
        """
        if name == "INT" and self.stage is Stage.ENDING:
            # No buffered stream here: the signal may have come in the middle of a write.
            # And none for a terminal that takes nothing: it would keep us here.
            with suppress(OSError):
                if select.select((), (2,), (), 0)[1]:
                    os.write(2, self._last_words().encode(errors="backslashreplace"))
            self._leave(EXIT_INTERRUPTED)
        stage = Stage.ENDING if name != "INT" or self.stage is Stage.STOPPING else Stage.STOPPING
        if stage > self.stage:
            self.stage = stage
            self.signal_name = name
            call_soon(self._on_stage, stage)
