"""
What one run writes into the store, a batch of it in each transaction. Everything here blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fleetctl.model.events import Notice, RunFinished
from fleetctl.model.result import HostResult
from fleetctl.model.run import Run
from fleetctl.store import audit
from fleetctl.store.database import Database, StoreDamaged
from fleetctl.store.facts import Retention, RunFacts, StoreError, StoreLimits
from fleetctl.store.lost_runs import hold_run, settle_lost_runs
from fleetctl.store.marks import Mark
from fleetctl.store.outputs import Piece, add_outputs
from fleetctl.store.prune import prune
from fleetctl.store.rows import (
    Cleaner,
    facts_from_json,
    facts_to_json,
    host_row,
    to_json,
    to_microseconds,
)
from fleetctl.store.schema import RESULT_COLUMNS
from fleetctl.store.session import Session, row_of, value_of

_BEGIN = (
    "INSERT INTO runs (id, label, started_us, is_check, is_lost, host_count, counts, facts) "
    "VALUES (:id, :label, :started_us, :is_check, :is_lost, :host_count, :counts, :facts)"
)
_HOST = "INSERT INTO hosts (run_no, position, name, ran) VALUES (:run_no, :position, :name, 'no')"
_STARTING = (
    "UPDATE hosts SET ran = 'unknown' "
    "WHERE run_no = :run_no AND position = :position AND status IS NULL"
)
_SET = ", ".join(f"{name} = :{name}" for name in ("ran", *RESULT_COLUMNS))
_FINISHED = (
    f"UPDATE hosts SET {_SET} "  # noqa: S608 - columns of ours
    "WHERE run_no = :run_no AND position = :position"
)
_NOTICE = (
    "INSERT INTO notices (run_no, position, at_us, host, detail) "
    "VALUES (:run_no, :position, :at_us, :host, :detail) ON CONFLICT DO NOTHING"
)
_END = (
    "UPDATE runs SET finished_us = :finished_us, duration_s = :duration_s, counts = :counts, "
    "interrupted_by = :interrupted_by, is_lost = :is_lost WHERE no = :no"
)
_LAST_WORDS = "UPDATE runs SET exit_code = :exit_code, lost = :lost WHERE no = :no"


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
            try:
                self._no = self._begin_among_others()
            except StoreDamaged:
                self._database.begin_anew(self._note_damage)
                self._no = self._begin_among_others()
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
        with self._database.writing() as session:
            self._write_hosts(session, batch, rows)
            add_outputs(session, self._no, contents)
            notices = self._write_notices(session, batch.notices)
            if batch.end is not None:
                self._write_end(session, batch.end)
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

    def end(self, exit_code: int | None, lost: str | None) -> None:
        """
        Write the last words.

        Args:
            lost: What could not be recorded, in words.

        Raises:
            StoreError: They could not be written.
        """
        if self._no is None or not self._database.is_open:
            return
        words = {
            "no": self._no,
            "exit_code": exit_code,
            "lost": lost and self._cleaner.column(lost),
        }
        with self._database.writing() as session:
            session.run(_LAST_WORDS, words)

    def forget(self, retention: Retention, most: int) -> None:
        """
        Forget old runs, at most so many.

        Raises:
            StoreError: The database cannot be read or written.
        """
        prune(self._database, retention, who=self._who, at=datetime.now(UTC), most=most)

    def let_go(self, *, is_over: bool) -> None:
        """
        Let go of the run, and not yet of the database.

        Args:
            is_over: The end of the run is in the database.
        """
        if is_over or self._no is None:
            self._mark.remove()
        else:
            self._mark.leave()

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _begin_among_others(self) -> int:
        if settle_lost_runs(self._database, self._folder):
            self._database.check()  # what took them may have damaged the database
        hold_run(self._database, self._run.id)
        with self._database.writing() as session:
            return self._begin(session)

    def _begin(self, session: Session) -> int:
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
        found = row_of(
            session, "SELECT no, facts, started_us FROM runs WHERE id = :id", {"id": run.id}
        )
        if found is not None:
            if found[1:] != (self._facts, columns["started_us"]):
                raise StoreError(f"there is another run {run.id} in the history")
            return int(found[0])
        session.run(_BEGIN, columns)
        no = int(value_of(session, "SELECT no FROM runs WHERE id = :id", {"id": run.id}))
        rows = [
            {"run_no": no, "position": n, "name": clean.column(name)}
            for name, n in self._positions.items()
        ]
        session.run_each(_HOST, rows)
        details = {"hosts": len(rows), "label": clean.text(run.label), "check": run.check}
        audit.append(
            session,
            "run.started",
            at=self._started_at,
            who=self._who,
            run_id=run.id,
            details=details,
        )
        return no

    def _rows(self, batch: Batch) -> tuple[list[dict[str, object]], list[tuple[Piece, Piece]]]:
        rows, pieces = [], []
        for result, at in batch.results:
            row, both = host_row(result, at, self._cleaner, self._limits.output_bytes)
            position = self._positions.get(result.host.name)
            if position is None:
                continue  # no host of this run
            row["run_no"], row["position"] = self._no, position
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

    def _write_hosts(self, session: Session, batch: Batch, rows: list[dict[str, object]]) -> None:
        has_result = {row["position"] for row in rows}
        starts = [
            {"run_no": self._no, "position": position}
            for position in batch.starts
            if position not in has_result
        ]
        session.run_each(_STARTING, starts)
        session.run_each(_FINISHED, rows)

    def _write_notices(self, session: Session, notices: list[Notice]) -> int:
        rows = list(self._notice_rows(notices))
        session.run_each(_NOTICE, rows)
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

    def _write_end(self, session: Session, end: RunFinished) -> None:
        assert self._no is not None
        mine = {"no": self._no}
        if value_of(session, "SELECT finished_us FROM runs WHERE no = :no", mine) is not None:
            return  # written by a try whose end was not heard of
        counts = dict(end.counts)
        session.run(
            _END,
            {
                "no": self._no,
                "finished_us": to_microseconds(end.at),
                "duration_s": end.duration_s,
                "counts": to_json(counts),
                "interrupted_by": end.interrupted_by,
                "is_lost": False,
            },
        )
        audit.append(
            session,
            "run.finished",
            at=end.at,
            who=self._who,
            run_id=end.run_id,
            details={"counts": counts, "results": audit.digest_run(session, self._no)},
        )

    def _note_damage(self, path: Path) -> None:
        self.remarks.append(
            f"the history was damaged: it is kept as {path}, and a new one was begun"
        )
