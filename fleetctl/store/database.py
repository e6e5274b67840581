"""
One connection to the database of the store, opened, checked and brought up to date.

Everything here blocks, and belongs to one thread at a time. The errors of SQLite and PostgreSQL
become `StoreError`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fleetctl.model.errors import UsageError
from fleetctl.store.facts import FindStranger, StoreError, StoreLocation
from fleetctl.store.schema import SCHEMA_VERSION
from fleetctl.store.session import Session

if TYPE_CHECKING:
    import sqlalchemy as sa


class StoreDamaged(StoreError):
    """The database file is torn or corrupt."""


class Database(Protocol):
    """A connection, and how to write and read with it."""

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, and not PostgreSQL."""

    @property
    def is_open(self) -> bool:
        """Whether `open` was called, and `close` was not."""

    @property
    def place(self) -> str:
        """The path, or the URL without its password; for messages."""

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

    def close(self) -> None:
        """Give the connection up; what is not committed is undone."""

    def wait_at_most(self, seconds: float) -> None:
        """Wait so long for other writers from now on; errors as `writing`."""

    def writing(self) -> AbstractContextManager[Session]:
        """
        Give the connection in a transaction that may write; committed at the end, or undone.

        Raises:
            StoreError: It could not be, and nothing of it was written.
        """

    def reading(self) -> AbstractContextManager[Session]:
        """Give the connection in a transaction that sees one state; errors as `writing`."""

    def querying(self) -> AbstractContextManager[sa.Connection]:
        """As `reading`, for questions in the words of SQLAlchemy, which is loaded for them."""

    def check(self) -> None:
        """
        Look through the whole SQLite database for damage.

        Raises:
            StoreError: It is damaged, or cannot be read.
        """

    def begin_anew(self, on_damage: Callable[[Path], None]) -> None:
        """
        Rename the SQLite database that is open and turned out to be damaged, and begin another.

        Args:
            on_damage: Told the new path of the damaged one.

        Raises:
            StoreError: As `open`.
        """

    def give_back(self) -> None:
        """Give free pages of SQLite back to the file system; PostgreSQL does so by itself."""


def make_database(
    location: StoreLocation, *, find_stranger: FindStranger, lock_s: float
) -> Database:
    """
    Return the database of a store, to be opened.

    Args:
        find_stranger: Says who besides the user can change what stands at a path.
        lock_s: How long another writer is waited for.
    """
    if location.url is not None:
        from fleetctl.store.postgresql import PostgresqlDatabase

        return PostgresqlDatabase(location.url, lock_s=lock_s)
    from fleetctl.store.sqlite import SqliteDatabase

    return SqliteDatabase(location.folder, find_stranger=find_stranger, lock_s=lock_s)


def newer(version: int, *, file: str) -> UsageError:
    """Return what is wrong with a database of a version that is not known yet."""
    return UsageError(
        f"the history is of version {version}, and this fleetctl knows {SCHEMA_VERSION}",
        file=file,
        hint="use the newer fleetctl, or do without: --no-history",
    )
