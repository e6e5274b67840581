"""
Hosts of the fleet as they are reached through others.
"""

from __future__ import annotations

from fleetctl.lab.layout import LabHost
from fleetctl.model.host import Host
from tests.support.fleet import Fleet


def behind(fleet: Fleet, target: str, *hops: str, **changes: object) -> Host:
    """Return a host of the fleet behind others, outermost first, with some settings changed."""
    gateways = tuple(fleet.settings(fleet.host(hop)) for hop in hops)
    return fleet.model_host(fleet.host(target), gateways=gateways, **changes)


def logins(lab_host: LabHost) -> int:
    """Return how often somebody has logged in to a host."""
    return lab_host.log.read_text(errors="replace").count("Accepted publickey")
