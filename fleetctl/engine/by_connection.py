"""
Hosts over SSH and hosts that are this machine, in one run.
"""

from __future__ import annotations

from collections.abc import Callable

from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.ports import Connector, Link
from fleetctl.model.trace import Trace


class ByConnection:
    """
    A `fleetctl.model.ports.Connector` that leaves each host to the one for its kind of connection.

    Args:
        ssh: For hosts that are dialled.
        make_local: Makes the one for hosts that are this machine, when the first is met.
    """

    def __init__(self, ssh: Connector, make_local: Callable[[], Connector]) -> None:
        self._ssh = ssh
        self._make_local = make_local
        self._local: Connector | None = None

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> Link:
        """Connect as the host's ``connection`` says."""
        connector = self._ssh
        if host.connection == "local":
            connector = self._local = self._local or self._make_local()
        return await connector.connect(host, trace, open_session=open_session, login=login)

    async def aclose(self) -> None:
        """Close both."""
        if self._local is not None:
            await self._local.aclose()
        await self._ssh.aclose()
