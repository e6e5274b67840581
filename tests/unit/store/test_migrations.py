"""
The tables that migrations make are those the code knows.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fleetctl.store.tables import METADATA, SCHEMA_VERSION
from tests.support.recorded import run_async, web, wrote

ROOT = Path(__file__).resolve().parents[3]


def test_the_tables_are_those_of_the_code(place, database):
    """
    A database made by the migrations has no other tables and columns than the code uses.
    """
    run_async(lambda: place.record("20260701T120000-aa", [wrote(web(1)[0])]))
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == f"{SCHEMA_VERSION:04}"
    engine.dispose()


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
