"""
Where runs are recorded, and for how long, as the settings say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fleetctl.cli.defaults import defaults
from fleetctl.cli.state import state_directory
from fleetctl.wiring.history import make_retention

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import Retention


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """
    Where the history is.

    Attributes:
        folder: State folder of the user.
        url: Of a PostgreSQL database; None for SQLite in the folder.
        retention: What is forgotten at the end of a run.
    """

    folder: Path
    url: str | None
    retention: Retention


def history_place(environ: Mapping[str, str]) -> HistoryPlace:
    """
    Return what the settings files say of the history.

    Raises:
        UsageError: With all mistakes of the settings files.
    """
    values = {name: default.value for name, default in defaults().items()}
    days = values.get("history_days")
    given = {
        "max_age": None if days is None else timedelta(days=days),
        "max_runs": values.get("history_runs"),
        "max_bytes": values.get("history_size"),
    }
    return HistoryPlace(
        state_directory(environ),
        values.get("history_url"),
        make_retention({name: value for name, value in given.items() if value is not None}),
    )
