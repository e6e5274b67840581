"""
What alembic runs: the steps, on the connection and in the transaction that it is given.
"""

from __future__ import annotations

from alembic import context

# SQLite can undo changes of tables as well, which alembic does not count on by itself.
context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
