"""
The tables that migrations make are those the code knows, and those a new database is made with.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fleetctl.store.alchemy import attach, transaction
from fleetctl.store.migrations import upgrade
from fleetctl.store.schema import (
    APPLICATION_ID,
    HOST_COLUMNS,
    RESULT_COLUMNS,
    SCHEMA_VERSION,
    SQLITE_SCHEMA,
)
from fleetctl.store.tables import HOSTS, METADATA
from tests.support.recorded import run_async, web, wrote


def record(place, run_id="20260701T120000-aa"):
    run_async(lambda: place.record(run_id, [wrote(web(1)[0])]))


def describe(connection):
    """Everything that is in a database by name, as SQL without layout, and its version."""
    made = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    sql = {name: "".join((text or "").split()) for name, text in made}
    return sql, connection.execute("SELECT * FROM alembic_version").fetchall()


def test_the_tables_are_those_of_the_code(place, database):
    """
    A new database has no other tables and columns than the code uses.
    """
    record(place)
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == f"{SCHEMA_VERSION:04}"
    engine.dispose()


def test_a_new_database_is_as_if_all_migrations_had_been_run():
    """
    The SQL of a new database, which is made without alembic, is that of the migrations.
    """
    migrated = sqlite3.connect(":memory:", isolation_level=None)
    engine = attach(migrated)
    with transaction(engine, is_writer=True) as connection:
        upgrade(connection)
    new = sqlite3.connect(":memory:", isolation_level=None)
    for statement in SQLITE_SCHEMA:
        new.execute(statement)
    assert describe(new) == describe(migrated)
    assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert new.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    new.close()
    engine.dispose()


def test_the_writers_name_all_columns_of_a_host():
    """
    What a result brings and what the hash over a run is made of leave no column out.
    """
    assert [column.name for column in HOSTS.columns] == [*HOST_COLUMNS, *RESULT_COLUMNS]


def test_a_database_of_an_older_version_is_brought_up_to_date(place, database):
    """
    It takes the steps that are missing, and has its version and all its runs afterwards.
    """
    record(place)
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    record(place, "20260702T120000-bb")
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    connection.close()


def test_the_version_of_the_code_is_that_of_the_last_migration():
    """
    Whoever adds a migration raises the version, and there is one last migration.
    """
    config = Config()
    config.set_main_option("script_location", "fleetctl.store:migrations")
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == f"{SCHEMA_VERSION:04}"
    names = [Path(script.path).name[:5] for script in scripts.walk_revisions()]
    assert names == [f"v{script.revision}" for script in scripts.walk_revisions()]
