"""
The operation behind ``fleetctl connect``: the login shell of a host for somebody who sits here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fleetctl.commands.judgement import judge
from fleetctl.model.dialogue import Dialogue
from fleetctl.model.operation import Pty, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome
from fleetctl.model.settings import HostSettings


class Seat(Protocol):
    """Where somebody sits."""

    def pty(self, settings: HostSettings) -> Pty | None:
        """Return the pseudo-terminal to ask for, as it is now."""
        ...

    def dialogue(self, settings: HostSettings) -> Dialogue: ...


@dataclass(frozen=True, slots=True)
class Connect:
    """
    Log in and let somebody use the login shell until it ends; nothing of it is kept.

    Not for other processes, as the seat is in this one.
    """

    seat: Seat

    @property
    def kind(self) -> str:
        return "connect"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Return how the shell ended; what was typed in it counts as a change.

        Raises:
            FleetError: ``resolve`` to ``auth``, ``session``, ``pty``; ``run.cancelled`` if they
                left before it ended.
        """
        if check:
            return Outcome(status="skipped")
        settings = remote.host.settings
        script = ShellScript(
            b"", pty=self.seat.pty(settings), dialogue=self.seat.dialogue(settings)
        )
        return judge(await remote.shell(script))
