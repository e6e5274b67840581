"""
What was started on a connection, in order: sshd knows no more of its commands than that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from fleetctl.ssh.remote_processes import RemoteProcess
    from fleetctl.ssh.session import Session

#: Runs a command line on the host with the rights of the command that is ended.
RunAs: TypeAlias = Callable[[str], Awaitable[None]]


class Starts:
    """
    The commands of one connection, in the order they were started.
    """

    def __init__(self) -> None:
        # What the server started for them, once that is known.
        self._roots: dict[Session, RemoteProcess | None] = {}
        self._run_as: dict[Session, RunAs] = {}

    def __contains__(self, session: Session) -> bool:
        return session in self._roots

    def add(self, session: Session, run_as: RunAs | None = None) -> None:
        """
        The request for a command, a shell or a subsystem leaves now.

        Args:
            run_as: Used to end processes that the user who is logged in may not signal.
        """
        self._roots[session] = None
        if run_as is not None:
            self._run_as[session] = run_as

    def remove(self, session: Session) -> None:
        """Nothing more will be asked about it."""
        self._roots.pop(session, None)
        self._run_as.pop(session, None)

    def run_as(self, session: Session) -> RunAs | None:
        """Return what runs lines with the rights of a command."""
        return self._run_as.get(session)

    def running(self) -> list[Session]:
        """Return those commands whose end was not reported, in the order they were started."""
        return [s for s in self._roots if not s.has_ending and s.refused is None]

    def root_of(self, session: Session) -> RemoteProcess | None:
        """Return what the server started for a command, if that is known."""
        return self._roots.get(session)

    def match(self, running: Iterable[Session], leaders: Iterable[RemoteProcess]) -> bool:
        """
        Note which process is which command's, by the order in which they were started.

        Returns:
            False if there are not as many of one as of the other.
        """
        known = {(root.pid, root.start) for root in self._roots.values() if root is not None}
        unknown = [leader for leader in leaders if (leader.pid, leader.start) not in known]
        waiting = [s for s in running if s in self._roots and self._roots[s] is None]
        if len(unknown) != len(waiting):
            return False
        self._roots.update(zip(waiting, unknown, strict=True))
        return True
