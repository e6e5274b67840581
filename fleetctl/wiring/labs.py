"""
The throw-away fleet.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetctl.lab.fleet import LabStatus
    from fleetctl.lab.layout import Lab


def start_lab(
    directory: Path, *, hosts: int, embedded: bool, seen_host_keys: Path | None = None
) -> Lab:
    """
    Start a lab; see `fleetctl.lab.fleet.start_lab`.

    Args:
        seen_host_keys: File that remembers which key each host showed; those of another lab at the
            same place are forgotten.
    """
    from fleetctl.lab.fleet import start_lab as start

    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lab = start(directory, hosts=hosts, prefer_embedded=embedded)
    if seen_host_keys is not None:
        _forget(seen_host_keys, directory, lab)
    return lab


def stop_lab(directory: Path, *, seen_host_keys: Path | None = None) -> LabStatus | None:
    """End a lab; see `fleetctl.lab.fleet.stop_lab`. Its hosts are forgotten as in `start_lab`."""
    from fleetctl.lab.fleet import stop_lab as stop

    status = stop(directory)
    if seen_host_keys is not None and status is not None:
        _forget(seen_host_keys, directory, status.lab)
    return status


def lab_status(directory: Path) -> LabStatus | None:
    """Look at a lab; see `fleetctl.lab.fleet.lab_status`."""
    from fleetctl.lab.fleet import lab_status as status

    return status(directory)


def _forget(seen_host_keys: Path, directory: Path, lab: Lab) -> None:
    """Forget the hosts of a lab, whatever its inventory is called; a full disk is no failure."""
    from fleetctl.ssh.seen_host_keys import forget_inventory

    with contextlib.suppress(OSError):
        for inventory in (lab.inventory, directory / lab.inventory.name):
            forget_inventory(seen_host_keys, inventory)
