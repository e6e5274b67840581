"""
One connection to the database of the store, opened, checked and brought up to date.

Everything here blocks, and belongs to one thread at a time. The errors of SQLite and PostgreSQL
become `StoreError`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from fleetctl.model.errors import UsageError
from fleetctl.store.folder import FindStranger, find_writer, opening, prepare_folder, set_aside
from fleetctl.store.rows import Garbled
from fleetctl.store.tables import APPLICATION_ID, SCHEMA_VERSION
from fleetctl.store.types import MIB, StoreError, StoreLocation

#: Larger databases are looked through only after a run that was lost.
CHECKED_BYTES = 32 * MIB

#: A number of ours among the advisory locks of a PostgreSQL database.
UPGRADE_LOCK = 0x666C7463_00000001

_IS_WRITER = "fleetctl_is_writer"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class StoreDamaged(StoreError):
    """The database file is torn or corrupt."""


class Database:
    """
    A connection, and how to write and read with it.

    Args:
        find_stranger: Says who besides the user can change what stands at a path.
        lock_s: How long another writer is waited for.
    """

    def __init__(
        self, location: StoreLocation, *, find_stranger: FindStranger, lock_s: float
    ) -> None:
        self.is_sqlite = location.url is None
        self._location = location
        self._find_stranger = find_stranger
        self._lock_s = lock_s
        self._path: Path | None = None
        self._url: sa.URL | None = None
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None

    @property
    def place(self) -> str:
        """The path, or the URL without its password; for messages."""
        if self._url is not None:
            return self._url.render_as_string(hide_password=True)
        return str(self._path or self._location.folder)

    def open(self, *, on_damage: Callable[[Path], None] | None = None) -> None:
        """
        Connect, after making the database or bringing it up to date if need be.

        Args:
            on_damage: A damaged SQLite database is renamed, its new path told, and another one
                begun; None to leave it as it is, and not to look for damage.

        Raises:
            UsageError: Others can write there; the database is newer, or not ours; the URL is
                wrong. Nothing was written.
            StoreError: It cannot be opened.
        """
        self.close()
        try:
            if self._location.url is not None:
                self._open_postgresql(self._location.url)
            else:
                self._open_in_folder(self._location.folder, on_damage)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up; what is not committed is undone."""
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        if connection is not None:
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()
        if engine is not None:
            engine.dispose()

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def wait_at_most(self, seconds: float) -> None:
        """Wait so long for other writers from now on; errors as `writing`."""
        self._lock_s = seconds
        milliseconds = max(1, int(seconds * 1000))
        if self._connection is None:
            return
        setting = (
            f"PRAGMA busy_timeout = {milliseconds}"
            if self.is_sqlite
            else f"SET SESSION lock_timeout = {milliseconds}"
        )
        with self._transaction(is_writer=not self.is_sqlite) as connection:
            connection.exec_driver_sql(setting)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """
        Give the connection in a transaction that may write; committed at the end, or undone.

        Raises:
            StoreError: It could not be, and nothing of it was written.
        """
        with self._transaction(is_writer=True) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give the connection in a transaction that sees one state; errors as `writing`."""
        with self._transaction(is_writer=False) as connection:
            yield connection

    def check(self) -> None:
        """
        Look through the whole SQLite database for damage.

        Raises:
            StoreError: It is damaged, or cannot be read.
        """
        if not self.is_sqlite:
            return
        with self.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise self._damaged(str(found))

    def give_back(self) -> None:
        """Give free pages of SQLite back to the file system; PostgreSQL does so by itself."""
        if self.is_sqlite and self._connection is not None:
            try:
                # Only this takes all the steps that the pragma has, one for each page.
                _raw(self._connection).executescript("PRAGMA incremental_vacuum")
            except sqlite3.Error as error:
                raise self._explained_sqlite(error) from error

    @contextmanager
    def _transaction(self, *, is_writer: bool) -> Iterator[sa.Connection]:
        if self._connection is None:
            raise StoreError("the history is not open")
        connection = self._connection.execution_options(**{_IS_WRITER: is_writer})
        try:
            with connection.begin():
                if not (self.is_sqlite or is_writer):
                    connection.exec_driver_sql(
                        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
                    )
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._explained(error) from error
        except (UnicodeDecodeError, Garbled) as error:
            raise self._damaged("what it says makes no sense") from error

    def _open_in_folder(self, folder: Path, on_damage: Callable[[Path], None] | None) -> None:
        self._path = path = prepare_folder(folder, self._find_stranger)
        with opening(folder, self._lock_s):
            try:
                self._open_sqlite(path, is_checked=on_damage is not None)
            except StoreDamaged:
                if on_damage is None:
                    raise
                self._begin_anew(path, on_damage)

    def begin_anew(self, on_damage: Callable[[Path], None]) -> None:
        """
        Rename the SQLite database that is open and turned out to be damaged, and begin another.

        Args:
            on_damage: Told the new path of the damaged one.

        Raises:
            StoreError: As `open`.
        """
        assert self._path is not None
        with opening(self._path.parent, self._lock_s):
            self._begin_anew(self._path, on_damage)

    def _begin_anew(self, path: Path, on_damage: Callable[[Path], None]) -> None:
        self.close()
        on_damage(set_aside(path))
        self._open_sqlite(prepare_folder(path.parent, self._find_stranger), is_checked=False)

    def _open_sqlite(self, path: Path, *, is_checked: bool) -> None:
        def connect() -> sqlite3.Connection:
            # No isolation level: SQLite's own, not what the module adds to it.
            return sqlite3.connect(
                path, timeout=self._lock_s, isolation_level=None, check_same_thread=False
            )

        self._engine = sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)
        sa.event.listen(self._engine, "begin", _begin_sqlite)
        try:
            self._connection = self._engine.connect()
            raw = _raw(self._connection)
            version = _identify(raw, path)
            if is_checked and version and path.stat().st_size <= CHECKED_BYTES:
                self.check()
            _tune(raw, is_new=not version)
        except sa.exc.DBAPIError as error:
            raise self._explained(error) from error
        except sqlite3.Error as error:
            raise self._explained_sqlite(error) from error
        except UnicodeDecodeError as error:
            raise self._damaged("text in it is no text") from error
        if version < SCHEMA_VERSION:
            self._upgrade()

    def _open_postgresql(self, text: str) -> None:
        self._url = url = _parse_url(text)
        milliseconds = max(1, int(self._lock_s * 1000))
        try:
            self._engine = sa.create_engine(
                url,
                poolclass=NullPool,
                connect_args={
                    "connect_timeout": max(2, round(self._lock_s)),
                    "application_name": "fleetctl",
                    "options": f"-c lock_timeout={milliseconds} -c timezone=UTC",
                },
            )
        except ImportError:
            raise UsageError(
                "a history in PostgreSQL needs psycopg, which is not installed",
                hint="pip install 'fleetctl[pg]'",
            ) from None
        try:
            self._connection = self._engine.connect()
        except sa.exc.DBAPIError as error:
            raise self._explained(error) from error
        with self.reading() as connection:
            version = _version_in_postgresql(connection, self.place)
        if version < SCHEMA_VERSION:
            self._upgrade()

    def _upgrade(self) -> None:
        from fleetctl.store.migrations import upgrade

        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            upgrade(connection)
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    def _explained(self, error: sa.exc.DBAPIError) -> StoreError:
        if isinstance(error.orig, sqlite3.Error):
            return self._explained_sqlite(error.orig)
        cause = " ".join(str(error.orig).split())
        return StoreError(
            f"the history in {self.place} cannot be reached or written: {cause}",
            hint="see whether the server runs and lets you in: psql, with the same URL",
        )

    def _explained_sqlite(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return self._damaged(str(error))
        if code in _LOCKED:
            assert self._path is not None
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


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that begins as a reader could not wait for another one: its view would be old.
    is_writer = connection.get_execution_options().get(_IS_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _identify(raw: sqlite3.Connection, path: Path) -> int:
    """Return the version of the database, 0 for one that is empty, without writing to it."""
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
        raise _newer(version, file=str(path))
    return version


def _tune(raw: sqlite3.Connection, *, is_new: bool) -> None:
    if is_new:
        # Pages of what was forgotten can be given back; only an empty database can be made so.
        raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
    raw.execute("PRAGMA journal_mode = WAL")
    # What was committed is in the hands of the system, which outlives a process that is killed.
    # Only a power failure can take the last commits away, and it never damages the database.
    raw.execute("PRAGMA synchronous = NORMAL")


def _parse_url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(
            "the URL of the history is not understood", hint="postgresql://user@host/name"
        ) from None
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise UsageError(
            f"the history cannot be kept in {url.drivername}", hint="postgresql://user@host/name"
        )
    return url.set(drivername="postgresql+psycopg")


def _version_in_postgresql(connection: sa.Connection, place: str) -> int:
    known = connection.execute(sa.text("SELECT to_regclass('alembic_version')")).scalar()
    if known is None:
        return 0
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    version = int(found) if found is not None and str(found).isdecimal() else 0
    if version > SCHEMA_VERSION:
        raise _newer(version, file=place)
    return version


def _newer(version: int, *, file: str) -> UsageError:
    return UsageError(
        f"the history is of version {version}, and this fleetctl knows {SCHEMA_VERSION}",
        file=file,
        hint="use the newer fleetctl, or do without: --no-history",
    )
