"""
Runs that nobody will finish: whose controller was killed, or lost its power.

Their hosts need no mending. What may have run is ``unknown`` in the database from before its
command left, unless the journal could not be written then, which the run's mark tells.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from fleetctl.store import audit
from fleetctl.store.database import Database
from fleetctl.store.marks import forget, is_live, is_whole
from fleetctl.store.rows import run_record
from fleetctl.store.tables import HOSTS, RUNS


def settle_lost_runs(database: Database, folder: Path) -> int:
    """
    Record which runs were lost; hosts of a run without a whole journal become ``unknown``. Blocks.

    Returns:
        How many were lost.

    Raises:
        StoreError: The database cannot be read or written.
    """
    lost = 0
    for no, run_id in unfinished_runs(database):
        if _is_live(database, folder, run_id):
            continue
        with database.writing() as connection:
            open_ = sa.and_(RUNS.c.no == no, RUNS.c.finished_us.is_(None), ~RUNS.c.is_lost)
            row = connection.execute(sa.select(RUNS).where(open_)).one_or_none()
            if row is None:
                continue
            whole = is_whole(folder, run_id)
            if not whole:
                silent = (HOSTS.c.run_no == no) & HOSTS.c.status.is_(None)
                connection.execute(sa.update(HOSTS).where(silent).values(ran="unknown"))
            connection.execute(sa.update(RUNS).where(open_).values(is_lost=True))
            audit.append(
                connection,
                "run.lost",
                at=datetime.now(UTC),
                who=run_record(row, {}, is_live=False).facts.user,
                run_id=run_id,
                details={"journal": whole, "results": audit.digest_run(connection, no)},
            )
        forget(folder, run_id)
        lost += 1
    return lost


def unfinished_runs(database: Database) -> list[tuple[int, str]]:
    """Return the runs without an end that are not known to be lost."""
    unfinished = RUNS.c.finished_us.is_(None) & ~RUNS.c.is_lost
    with database.reading() as connection:
        rows = connection.execute(sa.select(RUNS.c.no, RUNS.c.id).where(unfinished))
        return [(row.no, row.id) for row in rows]


def hold_run(database: Database, run_id: str) -> None:
    """
    Show others of a PostgreSQL database, on other machines as well, that the run goes on.

    The server takes the lock away when the connection is gone.
    """
    if not database.is_sqlite:
        with database.writing() as connection:
            connection.execute(sa.select(sa.func.pg_try_advisory_lock(_lock_of(run_id))))


def _is_live(database: Database, folder: Path, run_id: str) -> bool:
    if database.is_sqlite:
        return is_live(folder, run_id)
    key = _lock_of(run_id)
    with database.writing() as connection:
        is_free = connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar()
        if is_free:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
    return not is_free


def _lock_of(run_id: str) -> int:
    digest = hashlib.sha256(f"fleetctl run {run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
