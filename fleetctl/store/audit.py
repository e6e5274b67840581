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

import sqlalchemy as sa

from fleetctl.model.codec import render_time
from fleetctl.store.tables import AUDIT, HOSTS

#: What stands before the first line.
BEGINNING = "0" * 64
#: A number of ours among the advisory locks of a PostgreSQL database.
_LOCK = 0x666C7463_00000002


def append(
    connection: sa.Connection,
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
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = sa.select(AUDIT.c.n, AUDIT.c.hash).order_by(AUDIT.c.n.desc()).limit(1)
    row = connection.execute(last).one_or_none()
    number, before = (row.n + 1, row.hash) if row is not None else (1, BEGINNING)
    entry = {
        "n": number,
        "at": render_time(at),
        "who": who,
        "event": event,
        "run": run_id,
        "details": dict(details or {}),
    }
    line = json.dumps(entry, separators=(",", ":"))
    connection.execute(sa.insert(AUDIT), {"n": number, "line": line, "hash": link(before, line)})


def link(before: str, line: str) -> str:
    """Return the hash of a line that follows a hash, both as the log has them."""
    return hashlib.sha256(f"{before}\n{line}".encode()).hexdigest()


def digest_run(connection: sa.Connection, run_no: int) -> str:
    """Return one hash over all that is recorded of the hosts of a run."""
    whole = hashlib.sha256()
    columns = [column for column in HOSTS.columns if column.name != "run_no"]
    rows = sa.select(*columns).where(HOSTS.c.run_no == run_no).order_by(HOSTS.c.position)
    for row in connection.execute(rows):
        values = [value.hex() if isinstance(value, bytes) else value for value in row]
        whole.update(json.dumps(values, separators=(",", ":")).encode())
        whole.update(b"\n")
    return whole.hexdigest()
