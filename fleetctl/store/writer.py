"""
What one run writes into the store, a batch of it in each transaction. Everything here blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from fleetctl.model.events import Notice, RunFinished
from fleetctl.model.result import HostResult
from fleetctl.model.run import Run
from fleetctl.store import audit
from fleetctl.store.database import Database, StoreDamaged
from fleetctl.store.lost_runs import hold_run, settle_lost_runs
from fleetctl.store.marks import Mark
from fleetctl.store.outputs import Piece, add_outputs
from fleetctl.store.rows import (
    Cleaner,
    facts_from_json,
    facts_to_json,
    host_row,
    to_json,
    to_microseconds,
)
from fleetctl.store.tables import HOSTS, NOTICES, RUNS, insert_once
from fleetctl.store.types import RunFacts, StoreError, StoreLimits

_UPDATED = (
    "ran status class_key changed exit_status exit_signal stdout_hash stdout_sent stdout_kept "
    "stderr_hash stderr_sent stderr_kept address port login attempts started_us finished_us "
    "duration_s detail"
).split()


@dataclass(slots=True)
class Batch:
    """
    What is written at once. Mutable on purpose: it is filled until its turn comes.

    Attributes:
        starts: Positions of hosts whose command is about to leave.
        results: With the time they were made.
        end: The end of the run.
    """

    starts: list[int] = field(default_factory=list)
    results: list[tuple[HostResult, datetime]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    end: RunFinished | None = None

    def __len__(self) -> int:
        return len(self.starts) + len(self.results) + len(self.notices) + (self.end is not None)

    def add(self, later: Batch) -> None:
        """Take in what comes after."""
        self.starts += later.starts
        self.results += later.results
        self.notices += later.notices
        self.end = later.end or self.end

    def parts(self) -> Iterator[Batch]:
        """Yield the same in as many batches as possible."""
        yield Batch(starts=self.starts)
        for result in self.results:
            yield Batch(results=[result])
        for notice in self.notices:
            yield Batch(notices=[notice])
        yield Batch(end=self.end)


class RunWriter:
    """
    One run on its way into the database.

    Attributes:
        remarks: What the operator should know, about a database that was set aside for one.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        run: Run,
        facts: RunFacts,
        *,
        cleaner: Cleaner,
        limits: StoreLimits,
        started_at: datetime,
    ) -> None:
        self.remarks: list[str] = []
        self._database = database
        self._folder = folder
        self._mark = Mark(folder, run.id)
        self._run = run
        self._facts = facts_to_json(facts, cleaner)
        self._who = facts_from_json(self._facts).user
        self._cleaner = cleaner
        self._limits = limits
        self._started_at = started_at
        self._positions = {one.host.name: n for n, one in enumerate(run.assignments)}
        self._no: int | None = None
        # Outputs that the run needs are in the database for as long as the run is.
        self._kept: set[bytes] = set()
        self._kept_bytes = 0
        self._notice_count = 0

    @property
    def is_begun(self) -> bool:
        """Whether the run and its hosts are in the database."""
        return self._no is not None

    def open(self) -> None:
        """
        Open the database and put the run and its hosts into it.

        Raises:
            UsageError: As `Database.open`.
            StoreError: It cannot be done now; to be called again later.
        """
        if not self._database.is_open:
            self._database.open(on_damage=self._note_damage)
        try:
            self._mark.make()
        except OSError as error:
            where = error.filename or self._folder
            raise StoreError(f"{where} cannot be made: {error.strerror}") from None
        if self._no is None:
            self._look_after_others()
            hold_run(self._database, self._run.id)
            with self._database.writing() as connection:
                no = self._begin(connection)
            self._no = no
        elif not self._database.is_sqlite:
            hold_run(self._database, self._run.id)

    def write(self, batch: Batch) -> None:
        """
        Commit a batch, wholly or not at all. One that was committed may be written again.

        Raises:
            StoreError: It was not committed, or nobody knows.
            UsageError: As `open`, of a database that was not open yet.
        """
        if self._no is None or not self._database.is_open:
            self.open()
        assert self._no is not None
        rows, pieces = self._rows(batch)
        contents, kept_bytes = self._choose(rows, pieces)
        with self._database.writing() as connection:
            self._write_hosts(connection, batch, rows)
            add_outputs(connection, self._no, contents)
            notices = self._write_notices(connection, batch.notices)
            if batch.end is not None:
                self._write_end(connection, batch.end)
        self._kept.update(contents)
        self._kept_bytes += kept_bytes
        self._notice_count += notices

    def say(self, *, is_whole: bool) -> None:
        """Say outside the database whether what may have run is in it; see `Mark`."""
        self._mark.say(is_whole=is_whole)

    def wait_at_most(self, seconds: float) -> None:
        """Wait so long for other writers from now on."""
        self._database.wait_at_most(seconds)

    def disconnect(self) -> None:
        """Give a connection up that may be broken; the next `write` makes another."""
        if not self._database.is_sqlite:
            self._database.close()

    def close(self, exit_code: int | None, lost: str | None, *, is_over: bool) -> None:
        """
        Write the last words and let go of the run, whatever happens.

        Args:
            lost: What could not be recorded, in words.
            is_over: The end of the run is in the database.

        Raises:
            StoreError: The last words could not be written.
        """
        try:
            if self._no is not None and self._database.is_open:
                words = {"exit_code": exit_code, "lost": lost and self._cleaner.column(lost)}
                with self._database.writing() as connection:
                    mine = sa.update(RUNS).where(RUNS.c.no == self._no)
                    connection.execute(mine.values(words))
        finally:
            self._database.close()
            if is_over or self._no is None:
                self._mark.remove()
            else:
                self._mark.leave()

    def _look_after_others(self) -> None:
        """Settle runs that were lost; what took them may have damaged the database."""
        try:
            if settle_lost_runs(self._database, self._folder):
                self._database.check()
        except StoreDamaged:
            self._database.begin_anew(self._note_damage)

    def _begin(self, connection: sa.Connection) -> int:
        """Insert the run and its hosts, unless a try whose end was not heard of has done so."""
        run, clean = self._run, self._cleaner
        columns: dict[str, object] = {
            "id": run.id,
            "label": clean.column(run.label),
            "started_us": to_microseconds(self._started_at),
            "is_check": run.check,
            "is_lost": False,
            "host_count": len(run.assignments),
            "counts": "{}",
            "facts": self._facts,
        }
        found = connection.execute(sa.select(RUNS).where(RUNS.c.id == run.id)).one_or_none()
        if found is not None:
            if (found.facts, found.started_us) != (self._facts, columns["started_us"]):
                raise StoreError(f"there is another run {run.id} in the history")
            return int(found.no)
        key = connection.execute(sa.insert(RUNS).values(columns)).inserted_primary_key
        assert key is not None
        rows = [
            {"run_no": key.no, "position": n, "name": clean.column(name), "ran": "no"}
            for name, n in self._positions.items()
        ]
        if rows:
            connection.execute(sa.insert(HOSTS), rows)
        details = {"hosts": len(rows), "label": clean.text(run.label), "check": run.check}
        audit.append(
            connection,
            "run.started",
            at=self._started_at,
            who=self._who,
            run_id=run.id,
            details=details,
        )
        return int(key.no)

    def _rows(self, batch: Batch) -> tuple[list[dict[str, object]], list[tuple[Piece, Piece]]]:
        rows, pieces = [], []
        for result, at in batch.results:
            row, both = host_row(result, at, self._cleaner, self._limits.output_bytes)
            position = self._positions.get(result.host.name)
            if position is None:
                continue  # no host of this run
            row |= {"b_run_no": self._no, "b_position": position}
            rows.append(row)
            pieces.append(both)
        return rows, pieces

    def _choose(
        self, rows: list[dict[str, object]], pieces: list[tuple[Piece, Piece]]
    ) -> tuple[dict[bytes, bytes], int]:
        """Return the outputs to add, and their size; those over the limit are not kept."""
        contents: dict[bytes, bytes] = {}
        size = 0
        for row, both in zip(rows, pieces, strict=True):
            for stream, piece in zip(("stdout", "stderr"), both, strict=True):
                key = piece.hash
                if key is None or key in self._kept or key in contents:
                    continue
                if self._kept_bytes + size + len(piece.data) > self._limits.run_bytes:
                    row[f"{stream}_kept"] = 0
                    continue
                contents[key] = piece.data
                size += len(piece.data)
        return contents, size

    def _write_hosts(
        self, connection: sa.Connection, batch: Batch, rows: list[dict[str, object]]
    ) -> None:
        has_result = {row["b_position"] for row in rows}
        starts = [
            {"b_run_no": self._no, "b_position": position, "ran": "unknown"}
            for position in batch.starts
            if position not in has_result
        ]
        if starts:
            connection.execute(_STARTING, starts)
        if rows:
            connection.execute(_FINISHED, rows)

    def _write_notices(self, connection: sa.Connection, notices: list[Notice]) -> int:
        rows = list(self._notice_rows(notices))
        if rows:
            connection.execute(insert_once(connection, NOTICES), rows)
        return len(rows)

    def _notice_rows(self, notices: list[Notice]) -> Iterator[dict[str, object]]:
        room = self._limits.notices - self._notice_count
        for n, notice in enumerate(notices[: max(0, room)], self._notice_count):
            detail = {"kind": notice.kind, "message": notice.message, "hint": notice.hint}
            yield {
                "run_no": self._no,
                "position": n,
                "at_us": to_microseconds(notice.at),
                "host": self._cleaner.column(notice.host.name) if notice.host else None,
                "detail": to_json(self._cleaner.json(detail)),
            }

    def _write_end(self, connection: sa.Connection, end: RunFinished) -> None:
        assert self._no is not None
        mine = RUNS.c.no == self._no
        if connection.execute(sa.select(RUNS.c.finished_us).where(mine)).scalar() is not None:
            return  # written by a try whose end was not heard of
        counts = dict(end.counts)
        connection.execute(
            sa.update(RUNS)
            .where(mine)
            .values(
                finished_us=to_microseconds(end.at),
                duration_s=end.duration_s,
                counts=to_json(counts),
                interrupted_by=end.interrupted_by,
                is_lost=False,
            )
        )
        audit.append(
            connection,
            "run.finished",
            at=end.at,
            who=self._who,
            run_id=end.run_id,
            details={"counts": counts, "results": audit.digest_run(connection, self._no)},
        )

    def _note_damage(self, path: Path) -> None:
        self.remarks.append(
            f"the history was damaged: it is kept as {path}, and a new one was begun"
        )


_ONE_HOST = (HOSTS.c.run_no == sa.bindparam("b_run_no")) & (
    HOSTS.c.position == sa.bindparam("b_position")
)
_STARTING = (
    sa.update(HOSTS).where(_ONE_HOST, HOSTS.c.status.is_(None)).values(ran=sa.bindparam("ran"))
)
_FINISHED = sa.update(HOSTS).where(_ONE_HOST).values({n: sa.bindparam(n) for n in _UPDATED})
