"""
Ending commands from here, and proof that they are gone.

A shell on a second session of the connection finds the command's processes, signals them, and looks
until none is left. The server's own ``signal`` request (RFC 4254 section 6.9) is for hosts that
give us no such shell: it reaches one process group at most and proves nothing, and sshd refuses it
for root up to release 9.7 and for forced commands in all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from fleetctl.ssh.ending_hunt import Client, Ended, Hunt
from fleetctl.ssh.ending_shell import Channels, EndingShell, NoShell
from fleetctl.ssh.session import Session
from fleetctl.ssh.starts import Starts

__all__ = ["MAX_AT_ONCE", "Crowd", "Ended", "Endings"]

#: Commands of a process that are ended at the same time: looking for their processes is work for
#: this machine, and all of it for the hosts if these are one machine.
MAX_AT_ONCE = 100


class OtherConnection(Protocol):
    """Another connection to the same host."""

    @property
    def transport(self) -> Channels: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Crowd:
    """
    What the connections of a process share when they end commands.

    Attributes:
        turns: For each command that is being ended.
        another: Makes another connection to the host, for servers with one session only; None if
            that cannot be.
    """

    turns: asyncio.Semaphore
    another: Callable[[], Awaitable[OtherConnection]] | None = None


class _Opened:
    """
    A shell that is there, or will be, for all who want one at the same time.

    Attributes:
        other: The connection it is on, if that is another.
        users: How many have it.
    """

    def __init__(self) -> None:
        self.shell: EndingShell | None = None
        self.other: OtherConnection | None = None
        self.users = 0
        self.opening: asyncio.Task[EndingShell] | None = None


class _Shells:
    """
    One shell for all commands that are ended at the same time: sshd would take a second for one
    more of them.

    Args:
        another: Makes another connection to the same host; None if that cannot be.
    """

    def __init__(
        self,
        channels: Channels,
        client: Client | None,
        another: Callable[[], Awaitable[OtherConnection]] | None,
    ) -> None:
        self._another = another
        self._channels = channels
        self._client = client
        self._opened: _Opened | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[tuple[EndingShell, Client | None]]:
        opened = self._opened
        if opened is None or opened.opening is None:
            opened = self._opened = _Opened()
            opened.opening = asyncio.ensure_future(self._open(opened))
        opened.users += 1
        try:
            shell = await asyncio.shield(opened.opening)
            yield shell, self._client if opened.other is not None else None
        finally:
            opened.users -= 1
            if not opened.users:
                self._opened = None if self._opened is opened else self._opened
                closing = asyncio.ensure_future(self._close(opened))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Wait for what is being closed."""
        await asyncio.gather(*self._closing)

    async def _open(self, opened: _Opened) -> EndingShell:
        if self._channels.is_forced:
            raise NoShell("the key runs one command only, and that would be run again")
        opened.shell = EndingShell(self._channels)
        try:
            await opened.shell.start()
        except NoShell:
            opened.shell.close()
            if self._another is None or self._client is None:
                raise
            opened.shell = None
            opened.other = await self._another()
            opened.shell = EndingShell(opened.other.transport)
            await opened.shell.start()
        return opened.shell

    async def _close(self, opened: _Opened) -> None:
        if opened.opening is not None:
            opened.opening.cancel()
            await asyncio.gather(opened.opening, return_exceptions=True)
        if opened.shell is not None:
            opened.shell.close()
        if opened.other is not None:
            await opened.other.close()


class Endings:
    """
    Ends the commands of one connection.

    Args:
        channels: The connection's transport.
        client: Our end of the connection, if the host sees it like that; else None.
        starts: What was started on the connection.
        crowd: What it shares with other connections.
    """

    def __init__(
        self, channels: Channels, client: Client | None, starts: Starts, crowd: Crowd
    ) -> None:
        self._shells = _Shells(channels, client, crowd.another)
        self._starts = starts
        self._turns = crowd.turns
        self._endings: dict[Session, asyncio.Task[Ended]] = {}

    def may_end(self, session: Session) -> bool:
        """Tell whether there is something to end: it was started, and no end of it was heard of."""
        if session in self._endings:
            return True
        is_closed = session.ended.done() and session.bug is None
        return session in self._starts and not session.has_ending and not is_closed

    def over(self, session: Session) -> None:
        """Nothing more will be asked about it."""
        self._endings.pop(session, None)

    async def end(self, session: Session) -> Ended:
        """
        End a command: TERM, and after a grace time KILL for who is left.

        Takes at most `LIMIT_S` from its turn on, and is done to the end even if this task is
        cancelled meanwhile, which comes out then. Doing it again returns what it came to.
        """
        task = self._endings.get(session)
        if task is None:
            task = self._endings[session] = asyncio.ensure_future(self._end(session))
        is_cancelled = False
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                is_cancelled = True
        if is_cancelled:
            raise asyncio.CancelledError
        return task.result()

    async def _end(self, session: Session) -> Ended:
        run_as = self._starts.run_as(session)
        hunt = Hunt(session, starts=self._starts, shells=self._shells, run_as=run_as)
        ended = await hunt.run(self._turns)
        session.gone = None if ended.is_own_end else ended.is_gone
        return ended

    async def close(self) -> None:
        """Wait for what is being closed."""
        await self._shells.close()
