"""
Drives one run: takes the engine's events to the screen, and signals to the engine.

Which engine and which sinks is decided in `fleetctl.wiring`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from fleetctl.cli.batches import in_batches
from fleetctl.cli.interruption import Interruption, Stage
from fleetctl.cli.invocation import StoppableEngine
from fleetctl.model.events import Event, HostFinished, HostStarted, Notice, RunFinished
from fleetctl.model.run import Run

EXIT_CLOSED = 141

#: Seconds between two looks at the clock of the progress line.
TICK_S = 0.2
#: What standard output gets to take the rest, once the run was told to end.
LAST_WRITE_S = 5.0
#: What a history that is slow gets to take a result before it is shown, once the run is to end.
LAST_RECORD_S = 2.0
#: Events that a history keeps.
_RECORDED = (HostFinished, Notice, RunFinished)


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


class Writing(Protocol):
    """What was shown, on its way to a reader who may be slow or take nothing at all."""

    @property
    def has_room(self) -> bool:
        """Whether more should be shown now."""
        ...

    async def room(self) -> None:
        """Wait until there is room, or nothing can be written any more."""
        ...

    async def drained(self) -> None:
        """Wait until everything is written, or nothing can be written any more."""
        ...

    def give_up(self) -> int:
        """Forget what is not written; return how many bytes of results that were."""
        ...

    def watched(self) -> AbstractContextManager[None]:
        """Let the running loop do the writing meanwhile."""
        ...


class Drive:
    """
    One run on its way.

    Only a few events are taken from the engine while the reader is slow (F53), until the run is
    told to end.

    Args:
        writing: Where the screen's output goes, if it can make anybody wait.
        record: Keeps events before they are shown; None to keep nothing.

    Attributes:
        running: Names of the hosts that were started and have not finished, in that order.
    """

    def __init__(
        self,
        engine: StoppableEngine,
        screen: Screen,
        *,
        fold: Callable[[Iterable[str]], str],
        writing: Writing | None = None,
        record: Callable[[Sequence[Event]], Awaitable[None]] | None = None,
    ) -> None:
        self.running: dict[str, None] = {}
        self._engine = engine
        self._screen = screen
        self._fold = fold
        self._writing = writing
        self._record = record
        self._is_over = False
        self._is_closed = False
        self._ending = asyncio.Event()
        self._interruption = Interruption(on_stage=self._on_stage, last_words=self._last_words)

    async def execute(self, run: Run) -> int:
        """
        Execute the run to its end, whatever interrupts it.

        Returns:
            The exit code: an interruption wins over everything, a closed stdout over results.
        """
        with self._interruption.installed(), self._watched_writing(), self._ticking():
            try:
                async with aclosing(in_batches(self._engine.execute(run))) as batches:
                    async for batch in batches:
                        events = [self._completed(event) for event in batch]
                        await self._keep(events)
                        for event in events:
                            self._take(event)
                            await self._wait_for_room()
            finally:
                self._is_over = True
                self._screen.close()
                await self._write_rest()
        if self._screen.is_closed and self._interruption.signal_name is None:
            return EXIT_CLOSED
        return self._screen.exit_code()

    def _completed(self, event: Event) -> Event:
        if isinstance(event, RunFinished):
            return replace(event, interrupted_by=self._interruption.signal_name)
        return event

    async def _keep(self, events: Sequence[Event]) -> None:
        """Have results recorded before anybody sees them."""
        if self._record is None:
            return
        kept = [event for event in events if isinstance(event, _RECORDED)]
        if kept:
            await self._until_ending(_awaited(self._record(kept)), grace_s=LAST_RECORD_S)

    def _take(self, event: Event) -> None:
        match event:
            case HostStarted():
                self.running[event.host.name] = None
            case HostFinished():
                self.running.pop(event.result.host.name, None)
            case RunFinished():
                self._is_over = True
                event = self._completed(event)  # its output may have waited since
        self._screen.handle(event)
        self._look_at_reader()

    def _look_at_reader(self) -> None:
        if self._screen.is_closed and not self._is_closed:
            self._is_closed = True
            # Nobody reads the results any more: finish what runs, start nothing new (F54).
            self._engine.stop()

    async def _wait_for_room(self) -> None:
        writing = self._writing
        if writing is not None and not (writing.has_room or self._ending.is_set()):
            await self._until_ending(writing.room())

    async def _write_rest(self) -> None:
        """Wait for a reader as long as it takes; after the run was told to end, not for long."""
        writing = self._writing
        if writing is None:
            return
        await self._until_ending(writing.drained(), grace_s=LAST_WRITE_S)
        lost = writing.give_up()
        if lost:
            message = f"nobody took the rest of the output: {lost} bytes were not written"
            self._say("run.unwritten", message, hint=None)

    async def _until_ending(self, work: Coroutine[None, None, None], grace_s: float = 0.0) -> None:
        """Do work until it is done, or a while after the run was told to end."""
        ending = asyncio.ensure_future(self._ending.wait())
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, ending), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait((task,), timeout=grace_s)
        finally:
            ending.cancel()
            task.cancel()
            await asyncio.wait((task, ending))

    def _on_stage(self, stage: Stage) -> None:
        if stage is Stage.ENDING:
            self._ending.set()
        if self._is_over:
            if stage is Stage.STOPPING and self._writing is not None:
                message = "the run is over; its output is still being written"
                self._say("run.writing", message, hint="Ctrl-C again gives it up")
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

    def _watched_writing(self) -> AbstractContextManager[None]:
        return nullcontext() if self._writing is None else self._writing.watched()

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        async def tick() -> None:
            while True:
                await asyncio.sleep(TICK_S)
                self._screen.tick()
                self._look_at_reader()

        ticker = asyncio.get_running_loop().create_task(tick())
        try:
            yield
        finally:
            ticker.cancel()


async def _awaited(what: Awaitable[None]) -> None:
    await what
