"""
The connections of one operation: how many commands each has room for, and who waits for a place.

A server allows so many sessions on one connection and does not say how many (MaxSessions of sshd).
It is learnt from what it refuses. Whoever finds no place waits for one; when nothing moves, because
commands are long or are held, another connection is made.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from typing import Protocol

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.ports import Link
from fleetctl.model.trace import Trace

#: Commands on one connection until more is known. Source: sshd_config(5), MaxSessions.
FIRST_ROOM = 10
#: Commands on one connection, however many the server would allow.
MOST_ROOM = 64
#: Connections of one operation.
MOST_LINKS = 4
#: When no place was given to anybody for so long, whoever waits first makes room.
PATIENCE_S = 1.0


class Connections(Protocol):
    """Where connections come from: a `fleetctl.engine.pool.Pool`, or new ones only."""

    def take_idle(self, host: Host) -> Link | None: ...

    async def connect(self, host: Host, trace: Trace, *, open_session: bool) -> Link: ...

    def release(self, host: Host, link: Link) -> None: ...

    def discard(self, link: Link) -> object: ...


@dataclass(slots=True, eq=False)
class HeldLink:
    """
    One connection of the operation.

    Attributes:
        was_idle: It was taken from the pool, and not made for this operation.
        has_served: A command of this operation was sent over it.
        running: Commands that have a place on it now.
        room: Commands it has room for.
        is_room_known: The server has refused more.
    """

    link: Link
    was_idle: bool
    has_served: bool = False
    running: int = 0
    room: int = FIRST_ROOM
    is_room_known: bool = False

    @property
    def may_grow(self) -> bool:
        return not self.is_room_known and self.room < MOST_ROOM


class Links:
    """
    Gives places for commands, in the order of their tickets.

    Args:
        trace: Of the operation; used to connect while no command runs.
    """

    def __init__(self, host: Host, trace: Trace, pool: Connections) -> None:
        self._host = host
        self._trace = trace
        self._pool = pool
        self._held: list[HeldLink] = []
        self._running = 0
        self._tickets = 0
        # Ticket and what is set to a place, or to None for "make room".
        self._queue: list[tuple[int, asyncio.Future[HeldLink | None]]] = []
        # At most one makes room; it has left the queue.
        self._is_making_room = False
        self._may_connect = True
        self._moved_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_released = False

    def ticket(self) -> int:
        """Return the next number in the order of asking."""
        self._tickets += 1
        return self._tickets

    def any_open(self) -> Link | None:
        """Return a connection to ask about; its places are not counted."""
        return next((held.link for held in self._held if held.link.is_open), None)

    async def take(self, ticket: int, *, open_session: bool = True) -> HeldLink:
        """
        Return a connection with a place on it, to be given back with `give`.

        Raises:
            FleetError: There is none, and none can be made: kinds ``resolve`` to ``auth``,
                ``gateway`` and ``session.refused``.
        """
        held = self._with_room()
        if held is not None:
            self._enter(held)
        elif not (self._queue or self._held or self._is_making_room):
            self._is_making_room = True
            held = await self._make_room(open_session=open_session)
        while held is None:
            held = await self._wait(ticket) or await self._make_room(open_session=open_session)
        return held

    def give(self, held: HeldLink) -> None:
        """Give a place back."""
        held.running -= 1
        self._running -= 1
        if self._queue:
            self._serve()

    def may_try_again(self, held: HeldLink, error: FleetError) -> bool:
        """
        Learn from the failure of a command that was not sent, and whose place is not given back.

        Returns:
            Whether another place is worth trying: the connection is full or was of no use any more,
            and that says nothing about another one.
        """
        is_refusal = error.kind == "session.refused"
        others = held.running - 1
        if is_refusal and others and held.link.is_open:
            held.room = min(held.room, others)
            held.is_room_known = True
            return True
        self._drop(held)
        if held.was_idle or held.has_served:  # it was good once; a new one may be again
            return True
        if is_refusal and self._held:
            self._may_connect = False
            return True
        if is_refusal:
            self._fail_all(error)
        return False

    def release(self) -> None:
        """Give all connections back; those on which something still runs are closed."""
        self._is_released = True
        if self._timer is not None:
            self._timer.cancel()
        for _, waiter in self._queue:
            waiter.cancel()
        self._queue.clear()
        for held in self._held:
            if held.running:
                self._pool.discard(held.link)
            else:
                self._pool.release(self._host, held.link)
        self._held.clear()

    # -- places

    def _with_room(self) -> HeldLink | None:
        for held in self._held:
            if not held.link.is_open:
                self._drop(held)
                return self._with_room()
            if held.running < held.room:
                return held
        return None

    def _enter(self, held: HeldLink) -> None:
        held.running += 1
        self._running += 1

    def _drop(self, held: HeldLink) -> None:
        # Another command of the operation may have done it.
        if held in self._held:
            self._held.remove(held)
            self._pool.discard(held.link)

    # -- the queue

    async def _wait(self, ticket: int) -> HeldLink | None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[HeldLink | None] = loop.create_future()
        if self._first() is None:
            self._moved_at = loop.time()
        heapq.heappush(self._queue, (ticket, waiter))
        self._serve()
        try:
            return await waiter
        except asyncio.CancelledError:
            # What it was given at the same moment is for the next.
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                held = waiter.result()
                if held is None:
                    self._is_making_room = False
                    self._serve()
                else:
                    self.give(held)
            raise

    def _first(self) -> asyncio.Future[HeldLink | None] | None:
        """Return what the first one waits for; those that were cancelled leave the queue here."""
        while self._queue and self._queue[0][1].done():
            heapq.heappop(self._queue)
        return self._queue[0][1] if self._queue else None

    def _serve(self) -> None:
        """Give free places to those who wait; if there is nothing to wait for, the first acts."""
        while waiter := self._first():
            held = self._with_room()
            if held is None and (self._held or self._is_making_room):
                break
            heapq.heappop(self._queue)
            if held is None:
                self._is_making_room = True
            else:
                self._enter(held)
            self._moved_at = asyncio.get_running_loop().time()
            waiter.set_result(held)
        self._watch()

    def _watch(self) -> None:
        """Look after a while whether anything has moved, as long as somebody waits."""
        if self._timer is None and self._queue and self._can_make_room():
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._moved_at + PATIENCE_S, self._look)

    def _look(self) -> None:
        self._timer = None
        is_stuck = asyncio.get_running_loop().time() >= self._moved_at + PATIENCE_S
        waiter = self._first()
        if is_stuck and waiter is not None and not self._is_making_room:
            heapq.heappop(self._queue)
            self._is_making_room = True
            waiter.set_result(None)
        self._watch()

    def _fail_all(self, error: FleetError) -> None:
        """What one has found out holds for all who wait; each gets an error of its own."""
        failure = error.failure
        waiters = [waiter for _, waiter in self._queue if not waiter.done()]
        self._queue.clear()
        for waiter in waiters:
            waiter.set_exception(
                FleetError(
                    failure.kind,
                    failure.message,
                    hint=failure.hint,
                    retryable=failure.retryable,
                    hop=failure.hop,
                )
            )

    # -- more room

    def _can_make_room(self) -> bool:
        if self._is_making_room:
            return False
        if self._may_connect and len(self._held) < MOST_LINKS:
            return True
        return any(held.may_grow for held in self._held)

    async def _make_room(self, *, open_session: bool) -> HeldLink | None:
        """
        Find out whether a connection has more room than was thought, or make another one.

        Returns:
            A place, or None if there is no way but to wait.

        Raises:
            FleetError: There is no connection, and none can be made.
        """
        try:
            held = self._with_room()
            if held is None and (held := next((h for h in self._held if h.may_grow), None)):
                held.room = min(2 * held.room, MOST_ROOM)
            if held is not None:
                self._enter(held)
                return held
            if self._held and not (self._may_connect and len(self._held) < MOST_LINKS):
                return None
            try:
                return await self._connect(open_session=open_session)
            except FleetError as error:
                if self.any_open() is None:
                    self._fail_all(error)
                    raise
                self._may_connect = False
                return None
        finally:
            self._is_making_room = False
            if self._queue:
                self._moved_at = asyncio.get_running_loop().time()
                self._serve()

    async def _connect(self, *, open_session: bool) -> HeldLink:
        link = self._pool.take_idle(self._host)
        was_idle = link is not None
        if link is None:
            # While commands run, the times and the turn of the operation are theirs.
            trace = Trace() if self._running else self._trace
            link = await self._pool.connect(self._host, trace, open_session=open_session)
        if self._is_released:
            self._pool.discard(link)
            raise RuntimeError("a command was left behind by an operation that has ended")
        held = HeldLink(link, was_idle)
        self._held.append(held)
        self._enter(held)
        return held
