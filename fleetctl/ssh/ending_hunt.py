"""
Ending one command: finding its processes, signalling them, and looking until none is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.ssh.ending_look import Look
from fleetctl.ssh.ending_shell import EndingShell, NoShell
from fleetctl.ssh.remote_processes import Family, RemoteProcess
from fleetctl.ssh.session import Session
from fleetctl.ssh.starts import RunAs, Starts

#: All that ending one command may take. Where a host answers at once it is over in less than half a
#: second, so that a deadline is kept to that.
LIMIT_S = 1.5
#: From TERM to KILL.
TERM_GRACE_S = 0.3
#: From KILL to giving up. KILL cannot be caught: who is still there is stuck in the kernel, or on a
#: machine that is too busy.
KILL_GRACE_S = 0.2
#: A host whose shell has not answered by then is asked by ``signal`` requests as well. Late: a
#: shell that comes after them finds the command gone, and what it had started orphaned.
SHELL_HASTE_S = 1.2
#: For the last output of a command that has ended.
LAST_OUTPUT_S = 0.1
#: Until the first look whether anybody is left; each further wait is twice as long.
_FIRST_LOOK_S = 0.01
#: How often processes and commands are compared before it is given up.
_MATCHES = 4
#: Names of processes in one hint.
_MAX_NAMED = 5

#: The client's end of a connection: address and port.
Client: TypeAlias = tuple[str, int]


class Shells(Protocol):
    """What gives shells on the host."""

    def lease(self) -> AbstractAsyncContextManager[tuple[EndingShell, Client | None]]:
        """
        Give one, and the client's end of the connection that matters if it is on another.

        Raises:
            NoShell: There is none to be had.
            FleetError: There is no other connection to be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """
    What came of ending a command.

    Attributes:
        is_gone: None of its processes is left on the host.
        count: How many were seen; 0 if nobody could look.
        left: Those that were there when it was given up.
        why: Why nobody knows, as a clause; empty if somebody looked.
        has_ended: The command itself has ended, whatever became of the rest.
        is_own_end: It had ended before anything was sent to it.
    """

    is_gone: bool
    count: int = 0
    left: Sequence[RemoteProcess] = ()
    why: str = ""
    has_ended: bool = False
    is_own_end: bool = False

    def describe(self) -> str:
        """Return what is known, as a clause about "it"."""
        if self.is_gone:
            return "it was ended" + (f" ({self.count} processes)" if self.count > 1 else "")
        if not self.has_ended:
            return "it may still be running there"
        if self.left:
            return "it was ended, but not all that it had started"
        return "it was ended; whether all that it had started is gone is not known"

    def hint(self, host: str) -> str | None:
        """
        Return which processes are left, or why that is not known; None if all are gone.

        Args:
            host: Its name.
        """
        if self.is_gone:
            return None
        if not self.left:
            return f"what is left of it is not known: {self.why}"
        names = ", ".join(map(str, self.left[:_MAX_NAMED]))
        more = len(self.left) - _MAX_NAMED
        return f"left on {host}: {names}" + (f" and {more} more" if more > 0 else "")

    def timed_out(self, host: str, request: ExecRequest, result: ExecResult) -> FleetError:
        """Return the error of a command whose time was over."""
        return FleetError(
            "exec.timeout",
            f"no end within {request.timeout_s:g} s; {self.describe()}",
            hint=self.hint(host) or "give it more with --timeout",
            result=result,
        )


class Hunt:
    """
    Ending one command.

    Args:
        starts: What runs on the connection.
        shells: Gives a shell on the host.
        run_as: Used to end processes that the user who is logged in may not signal.
    """

    def __init__(
        self, session: Session, *, starts: Starts, shells: Shells, run_as: RunAs | None
    ) -> None:
        self._session = session
        self._starts = starts
        self._shells = shells
        self._run_as = run_as
        self._loop = asyncio.get_running_loop()
        self._family: Family | None = None
        self._members: list[RemoteProcess] = []
        # Those we may not signal, or who were gone when we tried.
        self._refused: set[int] = set()
        self._requested: list[str] = []
        self._count = 0
        # Since the last signal.
        self._has_looked = False

    async def run(self, turns: asyncio.Semaphore) -> Ended:
        """
        Take at most `LIMIT_S` from one's turn on; what goes wrong is part of what is returned.

        Args:
            turns: Of all that are ended at the same time, over all connections: a machine that is
                busy with hundreds of them would prove none in time.
        """
        async with turns:
            return await self._run()

    async def _run(self) -> Ended:
        deadline = self._loop.time() + LIMIT_S
        haste = self._loop.call_later(SHELL_HASTE_S, self._request_signal, "TERM")
        # What the command still writes can wait; our questions should not wait behind it.
        self._session.channel.pause_reading()
        try:
            async with asyncio.timeout_at(deadline), self._shells.lease() as (shell, client):
                look = Look(shell, client)
                root = await self._find(look)
                haste.cancel()
                if root is None:
                    ended = Ended(is_gone=True, has_ended=True, is_own_end=True)
                else:
                    ended = await self._hunt(look, root)
                if ended.has_ended and not self._session.ended.done():
                    self._session.channel.resume_reading()
                    await asyncio.wait((self._session.ended,), timeout=LAST_OUTPUT_S)
                return ended
        except (NoShell, FleetError) as error:
            why = str(error)
        except TimeoutError:
            why = f"the host did not answer within {LIMIT_S:g} s"
        finally:
            haste.cancel()
            self._session.channel.resume_reading()
        if self._family is None:
            await self._ask_the_server(deadline)
        return self._report(why=why)

    async def _find(self, look: Look) -> RemoteProcess | None:
        """
        Find out which process is the command.

        Returns:
            None if the command has ended by itself.

        Raises:
            NoShell: It cannot be told.
        """
        starts, session = self._starts, self._session
        wait_s = _FIRST_LOOK_S
        for _ in range(_MATCHES):
            running = starts.running()
            await look.near(())
            leaders = await look.leaders()
            # A command may have ended while we looked. sshd tells its end before it passes on what
            # a shell says later, so that it is one of these two.
            still_running = [s for s in running if s in starts.running()]
            _ = starts.match(still_running, leaders) or starts.match(running, leaders)
            root = starts.root_of(session)
            if root is not None:
                return root
            if session.has_ending and not self._requested:
                return None
            await asyncio.sleep(wait_s)
            wait_s *= 2
        raise NoShell("its processes cannot be told from those of other commands")

    async def _hunt(self, look: Look, root: RemoteProcess) -> Ended:
        """Signal all of its processes until none is left, or the graces are over."""
        is_alone = look.serving.is_shared_session and len(look.serving.leaders) == 1
        self._family = family = Family(root, adopts_from=look.serving.pid if is_alone else 0)
        self._members = look.members(family)
        self._count = len(self._members)
        has_seen_all = look.table.is_whole
        for name, grace_s in (("TERM", TERM_GRACE_S), ("KILL", KILL_GRACE_S)):
            await self._signal(look, family, name, self._members)
            ends = self._loop.time() + grace_s
            wait_s = _FIRST_LOOK_S
            while self._members and (left_s := ends - self._loop.time()) > 0:
                await self._pause(min(wait_s, left_s))
                wait_s *= 2
                before = {process.pid for process in self._members}
                await self._look_again(look, family)
                fresh = [process for process in self._members if process.pid not in before]
                if name == "KILL" or (look.table.is_whole and not has_seen_all):
                    # Whom somebody had started just before; and orphans, which are seen late. Who
                    # comes after TERM may be there to clean up.
                    await self._signal(look, family, name, fresh)
                has_seen_all = has_seen_all or look.table.is_whole
                if name == "KILL" and self._members:
                    # Whom we may not signal, such as sudo, waits for our input or on our terminal.
                    self._session.channel.close()
                elif name == "TERM" and self._is_out_of_reach(family):
                    break
        is_hidden = not self._members and await look.hides(family)
        self._members += await look.left_behind(family)
        return self._report(why="the host hides processes of other users" if is_hidden else "")

    async def _look_again(self, look: Look, family: Family) -> None:
        """Look near first; that nobody is left takes a look at all."""
        await look.near(family.known)
        self._members = look.members(family)
        if not self._members and not look.table.is_whole:
            await look.everywhere()
            self._members = look.members(family)
        self._has_looked = True

    async def _signal(
        self, look: Look, family: Family, name: str, members: Sequence[RemoteProcess]
    ) -> None:
        if not members:
            return
        groups = family.groups(members)
        single = [process.pid for process in members if process.group not in groups]
        self._has_looked = False
        pids = [process.pid for process in members]
        refused = await look.shell.signal(name, groups, single, pids)
        self._refused |= refused
        if not refused:
            return
        # In this order a shell is ended before what it waits for.
        pids = [pid for pid in pids if pid in refused]
        program = family.becoming_program()
        if self._run_as is not None:
            await self._run_as(f"kill -{name} {' '.join(map(str, pids))}")
        elif program is not None:
            await look.shell.signal_as(program, name, pids)

    def _is_out_of_reach(self, family: Family) -> bool:
        """Tell whether there is nothing to wait for: nobody we could signal is left."""
        is_possible = self._run_as is not None or family.becoming_program() is not None
        return not is_possible and all(p.pid in self._refused for p in self._members)

    async def _pause(self, wait_s: float) -> None:
        """Wait for the next look; the end of the session is a reason to look at once."""
        ended = self._session.ended
        if ended.done():
            await asyncio.sleep(wait_s)
        else:
            await asyncio.wait((ended,), timeout=wait_s)

    async def _ask_the_server(self, deadline: float) -> None:
        """Leave it to the server: TERM, then KILL."""
        for name, grace_s in (("TERM", TERM_GRACE_S), ("KILL", KILL_GRACE_S)):
            if self._session.ended.done():
                return
            self._request_signal(name)
            left_s = max(0.0, deadline - self._loop.time())
            await asyncio.wait((self._session.ended,), timeout=min(grace_s, left_s))

    def _request_signal(self, name: str) -> None:
        if name not in self._requested:
            self._requested.append(name)
            self._session.channel.request("signal", name, want_reply=False)

    def _report(self, *, why: str) -> Ended:
        family, has_ended = self._family, self._session.has_ending
        # Without an answer to the last signal, who was there before may be gone.
        is_seen = family is not None and (self._has_looked or not why)
        if family is not None and is_seen:
            has_ended = has_ended or all(p.pid != family.root.pid for p in self._members)
        return Ended(
            is_gone=family is not None and not self._members and not why,
            count=self._count,
            left=tuple(self._members) if is_seen else (),
            why=why,
            has_ended=has_ended,
        )
