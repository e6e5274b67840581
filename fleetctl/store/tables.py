"""
The tables of the store, as questions in the words of SQLAlchemy name them.

How a database gets them is told in `fleetctl.store.migrations` and `fleetctl.store.schema`, and
tests compare the three. Times are
whole microseconds since 1970 in UTC. Text is JSON where a comment says so, always with ASCII
characters only, since PostgreSQL takes no NUL in a text.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

# SQLite numbers rows by itself only in a column that is an INTEGER.
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("no", _ROW_NUMBER, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    sa.Column("finished_us", sa.BigInteger),
    sa.Column("duration_s", sa.Float),
    sa.Column("is_check", sa.Boolean, nullable=False),
    sa.Column("is_lost", sa.Boolean, nullable=False),
    sa.Column("host_count", sa.Integer, nullable=False),
    sa.Column("counts", sa.Text, nullable=False),  # JSON: status -> hosts, once finished
    sa.Column("interrupted_by", sa.Text),
    sa.Column("exit_code", sa.Integer),
    sa.Column("lost", sa.Text),
    sa.Column("facts", sa.Text, nullable=False),  # JSON: RunFacts
)

HOSTS = sa.Table(
    "hosts",
    METADATA,
    sa.Column("run_no", _ROW_NUMBER, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    # "unknown" from before its command leaves until the result is here.
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
    sa.Column("detail", sa.Text),  # JSON: what nobody searches for
)

OUTPUTS = sa.Table(
    "outputs",
    METADATA,
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("is_packed", sa.Boolean, nullable=False),  # with Zstandard
    sa.Column("data", sa.LargeBinary, nullable=False),
)

#: Which run needs which output: an output that no run needs is forgotten.
RUN_OUTPUTS = sa.Table(
    "run_outputs",
    METADATA,
    sa.Column("run_no", _ROW_NUMBER, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    sa.Index("run_outputs_by_hash", "hash"),
)

NOTICES = sa.Table(
    "notices",
    METADATA,
    sa.Column("run_no", _ROW_NUMBER, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("host", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),  # JSON: kind, message, hint
)

AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("n", _ROW_NUMBER, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text, nullable=False),  # JSON: the entry
    sa.Column("hash", sa.Text, nullable=False),
)
