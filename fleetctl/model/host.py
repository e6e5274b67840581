"""
One entry of the inventory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fleetctl.model.settings import HostSettings

ConnectionKind = Literal["ssh", "local"]


@dataclass(frozen=True, slots=True)
class Host:
    """
    One inventory entry, its settings already resolved.

    Attributes:
        name: Unique; the key everywhere. Not necessarily its DNS name.
        groups: Names of the groups it is in, nearest first, ending with ``all``.
        vars: Variables for templates (settings are not variables).
        settings: How to reach and log in to it.
        connection: ``local`` if commands run on this machine itself, without SSH.
    """

    name: str
    groups: tuple[str, ...] = ()
    vars: Mapping[str, object] = field(default_factory=dict)
    settings: HostSettings = field(default_factory=HostSettings)
    connection: ConnectionKind = "ssh"

    @property
    def hostname(self) -> str:
        """The address dialled: HostName if set, else the name."""
        return self.settings.hostname or self.name
