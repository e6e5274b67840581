"""
Drives one run: takes the engine's events to the screen, and signals to the engine.

Which engine and which sinks is decided in `fleetctl.wiring`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from fleetctl.cli.interruption import Interruption, Stage
from fleetctl.cli.invocation import StoppableEngine
from fleetctl.model.events import Event, HostFinished, HostStarted, Notice, RunFinished
from fleetctl.model.run import Run

EXIT_CLOSED = 141

#: Seconds between two looks at the clock of the progress line.
TICK_S = 0.2


class Screen(Protocol):
    """Where events go."""

    @property
    def is_closed(self) -> bool:
        """Whether the reader of standard output has left."""
        ...

    def handle(self, event: Event) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...

    def exit_code(self) -> int:
        """Return what the results so far ask for."""
        ...


class Drive:
    """
    One run on its way.

    Attributes:
        running: Names of the hosts that were started and have not finished, in that order.
    """

    def __init__(
        self, engine: StoppableEngine, screen: Screen, *, fold: Callable[[Iterable[str]], str]
    ) -> None:
        self.running: dict[str, None] = {}
        self._engine = engine
        self._screen = screen
        self._fold = fold
        self._is_over = False
        self._interruption = Interruption(on_stage=self._on_stage, last_words=self._last_words)

    async def execute(self, run: Run) -> int:
        """
        Execute the run to its end, whatever interrupts it.

        Returns:
            The exit code: an interruption wins over everything, a closed stdout over results.
        """
        with self._interruption.installed(), self._ticking():
            try:
                async with aclosing(self._engine.execute(run)) as events:
                    async for event in events:
                        self._take(event)
            finally:
                self._is_over = True
                self._screen.close()
        if self._screen.is_closed and self._interruption.signal_name is None:
            return EXIT_CLOSED
        return self._screen.exit_code()

    def _take(self, event: Event) -> None:
        match event:
            case HostStarted():
                self.running[event.host.name] = None
            case HostFinished():
                self.running.pop(event.result.host.name, None)
            case RunFinished():
                self._is_over = True
                event = replace(event, interrupted_by=self._interruption.signal_name)
        was_closed = self._screen.is_closed
        self._screen.handle(event)
        if self._screen.is_closed and not was_closed:
            # Nobody reads the results any more: finish what runs, start nothing new (F54).
            self._engine.stop()

    def _on_stage(self, stage: Stage) -> None:
        if self._is_over:
            return
        running = self._running_names() or "no host"
        if stage is Stage.STOPPING:
            self._engine.stop()
            self._say(
                "run.stopping",
                f"stopping: nothing new is started; still running: {running}",
                hint="Ctrl-C again ends them",
            )
        else:
            self._engine.cancel()
            self._say("run.ending", f"ending what still runs: {running}", hint=None)

    def _say(self, kind: str, message: str, *, hint: str | None) -> None:
        self._screen.handle(Notice(kind, message, datetime.now(UTC), hint=hint))

    def _last_words(self) -> str:
        names = self._running_names()
        rest = f"may still run on {names}" if names else "nothing was running"
        return f"\nfleetctl: left at once; {rest}\n"

    def _running_names(self) -> str:
        names = list(self.running)
        return f"{self._fold(names)} ({len(names)})" if names else ""

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        async def tick() -> None:
            while True:
                await asyncio.sleep(TICK_S)
                self._screen.tick()

        ticker = asyncio.get_running_loop().create_task(tick())
        try:
            yield
        finally:
            ticker.cancel()
