"""
The audit log: lines that are only added, each with a hash over itself and all before it.

A line that was changed, left out or put in breaks the chain. Whoever can write to the database can
also make a whole new chain; who wants to notice that keeps the head of the log elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from fleetctl.model.codec import render_time
from fleetctl.store.schema import HOST_COLUMNS, RESULT_COLUMNS
from fleetctl.store.session import Session, row_of

#: What stands before the first line.
BEGINNING = "0" * 64
#: A number of ours among the advisory locks of a PostgreSQL database.
_LOCK = 0x666C7463_00000002

#: What the hash over the results of a run is made of, in this order.
_HASHED = (*HOST_COLUMNS[1:], *RESULT_COLUMNS)
_CHANGED = _HASHED.index("changed")
_RESULTS = (
    f"SELECT {', '.join(_HASHED)} FROM hosts "  # noqa: S608 - columns of ours
    "WHERE run_no = :run_no ORDER BY position"
)

_encode = json.JSONEncoder(separators=(",", ":")).encode


def append(
    session: Session,
    event: str,
    *,
    at: datetime,
    who: str,
    run_id: str | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """
    Add a line, in the transaction that writes what it tells.

    Args:
        event: ``run.started``, ``run.finished``, ``run.lost`` or ``history.pruned``.
        who: The user.
        details: JSON types only.
    """
    if not session.is_sqlite:
        session.run("SELECT pg_advisory_xact_lock(:lock)", {"lock": _LOCK})
    row = row_of(session, "SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1")
    number, before = (row[0] + 1, row[1]) if row is not None else (1, BEGINNING)
    entry = {
        "n": number,
        "at": render_time(at),
        "who": who,
        "event": event,
        "run": run_id,
        "details": dict(details or {}),
    }
    line = _encode(entry)
    session.run(
        "INSERT INTO audit (n, line, hash) VALUES (:n, :line, :hash)",
        {"n": number, "line": line, "hash": link(before, line)},
    )


def link(before: str, line: str) -> str:
    """Return the hash of a line that follows a hash, both as the log has them."""
    return hashlib.sha256(f"{before}\n{line}".encode()).hexdigest()


def digest_run(session: Session, run_no: int) -> str:
    """Return one hash over all that is recorded of the hosts of a run."""
    whole = hashlib.sha256()
    for row in session.rows(_RESULTS, {"run_no": run_no}):
        values = [value.hex() if isinstance(value, bytes) else value for value in row]
        if values[_CHANGED] is not None:
            values[_CHANGED] = bool(values[_CHANGED])
        whole.update(_encode(values).encode())
        whole.update(b"\n")
    return whole.hexdigest()
