"""
The operation behind ``fleetctl ping``: reach a host and log in, run nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome


@dataclass(frozen=True, slots=True)
class Ping:
    """Connect and log in. Changes nothing, so it does the same in check mode."""

    @property
    def kind(self) -> str:
        return "ping"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Log in; the host is ok if that worked. The outcome's data say what was agreed on.

        Raises:
            FleetError: ``resolve`` to ``auth``.
        """
        return Outcome(status="ok", data=dict(await remote.connect()))
