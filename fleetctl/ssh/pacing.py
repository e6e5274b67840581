"""
How hard an endpoint is pressed, and how long a host is waited for before others have its turn.

sshd drops connections when too many are not logged in yet (MaxStartups) and when a source was a
nuisance (PerSourcePenalties). Who is turned away before a version line was not refused: it comes
back later, at random, as long as its deadline allows, and fewer come at once. A login that was
refused is never tried again here. Source: sshd_config(5).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Protocol, TypeVar

from fleetctl.model.errors import FleetError
from fleetctl.model.trace import Turn

T = TypeVar("T")

#: Handshakes with one endpoint that drops connections: at most, and after the first drop.
MOST_AT_ONCE = 8
FIRST_LIMIT = MOST_AT_ONCE // 2
#: Waits: full jitter below 0.5 s x 2^n, at most this.
LONGEST_WAIT_S = 8.0
#: An endpoint that gave no reason, let nobody in, and is busy with no other try, is tried so often.
TRIES_WITHOUT_REASON = 3
#: How often those that are being connected to are looked at.
LOOK_S = 0.05
#: A try that begins so late would only hide why the others failed.
LAST_TRY_S = 0.25


class TurnedAway(FleetError):
    """
    The server closed the connection before its version line; later it may not.

    Attributes:
        has_reason: The server said that it has too many connections.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str | None = None,
        retryable: bool = False,
        hop: str | None = None,
        has_reason: bool = False,
    ) -> None:
        super().__init__(kind, message, hint=hint, retryable=retryable, hop=hop)
        self.has_reason = has_reason


class Pace:
    """
    How many handshakes with one endpoint may be under way at once, learned from what it drops.

    Halved by a drop, at most once for those that were under way together; grows by one for as many
    successes as it allows. Source: RFC 5681 section 3.1 (the same idea).
    """

    def __init__(self) -> None:
        self.limit = float(FIRST_LIMIT)
        self.has_let_in = False
        self.under_way = 0
        self._cut_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_over(self) -> bool:
        """The endpoint takes as many as are ever sent: nothing needs to be remembered."""
        return self.limit >= MOST_AT_ONCE and not self.under_way and not self._waiting

    async def enter(self, turn: Turn | None, *, first: bool) -> None:
        """
        Wait until one more handshake may begin.

        Args:
            turn: Lent meanwhile.
            first: Before those who wait already: the deadline of the caller is running.
        """
        if self.under_way >= int(self.limit) or (self._waiting and not first):
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._waiting.appendleft if first else self._waiting.append)(place)
            if turn is not None:
                turn.lend()
            try:
                await place
                if turn is not None:
                    await turn.take_back()
            except BaseException:
                if place.done() and not place.cancelled():
                    self.leave()
                else:
                    place.cancel()
                raise
            return
        self.under_way += 1

    def leave(self) -> None:
        """The handshake has ended."""
        self.under_way -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.under_way < int(self.limit):
            place = self._waiting.popleft()
            if not place.done():
                self.under_way += 1
                place.set_result(None)

    def dropped(self, began: float, now: float) -> None:
        """The endpoint dropped a connection that was begun then."""
        if began >= self._cut_at:
            self.limit = max(1.0, self.limit / 2)
            self._cut_at = now

    def let_in(self) -> None:
        """The endpoint did not drop a connection."""
        self.has_let_in = True
        self.limit = min(float(MOST_AT_ONCE), self.limit + 1 / self.limit)
        self._admit()


class Pacing:
    """The pace of each endpoint that has dropped connections; the others have none."""

    def __init__(self) -> None:
        self._paces: dict[Hashable, Pace] = {}
        # Tries under way, whether they have a pace or not.
        self._under_way: Counter[Hashable] = Counter()

    async def connect(
        self,
        endpoint: Hashable,
        where: str,
        once: Callable[[float], Awaitable[T]],
        *,
        limit_s: float,
        turn: Turn | None,
    ) -> T:
        """
        Call ``once`` until it does not raise `TurnedAway`, or its time is over.

        Args:
            endpoint: Who drops connections: what is the same for all that share its limits.
            where: The endpoint in words.
            once: Tries to connect until the given time of the loop's clock; sets the deadline on
                its first call, when it is admitted.
            limit_s: From the first admission to the last result.
            turn: Lent while nothing can be done; told when an endpoint begins to drop connections.

        Raises:
            TurnedAway: Every time; the message says how often.
            FleetError: Anything else that ``once`` raises, at once.
        """
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        tries = 0
        while True:
            pace = self._paces.get(endpoint)
            if pace is not None:
                await pace.enter(turn, first=tries > 0)
            began = loop.time()
            deadline = deadline or began + limit_s
            tries += 1
            self._under_way[endpoint] += 1
            try:
                value = await once(deadline)
            except TurnedAway as error:
                wait_s = self._turned_away(endpoint, where, error, tries, began, turn)
                if wait_s is None or loop.time() + wait_s > deadline - LAST_TRY_S:
                    raise _gave_up(error, tries) from error
            else:
                # Another may have been dropped since.
                if (latest := self._paces.get(endpoint)) is not None:
                    latest.let_in()
                return value
            finally:
                self._leave(endpoint, pace)
            if turn is not None:
                turn.lend()
            await asyncio.sleep(wait_s)
            if turn is not None:
                await turn.take_back()

    def _leave(self, endpoint: Hashable, pace: Pace | None) -> None:
        self._under_way[endpoint] -= 1
        if not self._under_way[endpoint]:
            del self._under_way[endpoint]
        if pace is not None:
            pace.leave()
            if pace.is_over:
                self._paces.pop(endpoint, None)

    def _turned_away(
        self,
        endpoint: Hashable,
        where: str,
        error: TurnedAway,
        tries: int,
        began: float,
        turn: Turn | None,
    ) -> float | None:
        """Slow down; return how long to wait before another try, or None to give up."""
        pace = self._paces.get(endpoint)
        if pace is None:
            pace = self._paces[endpoint] = Pace()
            if turn is not None:
                turn.notice(
                    f"{where} drops connections ({error}); trying again, with fewer at once"
                )
        pace.dropped(began, asyncio.get_running_loop().time())
        is_lost_cause = not (error.has_reason or pace.has_let_in or self._under_way[endpoint] > 1)
        if is_lost_cause and tries >= TRIES_WITHOUT_REASON:
            return None
        return random.uniform(0, min(LONGEST_WAIT_S, 0.5 * 2 ** (tries - 1)))  # noqa: S311 - jitter


def _gave_up(error: TurnedAway, tries: int) -> FleetError:
    failure = error.failure
    return FleetError(
        failure.kind,
        f"{failure.message} (tried {tries} times)" if tries > 1 else failure.message,
        hint=failure.hint,
        retryable=failure.retryable,
        hop=failure.hop,
    )


class Estimate:
    """
    How long something may usually take, from how long it took.

    Source: RFC 6298 section 2 (the retransmission timer of TCP).
    """

    def __init__(self, initial_s: float, *, least_s: float, most_s: float) -> None:
        self.limit_s = initial_s
        self._least_s = least_s
        self._most_s = most_s
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def note(self, took_s: float) -> None:
        """One more has taken so long."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = took_s, took_s / 2
        else:
            self._deviation_s += (abs(took_s - self._mean_s) - self._deviation_s) / 4
            self._mean_s += (took_s - self._mean_s) / 8
        usual_s = self._mean_s + 4 * self._deviation_s
        self.limit_s = min(self._most_s, max(self._least_s, usual_s))


class Watched(Protocol):
    """A host that is being connected to."""

    @property
    def has_answered(self) -> bool:
        """Whether a first byte came."""
        ...

    @property
    def has_keys(self) -> bool:
        """Whether keys are agreed on; from then on a person or the login may take the time."""
        ...

    def lend_turn(self) -> None: ...


class Patience:
    """
    How long a host may take to answer before another has its turn.

    A tarpit or a dead host costs the others only this, not its whole deadline. It follows how long
    hosts take that do answer, so that a slow network or a busy machine makes nobody impatient.

    Attributes:
        answer: Until the first byte.
        keys: Until keys are agreed on.
    """

    def __init__(self) -> None:
        self.answer = Estimate(0.5, least_s=0.05, most_s=2.0)
        self.keys = Estimate(1.0, least_s=0.2, most_s=4.0)
        # With the monotonic time each was begun at.
        self._watched: dict[Watched, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, host: Watched, began: float) -> None:
        """Let the host lend its turn when patience ends, unless it is forgotten before."""
        self._watched[host] = began
        # One timer for all: most hosts have answered long before it fires.
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def forget(self, host: Watched) -> None:
        """The host is connected or has failed."""
        self._watched.pop(host, None)

    def _look(self) -> None:
        now = monotonic()
        for host, began in tuple(self._watched.items()):
            limit_s = (self.keys if host.has_answered else self.answer).limit_s
            if host.has_keys:
                del self._watched[host]
            elif now - began >= limit_s:
                del self._watched[host]
                host.lend_turn()
        self._timer = None
        if self._watched:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
