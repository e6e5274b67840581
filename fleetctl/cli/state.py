"""
Where fleetctl keeps what outlives a command, and where a user's own files are.

Source: XDG Base Directory Specification; it says to ignore a relative path.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_directory(environ: Mapping[str, str]) -> Path:
    """Return the state folder: FLEETCTL_STATE or ``$XDG_STATE_HOME/fleetctl``."""
    if own := environ.get("FLEETCTL_STATE"):
        return Path(own).expanduser()
    return _base(environ, "XDG_STATE_HOME", "~/.local/state") / "fleetctl"


def config_directory(environ: Mapping[str, str]) -> Path:
    """Return the folder of the user's own settings and inventories."""
    return _base(environ, "XDG_CONFIG_HOME", "~/.config") / "fleetctl"


def lab_directory(environ: Mapping[str, str]) -> Path:
    """Return where the lab of this user lives."""
    return state_directory(environ) / "lab"


def seen_host_keys_file(environ: Mapping[str, str]) -> Path:
    """Return the file that remembers which key each host showed, and where."""
    return state_directory(environ) / "seen-host-keys"


def _base(environ: Mapping[str, str], variable: str, otherwise: str) -> Path:
    named = environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path(otherwise).expanduser()
