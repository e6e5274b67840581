"""
Opening sessions on a connection, with patience for a server that counts those that have ended.

How many a connection has room for, and who waits for one, is its user's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic

from fleetctl.model.errors import FleetError
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.session import Session

#: sshd counts a session until some time after it has ended. So long after, a refusal may mean no
#: more than that, and these are the waits between attempts.
STILL_COUNTED_S = 2.0
REOPEN_WAITS_S = (0.01, 0.03, 0.1, 0.3)
#: Where a refusal has meant that, nobody asks sooner than this after the end of a session.
RECOUNT_S = 0.005

_OPEN_REFUSED = {
    1: "administratively prohibited",
    2: "connect failed",
    3: "unknown channel type",
    4: "resource shortage",
}


class Opening:
    """
    Opens the sessions of one connection.

    Args:
        spare: A session that was asked for already.
        limit_s: For each answer of the server.
        lost: Says how the connection ended, once it has.
    """

    def __init__(
        self,
        transport: LoopTransport,
        spare: Session | None,
        limit_s: float,
        lost: Callable[[None], FleetError],
    ) -> None:
        self._transport = transport
        self._spare = spare
        self._limit_s = limit_s
        self._lost = lost
        self._ended_at: float | None = None
        self._is_recounted_late = False

    def one_ended(self) -> None:
        """A session has ended just now, or ends there as soon as it is opened."""
        self._ended_at = monotonic()

    async def open(self) -> Session:
        """
        Open a session.

        Raises:
            FleetError: ``session.refused`` or ``session.lost``; nothing was sent, and another
                connection, or this one when another session has ended, may do.
        """
        if self._is_recounted_late and self._ended_at is not None:
            await asyncio.sleep(max(0.0, self._ended_at + RECOUNT_S - monotonic()))
        session = self._ask()
        await self._answered(session)
        waits_s: Iterator[float] | None = None
        while session.channel.open_refused is not None:
            if waits_s is None:
                waits_s = iter(REOPEN_WAITS_S if self._has_just_ended_one() else ())
            wait_s = next(waits_s, None)
            if wait_s is None:
                raise _refused(session.channel.open_refused)
            await asyncio.sleep(wait_s)
            session = self._ask()
            await self._answered(session)
            self._is_recounted_late = session.channel.open_refused is None
        if not session.channel.active or session.channel.closed:
            raise self._lost(None)
        return session

    def _ask(self) -> Session:
        if not self._transport.active:
            raise self._lost(None)
        session, self._spare = self._spare or Session(self._transport), None
        return session

    def _has_just_ended_one(self) -> bool:
        return self._ended_at is not None and monotonic() < self._ended_at + STILL_COUNTED_S

    async def _answered(self, session: Session) -> None:
        """Wait for the answer to a session's open."""
        opened = session.channel.opened
        try:
            async with asyncio.timeout(self._limit_s):
                await opened.future
        except TimeoutError:
            self._forget(session)
            raise FleetError(
                "session.refused",
                f"no session within {self._limit_s:g} s",
                hint="the host may be overloaded, or at its MaxSessions",
                retryable=True,
            ) from None
        except BaseException:
            self._forget(session)
            raise

    def _forget(self, session: Session) -> None:
        self._transport.forget_channel(session.channel)
        self.one_ended()


def _refused(answer: tuple[int, str]) -> FleetError:
    code, text = answer
    return FleetError(
        "session.refused",
        f"the server refused a session: {text or _OPEN_REFUSED.get(code, code)}",
        hint="see MaxSessions in its sshd_config",
        retryable=True,
    )
