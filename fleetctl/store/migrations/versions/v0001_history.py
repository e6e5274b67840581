"""
Runs, their hosts, outputs and notices, and the audit log.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SQLITE_GUARD = """
CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END
"""
_POSTGRESQL_GUARD = (
    """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$
""",
    """
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()
""",
)


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "runs",
        sa.Column("no", _ROW_NUMBER, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("duration_s", sa.Float),
        sa.Column("is_check", sa.Boolean, nullable=False),
        sa.Column("is_lost", sa.Boolean, nullable=False),
        sa.Column("host_count", sa.Integer, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("interrupted_by", sa.Text),
        sa.Column("exit_code", sa.Integer),
        sa.Column("lost", sa.Text),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_table(
        "hosts",
        sa.Column("run_no", _ROW_NUMBER, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("ran", sa.Text, nullable=False),
        sa.Column("status", sa.Text),
        sa.Column("class_key", sa.LargeBinary),
        sa.Column("changed", sa.Boolean),
        sa.Column("exit_status", sa.Integer),
        sa.Column("exit_signal", sa.Text),
        sa.Column("stdout_hash", sa.LargeBinary),
        sa.Column("stdout_sent", sa.BigInteger),
        sa.Column("stdout_kept", sa.BigInteger),
        sa.Column("stderr_hash", sa.LargeBinary),
        sa.Column("stderr_sent", sa.BigInteger),
        sa.Column("stderr_kept", sa.BigInteger),
        sa.Column("address", sa.Text),
        sa.Column("port", sa.Integer),
        sa.Column("login", sa.Text),
        sa.Column("attempts", sa.Integer),
        sa.Column("started_us", sa.BigInteger),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("duration_s", sa.Float),
        sa.Column("detail", sa.Text),
    )
    op.create_table(
        "outputs",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("is_packed", sa.Boolean, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "run_outputs",
        sa.Column("run_no", _ROW_NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, primary_key=True),
    )
    op.create_index("run_outputs_by_hash", "run_outputs", ["hash"])
    op.create_table(
        "notices",
        sa.Column("run_no", _ROW_NUMBER, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("host", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("n", _ROW_NUMBER, primary_key=True, autoincrement=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_SQLITE_GUARD.format(verb=verb))
    else:
        for statement in _POSTGRESQL_GUARD:
            op.execute(statement)
