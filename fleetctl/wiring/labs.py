"""
The throw-away fleet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetctl.lab.fleet import LabStatus
    from fleetctl.lab.layout import Lab


def start_lab(directory: Path, *, hosts: int, embedded: bool) -> Lab:
    """Start a lab; see `fleetctl.lab.fleet.start_lab`."""
    from fleetctl.lab.fleet import start_lab as start

    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return start(directory, hosts=hosts, prefer_embedded=embedded)


def stop_lab(directory: Path) -> LabStatus | None:
    """End a lab; see `fleetctl.lab.fleet.stop_lab`."""
    from fleetctl.lab.fleet import stop_lab as stop

    return stop(directory)


def lab_status(directory: Path) -> LabStatus | None:
    """Look at a lab; see `fleetctl.lab.fleet.lab_status`."""
    from fleetctl.lab.fleet import lab_status as status

    return status(directory)
