"""
The engine of one process: runs a run's assignments on this loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from time import monotonic

from fleetctl.engine.admission import Admission
from fleetctl.engine.attempt import INTERRUPTED, attempt, never_started
from fleetctl.engine.ending import Ending
from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.places import Place, Places, most_lent
from fleetctl.engine.pool import Pool
from fleetctl.model.events import (
    Event,
    HostFinished,
    HostStarted,
    Notice,
    Output,
    RunFinished,
    RunStarted,
    Stream,
)
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.ports import Connector, Journal, OperationSecrets, OutputListener
from fleetctl.model.result import HostResult
from fleetctl.model.run import (
    DEFAULT_HANDSHAKES_PER_ENDPOINT,
    DEFAULT_MAX_HANDSHAKES,
    Assignment,
    Run,
)

_OUT_OF_TIME = "the run's total time was over"

#: While more than this is waiting to be taken out, nothing more is read from hosts that send live
#: output, and no other host is started.
HIGH_WATER_BYTES = 8 * 1024 * 1024

log = logging.getLogger(__name__)


class LocalEngine:
    """
    Runs runs, one after another or several at once, over one pool of connections.

    Args:
        keep_connections: Idle connections kept between operations and runs; 0 closes each
            after use.
        live_output: Yield an `Output` event for each piece of output as it comes.
        journal: Told before a command leaves.
        secrets: What operations may ask for.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        keep_connections: int = 256,
        live_output: bool = False,
        journal: Journal | None = None,
        secrets: OperationSecrets | None = None,
        max_handshakes: int = DEFAULT_MAX_HANDSHAKES,
        handshakes_per_endpoint: int = DEFAULT_HANDSHAKES_PER_ENDPOINT,
    ) -> None:
        gate = HandshakeGate(total=max_handshakes, per_endpoint=handshakes_per_endpoint)
        self._pool = Pool(connector, gate, keep=keep_connections)
        self._live_output = live_output
        self._journal = journal
        self._secrets = secrets
        self._runs: list[_RunState] = []

    async def execute(
        self, run: Run, *, watch: Callable[[HostResult], None] | None = None
    ) -> AsyncGenerator[Event, None]:
        """
        Yield the events of the run, in order.

        Every host of `RunStarted` gets exactly one `HostFinished`, then `RunFinished` ends it. An
        iterator that is closed early ends what is running first.

        Args:
            watch: Told each result of a host that was started, before another one starts.

        Raises:
            ValueError: A host has two assignments; nothing was started.
        """
        state = _RunState(
            run, self._pool, self._journal, self._secrets, watch, live_output=self._live_output
        )
        self._runs.append(state)
        try:
            async with aclosing(state.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._runs.remove(state)
            await state.end()

    def stop(self, why: str = INTERRUPTED, *, kind: str = "run.cancelled") -> None:
        """
        Start nothing new; what is at work goes on to its end, what only waits is ended.

        Args:
            why: A clause for the hosts that are not started, and `kind` of their failure.
        """
        for state in self._runs:
            state.stop(why, kind)

    def cancel(self) -> None:
        """Start nothing new and end what is running; every host still gets its result."""
        for state in self._runs:
            state.ending.ask(INTERRUPTED)
            state.cancel()

    def running(self) -> tuple[str, ...]:
        """Return the names of the hosts at work, in the order they came to it."""
        return tuple(name for state in self._runs for name in state.in_flight)

    async def aclose(self) -> None:
        """End what is running and close all connections."""
        for state in tuple(self._runs):
            await state.end()
        await self._pool.close()


class _RunState:
    """One run while it is running: workers put events into a buffer, `events` takes them out."""

    def __init__(
        self,
        run: Run,
        pool: Pool,
        journal: Journal | None,
        secrets: OperationSecrets | None,
        watch: Callable[[HostResult], None] | None,
        *,
        live_output: bool,
    ) -> None:
        self.run = run
        self.ending = Ending()
        self.in_flight: dict[str, None] = {}
        self._pool = pool
        self._journal = journal
        self._secrets = secrets
        self._watch = watch
        self._live_output = live_output
        self._buffer: deque[Event] = deque()
        self._buffered_bytes = 0
        # Done when there is room in the buffer again; None while there is.
        self._room: asyncio.Future[None] | None = None
        self._is_hurried = False  # nobody waits for room any more
        self._wake: asyncio.Future[None] | None = None
        self._waiting = Admission(run.assignments, run.limits.max_down)
        forks = run.limits.forks
        self._places = Places(
            forks,
            on_free=self._start_more,
            most_lent=most_lent(forks, (assignment.host for assignment in run.assignments)),
        )
        self._workers: set[asyncio.Task[None]] = set()
        # Those whose host lent its place.
        self._lenders: set[asyncio.Task[None]] = set()

    async def events(self) -> AsyncGenerator[Event, None]:
        run, started = self.run, monotonic()
        counts: Counter[str] = Counter()
        finished: set[str] = set()
        hosts = tuple(assignment.host for assignment in run.assignments)
        for name, count in Counter(host.name for host in hosts).items():
            if count > 1:
                raise ValueError(f"{name} has two assignments in one run")
        yield RunStarted(run.id, run.label, hosts, datetime.now(UTC), run.check)
        loop = asyncio.get_running_loop()
        limit_s = run.limits.total_timeout_s
        timer = loop.call_later(limit_s, self._out_of_time) if limit_s is not None else None
        try:
            self._start_more()
            while len(finished) < len(hosts) or self._workers:
                if not self._buffer and self._workers:
                    self._wake = loop.create_future()
                    await self._wake
                if not self._workers:
                    self._finish_the_rest(finished)
                while self._buffer:
                    event = self._buffer.popleft()
                    self._took(event)
                    if isinstance(event, HostFinished):
                        finished.add(event.result.host.name)
                        counts[event.result.outcome.status] += 1
                    yield event
        finally:
            self._make_room()
            if timer is not None:
                timer.cancel()
        yield RunFinished(run.id, datetime.now(UTC), monotonic() - started, dict(counts))

    def _finish_the_rest(self, finished: set[str]) -> None:
        """Whatever became of the workers, no host stays without a result."""
        buffered = {e.result.host.name for e in self._buffer if isinstance(e, HostFinished)}
        for assignment in self.run.assignments:
            host = assignment.host
            if host.name not in finished and host.name not in buffered:
                why = self.ending.why or INTERRUPTED
                self._put_unstarted(host, why, self.ending.kind)

    def stop(self, why: str, kind: str) -> None:
        """Let the run end; hosts that have not got beyond waiting are not waited for."""
        self.ending.ask(why, kind=kind)
        for worker in tuple(self._lenders):
            worker.cancel()

    def cancel(self) -> None:
        # A host that is not read from could not end.
        self._is_hurried = True
        self._make_room()
        for worker in tuple(self._workers):
            worker.cancel()

    async def end(self) -> None:
        """Cancel what is left and wait for it."""
        self.ending.ask(INTERRUPTED)
        while self._workers:
            self.cancel()
            await asyncio.wait(tuple(self._workers), timeout=1.0)

    def _out_of_time(self) -> None:
        self.ending.ask(_OUT_OF_TIME)
        self.cancel()

    def _start_more(self) -> None:
        while self._waiting.may_start and not self.ending.why and self._places.take():
            worker = asyncio.ensure_future(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._worker_ended)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._lenders.discard(worker)
        if not worker.cancelled() and (bug := worker.exception()) is not None:
            log.error("a worker of run %s ended", self.run.id, exc_info=bug)
        self._wake_up()

    async def _work(self) -> None:
        """
        Take assignments until none is left, or the place is gone.

        A cancellation ends one host, never the worker.
        """
        this = asyncio.current_task()
        assert this is not None
        while self._waiting.may_start:
            assignment = self._waiting.next()
            host = assignment.host
            if self.ending.why:
                self._put_unstarted(host, self.ending.why, self.ending.kind)
                continue
            place = self._place_of(host, this)
            self.in_flight[host.name] = None
            self._put(HostStarted(host, datetime.now(UTC)))
            result = await self._attempt(assignment, place)
            self.in_flight.pop(host.name, None)
            self._put(HostFinished(result, datetime.now(UTC)))
            if self._watch is not None:
                self._watch(result)
            self._note_end(assignment, result)
            if this.cancelling():
                # By the loop, at the end of a program that died: no other host is contacted.
                self.ending.ask(INTERRUPTED)
            if place.is_lent:
                place.leave()
                return
            await self._wait_for_room()
            if not self._places.may_start:
                break
        self._places.give()

    def _note_end(self, assignment: Assignment, result: HostResult) -> None:
        """Hosts that waited for this one may start now, or never."""
        if not self.run.limits.max_down:
            return
        self._waiting.finished(assignment, result)
        for hopeless, why in self._waiting.take_hopeless():
            self._put_unstarted(hopeless.host, why, "run.max_fail")
        self._start_more()

    def _put_unstarted(self, host: Host, why: str, kind: str) -> None:
        self._put(HostFinished(never_started(host, why, kind), datetime.now(UTC)))

    def _place_of(self, host: Host, worker: asyncio.Task[None]) -> Place:
        def lent() -> None:
            self._lenders.add(worker)
            self.in_flight.pop(host.name, None)

        def back() -> None:
            self._lenders.discard(worker)
            self.in_flight[host.name] = None

        def notice(message: str) -> None:
            self._put(Notice("wait", message, datetime.now(UTC), host))

        return Place(self._places, on_lend=lent, on_back=back, on_notice=notice)

    async def _attempt(self, assignment: Assignment, place: Place) -> HostResult:
        return await attempt(
            assignment,
            self._pool,
            self.ending,
            check=self.run.check,
            retries=self.run.limits.retries,
            journal=self._journal,
            secrets=self._secrets,
            on_output=self._output_of(assignment.host) if self._live_output else None,
            on_retry=self._note_retry,
            turn=place,
        )

    def _output_of(self, host: Host) -> OutputListener:
        def put(stream: Stream, data: bytes) -> asyncio.Future[None] | None:
            self._put(Output(host, stream, data, datetime.now(UTC)))
            return self._room

        return put

    def _note_retry(self, host: Host, failure: Failure, wait_s: float) -> None:
        message = f"{failure.message}; trying again in {wait_s:.1f} s"
        self._put(Notice("retry", message, datetime.now(UTC), host))

    def _put(self, event: Event) -> None:
        self._buffer.append(event)
        self._buffered_bytes += _size(event)
        is_full = self._buffered_bytes > HIGH_WATER_BYTES
        if is_full and self._room is None and not self._is_hurried:
            self._room = asyncio.get_running_loop().create_future()
        self._wake_up()

    def _took(self, event: Event) -> None:
        self._buffered_bytes -= _size(event)
        if self._buffered_bytes <= HIGH_WATER_BYTES:
            self._make_room()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def _wait_for_room(self) -> None:
        """Wait until results are taken out; a cancellation ends the wait, never the worker."""
        try:
            while (room := self._room) is not None and not self.ending.why:
                await asyncio.wait((room,))
        except asyncio.CancelledError:
            self.ending.ask(INTERRUPTED)

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _size(event: Event) -> int:
    """Return how many bytes of hosts an event holds."""
    match event:
        case Output():
            return len(event.data)
        case HostFinished(result=result):
            run = result.outcome.result
            return len(run.stdout) + len(run.stderr) if run is not None else 0
        case _:
            return 0
