"""
Forgetting old runs, and the outputs that no other run needs. Everything here blocks.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from fleetctl.store import audit
from fleetctl.store.answers import Pruned
from fleetctl.store.database import Database
from fleetctl.store.outputs import forget_outputs
from fleetctl.store.rows import to_microseconds
from fleetctl.store.tables import HOSTS, NOTICES, OUTPUTS, RUN_OUTPUTS, RUNS
from fleetctl.store.types import Retention

#: What a host of a run takes beside its outputs, roughly.
HOST_BYTES = 300
#: Runs forgotten in one transaction: others write in between.
_AT_ONCE = 20


def prune(
    database: Database,
    retention: Retention,
    *,
    who: str,
    at: datetime,
    most: int | None = None,
    dry_run: bool = False,
) -> Pruned:
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
        return Pruned(tuple(run_id for _, run_id in chosen), 0, 0)
    forgotten: list[str] = []
    outputs = output_bytes = 0
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        nos = [no for no, _ in some]
        with database.writing() as connection:
            count, size = forget_outputs(connection, nos)
            for table in (HOSTS, NOTICES):
                connection.execute(sa.delete(table).where(table.c.run_no.in_(nos)))
            connection.execute(sa.delete(RUNS).where(RUNS.c.no.in_(nos)))
            ids = [run_id for _, run_id in some]
            audit.append(connection, "history.pruned", at=at, who=who, details={"runs": ids})
        forgotten += ids
        outputs += count
        output_bytes += size
    if forgotten:
        database.give_back()
    return Pruned(tuple(forgotten), outputs, output_bytes)


def _choose(database: Database, retention: Retention, at: datetime) -> list[tuple[int, str]]:
    """Return the runs to forget, oldest first."""
    over = RUNS.c.finished_us.is_not(None) | RUNS.c.is_lost
    columns = (RUNS.c.no, RUNS.c.id, RUNS.c.started_us, RUNS.c.host_count)
    with database.reading() as connection:
        rows = list(connection.execute(sa.select(*columns).where(over).order_by(RUNS.c.no.desc())))
        sizes = _own_bytes(connection) if retention.max_bytes is not None else {}
    oldest_us = None if retention.max_age is None else to_microseconds(at - retention.max_age)
    chosen, taken = [], 0
    is_full = False
    for rank, row in enumerate(rows):
        taken += sizes.get(row.no, 0) + row.host_count * HOST_BYTES
        is_full = is_full or (retention.max_bytes is not None and taken > retention.max_bytes)
        is_old = oldest_us is not None and row.started_us < oldest_us
        is_beyond = retention.max_runs is not None and rank >= retention.max_runs
        if is_full or is_old or is_beyond:
            chosen.append((row.no, row.id))
    return chosen[::-1]


def _own_bytes(connection: sa.Connection) -> dict[int, int]:
    """Return the bytes of outputs by the newest run that needs them: it keeps them alive."""
    newest = (
        sa.select(sa.func.max(RUN_OUTPUTS.c.run_no).label("no"), RUN_OUTPUTS.c.hash)
        .group_by(RUN_OUTPUTS.c.hash)
        .subquery()
    )
    size = sa.func.sum(sa.func.length(OUTPUTS.c.data))
    query = (
        sa.select(newest.c.no, size)
        .join(OUTPUTS, OUTPUTS.c.hash == newest.c.hash)
        .group_by(newest.c.no)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}
