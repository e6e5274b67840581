"""
Questions to the database about recorded runs. Everything here blocks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from fleetctl.model.errors import UsageError
from fleetctl.store.answers import AuditEntry, Resumption
from fleetctl.store.database import Database
from fleetctl.store.outputs import chunks, read_output, unpack
from fleetctl.store.records import host_record, run_record
from fleetctl.store.rows import facts_from_json, reading_row, to_time
from fleetctl.store.tables import AUDIT, HOSTS, NOTICES, OUTPUTS, RUNS
from fleetctl.store.types import (
    HostFilter,
    HostRecord,
    NoticeRecord,
    OutputClass,
    RunRecord,
    StoredOutput,
)

_LAST = re.compile(r"last(?:~([0-9]{1,6}))?")
_CLASS = re.compile(r"class([0-9]{1,9})")

#: A word for hosts of a run -> which those are.
_NAMED: Mapping[str, sa.ColumnElement[bool]] = {
    "ok": HOSTS.c.status == "ok",
    "failed": HOSTS.c.status.in_(("failed", "timed_out")),
    "unreachable": HOSTS.c.status == "unreachable",
    "cancelled": HOSTS.c.status == "cancelled",
    "skipped": HOSTS.c.status == "skipped",
    "changed": HOSTS.c.changed,
    "unknown": HOSTS.c.ran == "unknown",
}

#: Name of a host, and the hashes of what is kept of its stdout and stderr.
OutputUser = tuple[str, bytes | None, bytes | None]


class Reader:
    """Answers from one database. A run is named as `fleetctl.store.history.History` says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self, limit: int, label: str) -> tuple[RunRecord, ...]:
        """Return runs, newest first."""
        query = sa.select(RUNS).order_by(RUNS.c.no.desc()).limit(limit)
        if label:
            query = query.where(RUNS.c.label.contains(label, autoescape=True))
        with self._database.querying() as connection:
            rows = connection.execute(query).all()
            return tuple(_run(connection, row) for row in rows)

    def find(self, run: str) -> RunRecord:
        """Return the run of that name."""
        with self._database.querying() as connection:
            return _run(connection, find_row(connection, run))

    def hosts(self, run: str, wanted: HostFilter) -> tuple[HostRecord, ...]:
        """Return the hosts that are wanted, in the order of the run."""
        with self._database.querying() as connection:
            no = find_row(connection, run).no
            numbers = class_numbers(connection, no)
            query = sa.select(HOSTS).where(HOSTS.c.run_no == no, *_conditions(wanted, numbers))
            names = set(wanted.names)
            return tuple(
                host_record(row, numbers)
                for row in connection.execute(query.order_by(HOSTS.c.position))
                if not names or row.name in names
            )

    def classes(self, run: str) -> tuple[OutputClass, ...]:
        """Return the output classes by number."""
        by_number: dict[int, list[HostRecord]] = {}
        for host in self.hosts(run, HostFilter(has_result=True)):
            by_number.setdefault(host.class_number or 0, []).append(host)
        return tuple(
            OutputClass(number, tuple(host.name for host in members), members[0])
            for number, members in sorted(by_number.items())
        )

    def output(self, stored: StoredOutput) -> bytes | None:
        """Return the bytes of an output."""
        if not stored.sha256:
            return b"" if stored.sent_bytes == 0 else None
        with self._database.reading() as session:
            return read_output(session, bytes.fromhex(stored.sha256))

    def each_output(self, keys: Iterable[bytes]) -> Generator[tuple[bytes, bytes], None, None]:
        """Yield hash and bytes of those of these outputs that are kept, in any order."""
        for chunk in chunks(keys):
            wanted = sa.select(OUTPUTS).where(OUTPUTS.c.hash.in_(chunk))
            few = wanted.execution_options(yield_per=20)
            with self._database.querying() as connection, connection.execute(few) as rows:
                for row in rows:
                    yield row.hash, unpack(row.hash, row.size, row.is_packed, row.data)

    def notices(self, run: str) -> tuple[NoticeRecord, ...]:
        """Return the notices of a run, in their order."""
        with self._database.querying() as connection:
            no = find_row(connection, run).no
            query = sa.select(NOTICES).where(NOTICES.c.run_no == no).order_by(NOTICES.c.position)
            return tuple(_notice(row) for row in connection.execute(query))

    def names(self, run: str, what: str) -> tuple[str, ...]:
        """Return the hosts that a word stands for."""
        with self._database.querying() as connection:
            row = find_row(connection, run)
            condition = _NAMED.get(what)
            if condition is None:
                condition = _class_condition(connection, row, what)
            query = sa.select(HOSTS.c.name).where(HOSTS.c.run_no == row.no, condition)
            return tuple(connection.execute(query.order_by(HOSTS.c.position)).scalars())

    def resumption(self, run: str) -> Resumption:
        """Return what is done, what is not, and what nobody knows."""
        with self._database.querying() as connection:
            row = find_row(connection, run)
            columns = (HOSTS.c.name, HOSTS.c.status, HOSTS.c.ran)
            query = sa.select(*columns).where(HOSTS.c.run_no == row.no).order_by(HOSTS.c.position)
            kinds: dict[str, list[str]] = {"done": [], "waiting": [], "unknown": []}
            for host in connection.execute(query):
                kinds[_progress(host.status, host.ran)].append(host.name)
            return Resumption(
                _run(connection, row),
                done=tuple(kinds["done"]),
                waiting=tuple(kinds["waiting"]),
                unknown=tuple(kinds["unknown"]),
            )

    def audit(self, limit: int) -> tuple[AuditEntry, ...]:
        """Return lines of the audit log, newest first."""
        query = sa.select(AUDIT).order_by(AUDIT.c.n.desc()).limit(limit)
        with self._database.querying() as connection:
            return tuple(AuditEntry(*row) for row in connection.execute(query))

    def output_users(self, run: str) -> tuple[RunRecord, Sequence[OutputUser]]:
        """Return a run, and of its hosts the name and the hashes of what is kept."""
        columns = (HOSTS.c.name, HOSTS.c.stdout_hash, HOSTS.c.stderr_hash)
        with self._database.querying() as connection:
            row = find_row(connection, run)
            query = sa.select(*columns).where(HOSTS.c.run_no == row.no).order_by(HOSTS.c.position)
            users = [(user[0], user[1], user[2]) for user in connection.execute(query)]
            return _run(connection, row), users


def find_row(connection: sa.Connection, run: str) -> sa.Row[Any]:
    """
    Return the row of a run.

    Raises:
        UsageError: There is none of that name, or more than one.
    """
    match = _LAST.fullmatch(run)
    query = sa.select(RUNS).order_by(RUNS.c.no.desc())
    if match:
        others = RUNS.c.no.not_in(_own_runs(connection))
        rest = query.where(others).offset(int(match[1] or 0)).limit(1)
        row = connection.execute(rest).one_or_none()
        if row is None:
            number = sa.select(sa.func.count()).select_from(RUNS).where(others)
            count = connection.execute(number).scalar_one()
            raise UsageError(
                f"there is no run {run}: {count} are recorded" if count else "no run is recorded",
                hint="fleetctl history list" if count else None,
            )
        return row
    rows = connection.execute(
        query.where(RUNS.c.id.startswith(run, autoescape=True)).limit(3)
    ).all()
    exact = [row for row in rows if row.id == run]
    if len(rows) == 1 or exact:
        return (exact or rows)[0]
    if rows and run:
        ids = ", ".join(row.id for row in rows)
        raise UsageError(f'"{run}" begins more than one run: {ids}', hint="give more of the id")
    raise UsageError(f'there is no run "{run}"', hint="fleetctl history list")


def _own_runs(connection: sa.Connection) -> list[int]:
    """Return the runs that this process is recording: nobody means those by the last one."""
    going_on = RUNS.c.finished_us.is_(None) & ~RUNS.c.is_lost
    own = os.uname().nodename, os.getpid()
    found = []
    for row in connection.execute(sa.select(RUNS.c.no, RUNS.c.facts).where(going_on)):
        with reading_row():
            facts = facts_from_json(row.facts)
        if (facts.controller, facts.pid) == own:
            found.append(row.no)
    return found


def class_numbers(connection: sa.Connection, run_no: int) -> dict[bytes, int]:
    """Return the number of each output class: biggest first, then by its first host."""
    query = (
        sa.select(HOSTS.c.class_key)
        .where(HOSTS.c.run_no == run_no, HOSTS.c.class_key.is_not(None))
        .group_by(HOSTS.c.class_key)
        .order_by(sa.func.count().desc(), sa.func.min(HOSTS.c.position))
    )
    return {key: n for n, key in enumerate(connection.execute(query).scalars(), 1)}


def _conditions(wanted: HostFilter, numbers: Mapping[bytes, int]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(HOSTS.c.status.in_(wanted.statuses))
    if wanted.ran:
        conditions.append(HOSTS.c.ran.in_(wanted.ran))
    if wanted.changed is not None:
        conditions.append(sa.func.coalesce(HOSTS.c.changed, sa.false()) == wanted.changed)
    if wanted.has_result is not None:
        conditions.append(HOSTS.c.status.is_not(None) == wanted.has_result)
    if wanted.class_number is not None:
        keys = [key for key, number in numbers.items() if number == wanted.class_number]
        conditions.append(HOSTS.c.class_key.in_(keys))
    return conditions


def _class_condition(
    connection: sa.Connection, row: sa.Row[Any], what: str
) -> sa.ColumnElement[bool]:
    match = _CLASS.fullmatch(what)
    if match is None:
        words = ", ".join([*_NAMED, "class1"])
        raise UsageError(f'"{what}" is no group of hosts of a run', hint=f"one of {words}")
    numbers = class_numbers(connection, row.no)
    for key, number in numbers.items():
        if number == int(match[1]):
            return HOSTS.c.class_key == key
    count = len(numbers)
    raise UsageError(
        f"run {row.id} has no {what}: it has {count} output class{'es' if count != 1 else ''}",
        hint=f"fleetctl history show {row.id}",
    )


def _run(connection: sa.Connection, row: sa.Row[Any]) -> RunRecord:
    if row.finished_us is not None:
        return run_record(row, None, is_live=False)
    query = (
        sa.select(HOSTS.c.status, sa.func.count())
        .where(HOSTS.c.run_no == row.no, HOSTS.c.status.is_not(None))
        .group_by(HOSTS.c.status)
    )
    counts = {str(found[0]): int(found[1]) for found in connection.execute(query)}
    return run_record(row, counts, is_live=not row.is_lost)


def _progress(status: str | None, ran: str) -> str:
    if status is None:
        return "waiting" if ran == "no" else "unknown"
    if status == "cancelled" and ran == "no":
        return "waiting"
    return "unknown" if ran == "unknown" else "done"


def _notice(row: sa.Row[Any]) -> NoticeRecord:
    with reading_row():
        detail = json.loads(row.detail)
        at = to_time(row.at_us)
        assert at is not None
        return NoticeRecord(detail["kind"], detail["message"], at, row.host, detail["hint"])
