"""
Opens "connections" to this machine: nothing is dialled and nobody logs in.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetctl.local.link import LocalLink
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.trace import Trace


class LocalConnector:
    """
    Implements `fleetctl.model.ports.Connector` for hosts that are this machine.

    A host's settings of how to reach and log in to it have no meaning here, its User included:
    commands run as whoever runs fleetctl. Source: ansible-core, connection plugin ``local``.

    Args:
        environ: The environment of commands, fleetctl's own.
    """

    def __init__(self, *, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> LocalLink:
        """
        Return at once; the trace gets no phase and no address, because there is none.

        Raises:
            FleetError: ``auth.no_method``: a login is asked for.
        """
        if login is not None:
            raise FleetError(
                "auth.no_method",
                "this machine itself is not logged in to, so a key cannot be tried",
                hint="give it an address: ansible_connection=ssh, or HostName 127.0.0.1",
            )
        return LocalLink(host, self._environ)

    async def aclose(self) -> None:
        """Do nothing: links share nothing, and belong to their owner."""
