"""
The store of recorded runs: who writes it, and who reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleetctl.store.facts import Redact, Retention
    from fleetctl.store.history import History
    from fleetctl.store.recorder import Recorder


def make_recorder(
    folder: Path,
    *,
    url: str | None = None,
    redact: Redact | None = None,
    retention: Retention | None = None,
    warn: Callable[[str], None] | None = None,
) -> Recorder:
    """
    Make the recorder of one run; see `fleetctl.store.recorder.Recorder`.

    Args:
        folder: State folder of the user.
        url: Of a PostgreSQL database; None for SQLite in the folder.
        redact: Takes secrets out of bytes; None if there are none.
        retention: What is forgotten at the end of the run; None for the usual.
        warn: Told what the operator should know at once.
    """
    from fleetctl.ssh.blocking import in_thread
    from fleetctl.store.facts import Retention, StoreLocation
    from fleetctl.store.recorder import Recorder

    return Recorder(
        StoreLocation(folder, url),
        in_thread=in_thread,
        find_stranger=_stranger_finder(),
        redact=redact,
        retention=retention or Retention(),
        warn=warn,
    )


def make_retention(limits: Mapping[str, Any]) -> Retention:
    """
    Return what is forgotten at the end of a run.

    Args:
        limits: Fields of `fleetctl.store.facts.Retention`; the others are as usual.
    """
    from fleetctl.store.facts import Retention

    return Retention(**limits)


def open_history(folder: Path, *, url: str | None = None) -> AbstractAsyncContextManager[History]:
    """
    Open the recorded runs; see `fleetctl.store.history.open_history`.

    Args:
        folder: As for `make_recorder`.
        url: The same.
    """
    from fleetctl.ssh.blocking import in_thread
    from fleetctl.store.facts import StoreLocation
    from fleetctl.store.history import open_history as open_

    return open_(StoreLocation(folder, url), in_thread=in_thread, find_stranger=_stranger_finder())


def _stranger_finder() -> Callable[[Path], str | None]:
    from fleetctl.trust.permissions import Account, find_stranger

    account = Account.from_process()
    return lambda path: find_stranger(path, account)
