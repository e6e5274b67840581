"""
SQL in one transaction, the same for SQLite and PostgreSQL.

The writers have their statements as text with named parameters (``:name``), which both understand.
So a run that is recorded in SQLite needs nothing but the module of the standard library, and there
is one list of statements for all databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

#: Parameters of a statement by name.
Values = Mapping[str, Any]
#: The values of one row, in the order that the statement names.
Row = tuple[Any, ...]


class Session(Protocol):
    """
    A connection in a transaction.

    Whatever goes wrong becomes `StoreError` where the transaction was begun.
    """

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, and not PostgreSQL."""

    def run(self, statement: str, values: Values | None = None) -> int:
        """Run a statement, and return the number of rows that it changed."""

    def run_each(self, statement: str, rows: Sequence[Values]) -> None:
        """Run a statement for each of these."""

    def rows(self, statement: str, values: Values | None = None) -> Iterable[Row]:
        """Yield what a query finds, within the transaction. Truth values are 0 and 1 in SQLite."""


def row_of(session: Session, statement: str, values: Values | None = None) -> Row | None:
    """Return the first row that a query finds, or None."""
    return next(iter(session.rows(statement, values)), None)


def value_of(session: Session, statement: str, values: Values | None = None) -> Any:
    """Return the first value of the first row that a query finds, or None."""
    row = row_of(session, statement, values)
    return None if row is None else row[0]
