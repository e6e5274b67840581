"""
Records one run while it goes on: what may have run before it runs, and results before they are
shown.

All that comes within a few milliseconds is one commit. What blocks is called in threads, one call
at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from fleetctl.model.events import Event, HostFinished, Notice, RunFinished
from fleetctl.model.host import Host
from fleetctl.model.run import Run
from fleetctl.store.calls import to_its_end
from fleetctl.store.facts import (
    FindStranger,
    InThread,
    Redact,
    Retention,
    RunFacts,
    StoreLimits,
    StoreLocation,
)

if TYPE_CHECKING:
    from fleetctl.store.patience import PatientWriter
    from fleetctl.store.writer import Batch

P = ParamSpec("P")
T = TypeVar("T")

#: Time from one commit to the next where many hosts come; so long waits a host at most for others.
PACE_S = 0.02
#: Where no more hosts than that are under way, nobody is waited for: there are no others to come.
FEW = 2


class Recorder:
    """
    The record of one run, and the `fleetctl.model.ports.Journal` of its engine.

    `start` comes first and `finish` last, always. All calls belong to the loop's thread. Nothing
    but `start` raises: what cannot be recorded is warned of at once, held in memory, tried again,
    and in the end `lost`.

    Args:
        location: Where the store is.
        in_thread: Calls what blocks.
        find_stranger: Says who besides the user can change what stands at a path, or None.
        redact: Takes secrets out of bytes; None if there are none.
        limits: None for the usual ones.
        retention: What is forgotten at the end of the run; None for nothing.
        warn: Told what the operator should know at once, a line each time.
    """

    def __init__(
        self,
        location: StoreLocation,
        *,
        in_thread: InThread,
        find_stranger: FindStranger,
        redact: Redact | None = None,
        limits: StoreLimits | None = None,
        retention: Retention | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._location = location
        self._in_thread = in_thread
        self._find_stranger = find_stranger
        self._redact = redact
        self._limits = limits or StoreLimits()
        self._retention = retention
        self._warn = warn or (lambda _: None)
        self._lost: str | None = None
        self._positions: dict[str, int] = {}
        self._recorded: set[str] = set()
        self._writer: PatientWriter | None = None
        self._batches: _Batches | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def lost(self) -> str | None:
        """What is not in the store after `finish`, in words (exit code 6); None if all is."""
        return self._lost

    async def start(self, run: Run, facts: RunFacts) -> None:
        """
        Record that the run begins, and its hosts; before the engine is told to.

        Raises:
            UsageError: Others could write to the place, it is not ours, or of a newer version.
                Nothing was written; `finish` is not needed.
        """
        writer, empty = await self._blocking(self._open_writer, run, facts)
        self._positions = {one.host.name: n for n, one in enumerate(run.assignments)}
        self._writer, self._batches = writer, _Batches(empty)
        self._pass_on_remarks(writer)
        self._task = asyncio.get_running_loop().create_task(self._write(writer, self._batches))

    async def starting(self, host: Host) -> None:
        """
        Record that a command is about to leave for the host.

        When it returns, nobody can say any more that the command did not run; a result can.
        """
        position = self._positions.get(host.name)
        if position is None or host.name in self._recorded or self._batches is None:
            return
        self._batches.next.starts.append(position)
        self._batches.under_way.add(host.name)
        await self._batches.written()
        self._recorded.add(host.name)

    async def record(self, events: Iterable[Event]) -> None:
        """
        Record what is to be kept of these events; when it returns, they may be shown.

        Output as it comes is not kept: the result of the host has it.
        """
        if self._batches is None:
            return
        batch = self._batches.next
        is_new = False
        for event in events:
            match event:
                case HostFinished():
                    batch.results.append((event.result, event.at))
                    self._batches.under_way.discard(event.result.host.name)
                case Notice():
                    batch.notices.append(event)
                case RunFinished():
                    batch.end = event
                case _:
                    continue
            is_new = True
        if is_new:
            await self._batches.written()

    async def finish(self, exit_code: int | None = None) -> None:
        """
        Try once more what could not be recorded, and let go of the store.

        Args:
            exit_code: Of the command, as far as it is known.
        """
        writer, batches, task = self._writer, self._batches, self._task
        if writer is None or batches is None or task is None:
            return
        self._writer = self._batches = self._task = None
        batches.close()
        loop = asyncio.get_running_loop()
        await to_its_end(loop.create_task(self._finish(writer, task, exit_code)))

    async def _finish(
        self, writer: PatientWriter, task: asyncio.Task[None], exit_code: int | None
    ) -> None:
        await asyncio.wait([task])
        await self._blocking(writer.close, exit_code, self._retention)
        self._pass_on_remarks(writer)
        self._lost = writer.lost
        if self._lost is not None:
            self._warn(self._lost)

    async def _write(self, writer: PatientWriter, batches: _Batches) -> None:
        async with aclosing(batches.filled()) as filled:
            async for batch in filled:
                await self._blocking(writer.write, batch)
                self._pass_on_remarks(writer)

    def _pass_on_remarks(self, writer: PatientWriter) -> None:
        for remark in writer.take_remarks():
            self._warn(remark)

    def _open_writer(self, run: Run, facts: RunFacts) -> tuple[PatientWriter, Callable[[], Batch]]:
        """Import what writing needs, which takes a moment, and begin the run."""
        from fleetctl.store.database import make_database
        from fleetctl.store.patience import PatientWriter
        from fleetctl.store.rows import Cleaner
        from fleetctl.store.writer import Batch, RunWriter

        writer = RunWriter(
            make_database(
                self._location, find_stranger=self._find_stranger, lock_s=self._limits.lock_s
            ),
            self._location.folder,
            run,
            facts,
            cleaner=Cleaner(self._redact),
            limits=self._limits,
            started_at=datetime.now(UTC),
        )
        patient = PatientWriter(writer, self._limits)
        try:
            patient.open()
        except BaseException:
            patient.close()
            raise
        return patient, Batch

    async def _blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread; whoever is cancelled meanwhile waits for its end: it uses the store."""
        return await to_its_end(self._in_thread(function, *args, **kwargs))


class _Batches:
    """
    What is to be written: one batch is filled while the one before is on its way.

    Attributes:
        next: What is written next.
        under_way: Names of hosts that started, and have no result.
    """

    def __init__(self, empty: Callable[[], Batch]) -> None:
        self.next = empty()
        self.under_way: set[str] = set()
        self._empty = empty
        self._waiters: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._is_closed = self._is_over = False

    async def written(self) -> None:
        """Wait until what is in the next batch now was written, or is held for later."""
        if self._is_over:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake.set()
        await waiter

    async def filled(self) -> AsyncGenerator[Batch, None]:
        """
        Yield batches until the last; one is done when the next is asked for, whatever became of it.
        """
        loop = asyncio.get_running_loop()
        begun_at = loop.time() - PACE_S
        try:
            while not (self._is_closed and not self.next and not self._waiters):
                await self._wake.wait()
                self._wake.clear()
                if not self._is_closed and len(self.under_way) > FEW:
                    await asyncio.sleep(begun_at + PACE_S - loop.time())
                begun_at = loop.time()
                batch, self.next = self.next, self._empty()
                waiters, self._waiters = self._waiters, []
                try:
                    if batch:
                        yield batch
                finally:
                    _release(waiters)
        finally:
            self._is_over = True
            _release(self._waiters)

    def close(self) -> None:
        """Nothing more will come."""
        self._is_closed = True
        self._wake.set()


def _release(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():  # who waited may have been cancelled
            waiter.set_result(None)
