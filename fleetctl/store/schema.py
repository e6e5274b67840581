"""
The schema as SQL: what a new SQLite database is made with, and what the writers name.

A new database is made without alembic, as if all migrations had been run; a test compares the two.
PostgreSQL, and a database of an older version, get theirs from `fleetctl.store.migrations`.
"""

from __future__ import annotations

#: Version of the schema: the last migration, and ``user_version`` of an SQLite database.
SCHEMA_VERSION = 1
#: ``application_id`` of an SQLite database: "fltc".
APPLICATION_ID = 0x666C7463

#: Columns of a host that are there from the beginning of the run.
HOST_COLUMNS = ("run_no", "position", "name", "ran")
#: Columns that the result of a host brings, after these.
RESULT_COLUMNS = (
    *("status", "class_key", "changed", "exit_status", "exit_signal"),
    *("stdout_hash", "stdout_sent", "stdout_kept", "stderr_hash", "stderr_sent", "stderr_kept"),
    *("address", "port", "login", "attempts", "started_us", "finished_us", "duration_s", "detail"),
)

#: All of a new SQLite database.
SQLITE_SCHEMA = (
    """
    CREATE TABLE alembic_version (
        version_num VARCHAR(32) NOT NULL,
        CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
    )
    """,
    """
    CREATE TABLE runs (
        no INTEGER NOT NULL,
        id TEXT NOT NULL,
        label TEXT NOT NULL,
        started_us BIGINT NOT NULL,
        finished_us BIGINT,
        duration_s FLOAT,
        is_check BOOLEAN NOT NULL,
        is_lost BOOLEAN NOT NULL,
        host_count INTEGER NOT NULL,
        counts TEXT NOT NULL,
        interrupted_by TEXT,
        exit_code INTEGER,
        lost TEXT,
        facts TEXT NOT NULL,
        PRIMARY KEY (no),
        UNIQUE (id)
    )
    """,
    """
    CREATE TABLE hosts (
        run_no INTEGER NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        ran TEXT NOT NULL,
        status TEXT,
        class_key BLOB,
        changed BOOLEAN,
        exit_status INTEGER,
        exit_signal TEXT,
        stdout_hash BLOB,
        stdout_sent BIGINT,
        stdout_kept BIGINT,
        stderr_hash BLOB,
        stderr_sent BIGINT,
        stderr_kept BIGINT,
        address TEXT,
        port INTEGER,
        login TEXT,
        attempts INTEGER,
        started_us BIGINT,
        finished_us BIGINT,
        duration_s FLOAT,
        detail TEXT,
        PRIMARY KEY (run_no, position)
    )
    """,
    """
    CREATE TABLE outputs (
        hash BLOB NOT NULL,
        size BIGINT NOT NULL,
        is_packed BOOLEAN NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (hash)
    )
    """,
    """
    CREATE TABLE run_outputs (
        run_no INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (run_no, hash)
    )
    """,
    "CREATE INDEX run_outputs_by_hash ON run_outputs (hash)",
    """
    CREATE TABLE notices (
        run_no INTEGER NOT NULL,
        position INTEGER NOT NULL,
        at_us BIGINT NOT NULL,
        host TEXT,
        detail TEXT NOT NULL,
        PRIMARY KEY (run_no, position)
    )
    """,
    """
    CREATE TABLE audit (
        n INTEGER NOT NULL,
        line TEXT NOT NULL,
        hash TEXT NOT NULL,
        PRIMARY KEY (n)
    )
    """,
    """
    CREATE TRIGGER audit_no_UPDATE BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END
    """,
    """
    CREATE TRIGGER audit_no_DELETE BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END
    """,
    f"INSERT INTO alembic_version (version_num) VALUES ('{SCHEMA_VERSION:04}')",  # noqa: S608
    f"PRAGMA user_version = {SCHEMA_VERSION}",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
