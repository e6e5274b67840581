"""
The history in an SQLite file, through the module of the standard library.

SQLAlchemy is put on the same connection when a question or a migration needs it, and not before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fleetctl.model.errors import UsageError
from fleetctl.store.database import StoreDamaged, newer
from fleetctl.store.facts import MIB, FindStranger, StoreError
from fleetctl.store.folder import DATABASE, find_writer, opening, prepare_folder, set_aside
from fleetctl.store.rows import Garbled
from fleetctl.store.schema import APPLICATION_ID, SCHEMA_VERSION, SQLITE_SCHEMA
from fleetctl.store.session import Row, Session, Values

if TYPE_CHECKING:
    import sqlalchemy as sa

#: Larger databases are looked through only after a run that was lost: a look takes 1.5 ms a MiB.
CHECKED_BYTES = 2 * MIB

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteSession:
    """A `fleetctl.store.session.Session` on a connection of SQLite."""

    is_sqlite = True

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def run(self, statement: str, values: Values | None = None) -> int:
        return self._raw.execute(statement, values or ()).rowcount

    def run_each(self, statement: str, rows: Sequence[Values]) -> None:
        self._raw.executemany(statement, rows)

    def rows(self, statement: str, values: Values | None = None) -> Iterable[Row]:
        return self._raw.execute(statement, values or ())


class SqliteDatabase:
    """
    The `fleetctl.store.database.Database` in a folder of the user.

    Args:
        find_stranger: Says who besides the user can change what stands at a path.
        lock_s: How long another writer is waited for.
    """

    is_sqlite = True

    def __init__(self, folder: Path, *, find_stranger: FindStranger, lock_s: float) -> None:
        self._folder = folder
        self._path = folder / DATABASE
        self._find_stranger = find_stranger
        self._lock_s = lock_s
        self._raw: sqlite3.Connection | None = None
        self._engine: sa.Engine | None = None

    @property
    def place(self) -> str:
        return str(self._path)

    @property
    def is_open(self) -> bool:
        return self._raw is not None

    def open(self, *, on_damage: Callable[[Path], None] | None = None) -> None:
        self.close()
        try:
            prepare_folder(self._folder, self._find_stranger)
            with opening(self._folder, self._lock_s):
                try:
                    self._open(is_checked=on_damage is not None)
                except StoreDamaged:
                    if on_damage is None:
                        raise
                    self._begin_anew(on_damage)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        raw, self._raw = self._raw, None
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()
        if raw is not None:
            with suppress(sqlite3.Error):
                raw.close()

    def wait_at_most(self, seconds: float) -> None:
        self._lock_s = seconds
        if self._raw is not None:
            with self._explaining():
                self._raw.execute(f"PRAGMA busy_timeout = {max(1, int(seconds * 1000))}")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        # A writer that begins as a reader could not wait for another one: its view would be old.
        with self._transaction("BEGIN IMMEDIATE") as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._transaction("BEGIN") as session:
            yield session

    @contextmanager
    def querying(self) -> Iterator[sa.Connection]:
        try:
            with self._alchemy(is_writer=False) as connection:
                yield connection
        except (UnicodeDecodeError, Garbled) as error:
            raise StoreError(
                f"the history {self.place} is damaged: what a record says makes no sense",
                hint="fleetctl history verify says which; other runs can be read one by one",
            ) from error

    def check(self) -> None:
        with self.reading() as session:
            found = [row[0] for row in session.rows("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise self._damaged(" ".join(map(str, found)))

    def begin_anew(self, on_damage: Callable[[Path], None]) -> None:
        with opening(self._folder, self._lock_s):
            self._begin_anew(on_damage)

    def give_back(self) -> None:
        if self._raw is not None:
            with self._explaining():
                # Only this takes all the steps that the pragma has, one for each page.
                self._raw.executescript("PRAGMA incremental_vacuum")

    def _begin_anew(self, on_damage: Callable[[Path], None]) -> None:
        self.close()
        on_damage(set_aside(self._path))
        prepare_folder(self._folder, self._find_stranger)
        self._open(is_checked=False)

    def _open(self, *, is_checked: bool) -> None:
        with self._explaining():
            # No isolation level: SQLite's own, not what the module adds to it.
            self._raw = raw = sqlite3.connect(
                self._path, timeout=self._lock_s, isolation_level=None, check_same_thread=False
            )
            version, is_empty = _identify(raw, self._path)
            if is_checked and not is_empty and self._path.stat().st_size <= CHECKED_BYTES:
                self.check()
            _tune(raw, is_new=is_empty)
        if is_empty:
            with self.writing() as session:
                for statement in SQLITE_SCHEMA:
                    session.run(statement)
        elif version < SCHEMA_VERSION:
            self._upgrade()

    def _upgrade(self) -> None:
        from fleetctl.store.migrations import upgrade

        with self._alchemy(is_writer=True) as connection:
            upgrade(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Session]:
        raw = self._connection()
        with self._explaining():
            raw.execute(begin)
            try:
                yield SqliteSession(raw)
                raw.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    raw.rollback()
                raise

    @contextmanager
    def _alchemy(self, *, is_writer: bool) -> Iterator[sa.Connection]:
        import sqlalchemy as sa

        from fleetctl.store.alchemy import attach, transaction

        raw = self._connection()
        if self._engine is None:
            self._engine = attach(raw)
        try:
            with transaction(self._engine, is_writer=is_writer) as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            if isinstance(error.orig, sqlite3.Error):
                raise self._explained(error.orig) from error
            raise

    def _connection(self) -> sqlite3.Connection:
        if self._raw is None:
            raise StoreError("the history is not open")
        return self._raw

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(error) from error
        except (UnicodeDecodeError, Garbled) as error:
            raise self._damaged("what it says makes no sense") from error

    def _explained(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return self._damaged(str(error))
        if code in _LOCKED:
            pid = find_writer(self._path)
            holder = f"process {pid}" if pid else "another process"
            return StoreError(
                f"the history {self.place} is locked by {holder} for more than {self._lock_s:g} s",
                hint=f"see what it does: ps -fp {pid}" if pid else None,
            )
        if code == sqlite3.SQLITE_FULL:
            return StoreError(
                f"the history {self.place} cannot be written: the disk is full",
                hint="make room; fleetctl history prune forgets old runs",
            )
        return StoreError(f"the history {self.place} cannot be read or written: {error}")

    def _damaged(self, cause: str) -> StoreDamaged:
        return StoreDamaged(
            f"the history {self.place} is damaged: {cause}",
            hint="the next run sets it aside and begins a new one",
        )


def _identify(raw: sqlite3.Connection, path: Path) -> tuple[int, bool]:
    """Return the version of the database, and whether nothing is in it, without writing to it."""
    version = int(raw.execute("PRAGMA user_version").fetchone()[0])
    owner = int(raw.execute("PRAGMA application_id").fetchone()[0])
    is_empty = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not (owner == 0 and is_empty):
        raise UsageError(
            "it is a database of another program",
            file=str(path),
            hint="move it away, or name another folder in FLEETCTL_STATE",
        )
    if version > SCHEMA_VERSION:
        raise newer(version, file=str(path))
    return version, is_empty


def _tune(raw: sqlite3.Connection, *, is_new: bool) -> None:
    if is_new:
        # Pages of what was forgotten can be given back; only an empty database can be made so.
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
    raw.execute("PRAGMA journal_mode = WAL")
    # What was committed is in the hands of the system, which outlives a process that is killed.
    # Only a power failure can take the last commits away, and it never damages the database.
    raw.execute("PRAGMA synchronous = NORMAL")
