"""
How a database becomes one of this version, step by step; alembic is loaded only for that.

A new SQLite database has no step to take: see `fleetctl.store.schema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


def upgrade(connection: sa.Connection) -> None:
    """
    Do the steps that are missing, in the transaction that is open. Blocks.

    Source: alembic's cookbook, "Sharing a Connection across one or more programmatic migration
    commands".
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "fleetctl.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
