"""
Forgetting old runs, and the outputs that no other run needs. Everything here blocks.
"""

from __future__ import annotations

from datetime import datetime

from fleetctl.store import audit
from fleetctl.store.database import Database
from fleetctl.store.facts import Retention
from fleetctl.store.outputs import forget_outputs
from fleetctl.store.rows import to_microseconds
from fleetctl.store.session import Row, Session, value_of

#: Ids of runs, how many outputs went with them, and the bytes of those.
Forgotten = tuple[tuple[str, ...], int, int]

#: What a host of a run takes beside its outputs, roughly.
HOST_BYTES = 300
#: Runs forgotten in one transaction: others write in between.
_AT_ONCE = 20

_FORGET = (
    "DELETE FROM hosts WHERE run_no = :no",
    "DELETE FROM notices WHERE run_no = :no",
    "DELETE FROM runs WHERE no = :no",
)
_OVER = (
    "SELECT no, id, started_us, host_count FROM runs "
    "WHERE finished_us IS NOT NULL OR is_lost ORDER BY no DESC"
)
#: Pages in use: all outputs are in them, and much else is.
_BYTES_IN_USE = (
    "SELECT (page_count - freelist_count) * page_size "
    "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
#: Bytes of outputs by the newest run that needs them: it keeps them alive.
_OWN_BYTES = (
    "SELECT newest.no, sum(length(outputs.data)) "
    "FROM (SELECT max(run_no) AS no, hash FROM run_outputs GROUP BY hash) AS newest "
    "JOIN outputs ON outputs.hash = newest.hash GROUP BY newest.no"
)


def prune(
    database: Database,
    retention: Retention,
    *,
    who: str,
    at: datetime,
    most: int | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """
    Forget what may be forgotten; runs that go on are kept, and the audit log is.

    Args:
        who: The user, for the audit log.
        at: The time now, aware.
        most: Runs to forget at most.
        dry_run: Only say which runs would go.

    Raises:
        StoreError: The database cannot be read or written; runs forgotten until then are.
    """
    chosen = _choose(database, retention, at)[:most]
    if dry_run:
        return tuple(run_id for _, run_id in chosen), 0, 0
    forgotten: list[str] = []
    outputs = output_bytes = 0
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        nos = [no for no, _ in some]
        with database.writing() as session:
            count, size = forget_outputs(session, nos)
            for statement in _FORGET:
                session.run_each(statement, [{"no": no} for no in nos])
            ids = [run_id for _, run_id in some]
            audit.append(session, "history.pruned", at=at, who=who, details={"runs": ids})
        forgotten += ids
        outputs += count
        output_bytes += size
    if forgotten:
        database.give_back()
    return tuple(forgotten), outputs, output_bytes


def _choose(database: Database, retention: Retention, at: datetime) -> list[tuple[int, str]]:
    """Return the runs to forget, oldest first."""
    with database.reading() as session:
        rows = list(session.rows(_OVER))
        sizes = _own_bytes(session, rows, retention.max_bytes)
    oldest_us = None if retention.max_age is None else to_microseconds(at - retention.max_age)
    chosen, taken = [], 0
    is_full = False
    for rank, (no, run_id, started_us, host_count) in enumerate(rows):
        taken += sizes.get(no, 0) + host_count * HOST_BYTES
        is_full = is_full or (retention.max_bytes is not None and taken > retention.max_bytes)
        is_old = oldest_us is not None and started_us < oldest_us
        is_beyond = retention.max_runs is not None and rank >= retention.max_runs
        if is_full or is_old or is_beyond:
            chosen.append((no, run_id))
    return chosen[::-1]


def _own_bytes(session: Session, rows: list[Row], most: int | None) -> dict[int, int]:
    """Return the bytes of outputs that each run keeps alive; nothing if there is room for all."""
    if most is None:
        return {}
    if session.is_sqlite:
        # Each run asks, and an answer to this is there at once, however many outputs there are.
        hosts = sum(row[3] for row in rows)
        if value_of(session, _BYTES_IN_USE) + hosts * HOST_BYTES <= most:
            return {}
    return {row[0]: int(row[1]) for row in session.rows(_OWN_BYTES)}
