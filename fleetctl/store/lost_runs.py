"""
Runs that nobody will finish: whose controller was killed, or lost its power.

Their hosts need no mending. What may have run is ``unknown`` in the database from before its
command left, unless the journal could not be written then, which the run's mark tells.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from fleetctl.store import audit
from fleetctl.store.database import Database
from fleetctl.store.marks import forget, is_live, is_whole
from fleetctl.store.rows import facts_from_json, reading_row
from fleetctl.store.session import row_of, value_of

_LIST = "SELECT no, id FROM runs WHERE finished_us IS NULL AND NOT is_lost"
_LOOK = "SELECT facts FROM runs WHERE no = :no AND finished_us IS NULL AND NOT is_lost"
_LOSE = "UPDATE runs SET is_lost = :is_lost WHERE no = :no"
_MAY_HAVE_RUN = "UPDATE hosts SET ran = 'unknown' WHERE run_no = :no AND status IS NULL"
_TRY_LOCK = "SELECT pg_try_advisory_lock(:lock)"


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
        mine = {"no": no}
        with database.writing() as session:
            row = row_of(session, _LOOK, mine)
            if row is None:
                continue
            whole = is_whole(folder, run_id)
            if not whole:
                session.run(_MAY_HAVE_RUN, mine)
            session.run(_LOSE, mine | {"is_lost": True})
            with reading_row():
                who = facts_from_json(row[0]).user
            audit.append(
                session,
                "run.lost",
                at=datetime.now(UTC),
                who=who,
                run_id=run_id,
                details={"journal": whole, "results": audit.digest_run(session, no)},
            )
        forget(folder, run_id)
        lost += 1
    return lost


def unfinished_runs(database: Database) -> list[tuple[int, str]]:
    """Return the runs without an end that are not known to be lost."""
    with database.reading() as session:
        return [(row[0], row[1]) for row in session.rows(_LIST)]


def hold_run(database: Database, run_id: str) -> None:
    """
    Show others of a PostgreSQL database, on other machines as well, that the run goes on.

    The server takes the lock away when the connection is gone.
    """
    if not database.is_sqlite:
        with database.writing() as session:
            session.run(_TRY_LOCK, {"lock": _lock_of(run_id)})


def _is_live(database: Database, folder: Path, run_id: str) -> bool:
    if database.is_sqlite:
        return is_live(folder, run_id)
    lock = {"lock": _lock_of(run_id)}
    with database.writing() as session:
        is_free = value_of(session, _TRY_LOCK, lock)
        if is_free:
            session.run("SELECT pg_advisory_unlock(:lock)", lock)
    return not is_free


def _lock_of(run_id: str) -> int:
    digest = hashlib.sha256(f"fleetctl run {run_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
