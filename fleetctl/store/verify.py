"""
Whether what is stored is what was written. Everything here blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from fleetctl.store import audit
from fleetctl.store.alchemy import AlchemySession
from fleetctl.store.answers import Verification
from fleetctl.store.database import Database, StoreDamaged
from fleetctl.store.facts import StoreError
from fleetctl.store.outputs import unpack
from fleetctl.store.tables import AUDIT, OUTPUTS, RUNS

#: More problems are not listed.
MAX_PROBLEMS = 100

_ENDS = frozenset({"run.finished", "run.lost"})


def verify(database: Database) -> Verification:
    """
    Look at every line of the audit log, every run and every output, and SQLite at its own file.

    Raises:
        StoreError: The database cannot be read.
    """
    problems: list[str] = []
    try:
        database.check()
    except StoreDamaged as damage:
        problems.append(damage.message)
    with database.querying() as connection:
        log = _Log()
        for row in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.n)):
            problems += log.read(row)
        runs = connection.execute(sa.select(RUNS).order_by(RUNS.c.no)).all()
        for row in runs:
            problems += _compare(connection, log, row)
        here = {row.id for row in runs}
        problems += [
            f"run {run_id} is in the audit log, was not forgotten, and is not in the history"
            for run_id in log.started
            if run_id not in here
        ]
        outputs = 0
        for row in connection.execute(sa.select(OUTPUTS).execution_options(yield_per=100)):
            outputs += 1
            problems += _check_output(row)
    return Verification(
        entries=log.count,
        head=log.head,
        runs=len(runs),
        outputs=outputs,
        problems=tuple(problems[:MAX_PROBLEMS]),
    )


class _Log:
    """What the lines say, read one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self.head = audit.BEGINNING
        self.started: dict[str, None] = {}
        self.results: dict[str, str] = {}

    def read(self, row: sa.Row[Any]) -> Iterator[str]:
        """Take in a line, and yield what is wrong with it."""
        self.count += 1
        if row.n != self.count:
            yield f"audit log: line {self.count} is missing"
            self.count = row.n
        if audit.link(self.head, row.line) != row.hash:
            yield f"audit log: line {row.n} is not what was written, or the one before it is not"
        self.head = row.hash
        try:
            entry = json.loads(row.line)
            event, run_id, details = entry["event"], entry["run"], entry["details"]
            if event == "run.started":
                self.started[run_id] = None
            elif event in _ENDS:
                self.results[run_id] = details["results"]
            elif event == "history.pruned":
                for gone in details["runs"]:
                    self.started.pop(gone, None)
        except (ValueError, LookupError, TypeError):
            yield f"audit log: line {row.n} is no entry"


def _compare(connection: sa.Connection, log: _Log, row: sa.Row[Any]) -> Iterator[str]:
    if row.id not in log.started:
        yield f"run {row.id} is not in the audit log"
        return
    if row.finished_us is None and not row.is_lost:
        return  # it goes on
    wanted = log.results.get(row.id)
    if wanted is None:
        yield f"the end of run {row.id} is not in the audit log"
    elif wanted != audit.digest_run(AlchemySession(connection), row.no):
        yield f"the results of run {row.id} are not what was written"


def _check_output(row: sa.Row[Any]) -> Iterator[str]:
    try:
        unpack(row.hash, row.size, row.is_packed, row.data)
    except StoreError:
        yield f"the output {row.hash.hex()} is not what was written"
