"""
SQLAlchemy on a connection: for questions, for migrations, and for PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from fleetctl.store.session import Row, Values

_IS_WRITER = "fleetctl_is_writer"


class AlchemySession:
    """A `fleetctl.store.session.Session` through SQLAlchemy."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.is_sqlite = connection.dialect.name == "sqlite"

    def run(self, statement: str, values: Values | None = None) -> int:
        return self._connection.execute(sa.text(statement), values).rowcount

    def run_each(self, statement: str, rows: Sequence[Values]) -> None:
        if rows:
            self._connection.execute(sa.text(statement), list(rows))

    def rows(self, statement: str, values: Values | None = None) -> Iterable[Row]:
        return map(tuple, self._connection.execute(sa.text(statement), values))


def attach(raw: sqlite3.Connection) -> sa.Engine:
    """
    Return an engine whose one connection is an SQLite connection that is open.

    The connection is closed when the engine is disposed of.
    """
    engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def transaction(engine: sa.Engine, *, is_writer: bool) -> Iterator[sa.Connection]:
    """Give the connection of an engine of `attach` in a transaction; committed, or undone."""
    with engine.connect() as plain:
        connection = plain.execution_options(**{_IS_WRITER: is_writer})
        with connection.begin():
            yield connection


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that begins as a reader could not wait for another one: its view would be old.
    is_writer = connection.get_execution_options().get(_IS_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
