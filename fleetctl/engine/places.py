"""
How many hosts of a run are at work at once, and who works while others can only wait.

A host that waits for a crowded server, for its gateway, for its next try, or for an answer that
does not come lends its place. It takes a place back before it goes on, before any host that has
not started yet. So forks bounds what is at work, and tarpits cost the others nothing.
"""

from __future__ import annotations

import asyncio
import resource
from collections import deque
from collections.abc import Callable, Iterable

from fleetctl.model.host import Host

#: Hosts of a run that wait without a place, if there are descriptors for so many.
MAX_LENT = 512
#: Descriptors for what is not a host.
SPARE_FILES = 64
#: A program that reaches a host: its streams, and what tells of its end.
FILES_OF_A_PROGRAM = 4


def most_lent(forks: int, hosts: Iterable[Host]) -> int:
    """
    Return how many hosts may wait without a place beside those at work.

    Each may have its descriptors open. Source: getrlimit(2).
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_LENT
    by_program = any(h.connection == "local" or h.settings.proxy_command for h in hosts)
    each = FILES_OF_A_PROGRAM if by_program else 1
    # One at least, out of the spare ones: with none no host could start.
    return max(1, min(MAX_LENT, (limit - SPARE_FILES) // each - forks))


class Places:
    """
    The places of one run.

    Args:
        count: Most hosts at work at once.
        on_free: Called when a place is free that `take` would give.
    """

    def __init__(
        self, count: int, *, on_free: Callable[[], None], most_lent: int = MAX_LENT
    ) -> None:
        self._free = count
        self._lent = 0
        self._most_lent = most_lent
        self._on_free = on_free
        self._returning: deque[asyncio.Future[None]] = deque()

    @property
    def may_start(self) -> bool:
        """Whether a host may start on a place one has: nobody comes back to it, not many wait."""
        is_wanted = any(not place.done() for place in self._returning)
        return not is_wanted and self._lent < self._most_lent

    def take(self) -> bool:
        """Take a place for a host that starts, if there is one."""
        if not self._free or not self.may_start:
            return False
        self._free -= 1
        return True

    def give(self) -> None:
        """Give a place to whoever waits to go on, else to a host that starts."""
        while self._returning:
            place = self._returning.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
        if self._lent < self._most_lent:
            self._on_free()

    def lend(self) -> None:
        """Give a place that will be asked for again."""
        self._lent += 1
        self.give()

    async def take_back(self) -> None:
        """Wait for a place after `lend`."""
        if self._free:
            self._free -= 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._returning.append(place)
            try:
                await place
            except BaseException:
                if place.done() and not place.cancelled():
                    self.give()
                raise
        self.forget_loan()

    def forget_loan(self) -> None:
        """Whoever lent a place has one again, or will not come back."""
        self._lent -= 1
        if self._free and self._lent < self._most_lent:
            self._on_free()


class Place:
    """
    One host's place, a `fleetctl.model.trace.Turn`.

    Args:
        on_lend: Called when the place is lent, as `on_back` when it is taken back.
        on_notice: Told what the host waits for.

    Attributes:
        is_lent: Somebody else has it.
    """

    def __init__(
        self,
        places: Places,
        *,
        on_lend: Callable[[], None],
        on_back: Callable[[], None],
        on_notice: Callable[[str], None],
    ) -> None:
        self._places = places
        self._on_lend = on_lend
        self._on_back = on_back
        self._on_notice = on_notice
        self.is_lent = False

    def lend(self) -> None:
        if not self.is_lent:
            self.is_lent = True
            self._on_lend()
            self._places.lend()

    async def take_back(self) -> None:
        if self.is_lent:
            await self._places.take_back()
            self.is_lent = False
            self._on_back()

    def notice(self, message: str) -> None:
        self._on_notice(message)

    def leave(self) -> None:
        """The host is done; if the place is lent it stays with whoever has it."""
        if self.is_lent:
            self._places.forget_loan()
        else:
            self._places.give()
