"""
The history in a PostgreSQL database, through SQLAlchemy and psycopg.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from fleetctl.model.errors import UsageError
from fleetctl.store.alchemy import AlchemySession
from fleetctl.store.database import StoreDamaged, newer
from fleetctl.store.facts import StoreError
from fleetctl.store.rows import Garbled
from fleetctl.store.schema import SCHEMA_VERSION
from fleetctl.store.session import Session

#: A number of ours among the advisory locks of the database.
UPGRADE_LOCK = 0x666C7463_00000001


class PostgresqlDatabase:
    """
    The `fleetctl.store.database.Database` of a URL.

    Args:
        url: ``postgresql://user@host/name``; looked at when it is opened.
        lock_s: How long another writer is waited for.
    """

    is_sqlite = False

    def __init__(self, url: str, *, lock_s: float) -> None:
        self._text = url
        self._lock_s = lock_s
        self._url: sa.URL | None = None
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None

    @property
    def place(self) -> str:
        return "PostgreSQL" if self._url is None else self._url.render_as_string(hide_password=True)

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def open(self, *, on_damage: Callable[[Path], None] | None = None) -> None:
        self.close()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        if connection is not None:
            with suppress(sa.exc.SQLAlchemyError):
                connection.close()
        if engine is not None:
            engine.dispose()

    def wait_at_most(self, seconds: float) -> None:
        self._lock_s = seconds
        if self._connection is not None:
            with self.writing() as session:
                session.run(f"SET SESSION lock_timeout = {max(1, int(seconds * 1000))}")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._transaction() as connection:
            yield AlchemySession(connection)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self.querying() as connection:
            yield AlchemySession(connection)

    @contextmanager
    def querying(self) -> Iterator[sa.Connection]:
        with self._transaction() as connection:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    def check(self) -> None:
        """Look at nothing: that is the server's business."""

    def begin_anew(self, on_damage: Callable[[Path], None]) -> None:
        raise StoreError(
            f"the history in {self.place} is damaged", hint="that is for who runs the server"
        )

    def give_back(self) -> None:
        """Do nothing: the server does so by itself."""

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        if self._connection is None:
            raise StoreError("the history is not open")
        try:
            with self._connection.begin():
                yield self._connection
        except sa.exc.DBAPIError as error:
            raise self._explained(error) from error
        except (UnicodeDecodeError, Garbled) as error:
            raise StoreDamaged(
                f"the history in {self.place} is damaged: what it says makes no sense"
            ) from error

    def _open(self) -> None:
        self._url = _parse_url(self._text)
        milliseconds = max(1, int(self._lock_s * 1000))
        try:
            self._engine = sa.create_engine(
                self._url,
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
        with self.querying() as connection:
            version = _version(connection, self.place)
        if version < SCHEMA_VERSION:
            self._upgrade()

    def _upgrade(self) -> None:
        from fleetctl.store.migrations import upgrade

        with self._transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            upgrade(connection)

    def _explained(self, error: sa.exc.DBAPIError) -> StoreError:
        cause = " ".join(str(error.orig).split())
        return StoreError(
            f"the history in {self.place} cannot be reached or written: {cause}",
            hint="see whether the server runs and lets you in: psql, with the same URL",
        )


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


def _version(connection: sa.Connection, place: str) -> int:
    known = connection.execute(sa.text("SELECT to_regclass('alembic_version')")).scalar()
    if known is None:
        return 0
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    version = int(found) if found is not None and str(found).isdecimal() else 0
    if version > SCHEMA_VERSION:
        raise newer(version, file=place)
    return version
