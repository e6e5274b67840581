"""
Every run, recorded: who did what, on which hosts, and how each of them ended.

Two sides, on one database (SQLite in the state folder, or PostgreSQL by URL):

`fleetctl.store.recorder.Recorder`
    writes while a run goes on. It is the engine's `fleetctl.model.ports.Journal`::

        recorder = Recorder(location, in_thread=in_thread, redact=redact)
        await recorder.start(run, facts)            # UsageError: the place is not safe, or too new
        await recorder.starting(host)               # awaited by the engine; then the command leaves
        await recorder.record(events)               # awaited before the results are shown
        await recorder.finish(exit_code=0)          # always, in a finally
        recorder.lost                               # what could not be recorded, or None -> exit 6

    Nothing but `start` raises, and a store that fails never stops the run.

`fleetctl.store.history.History`
    reads, prunes and verifies::

        async with open_history(location, in_thread=in_thread) as history:
            await history.runs(limit=20)                     -> tuple[RunRecord, ...], newest first
            await history.find("last~2")                     -> RunRecord
            await history.hosts(run_id, HostFilter(...))     -> tuple[HostRecord, ...]
            await history.classes(run_id)                    -> tuple[OutputClass, ...]
            await history.output(stored)                     -> bytes | None
            await history.notices(run_id)                    -> tuple[NoticeRecord, ...]
            await history.grep(GrepQuery("error"))           -> GrepResult
            await history.diff(run_id, run_id)               -> RunDiff
            await history.names(run_id, "failed")            -> tuple[str, ...]
            await history.resumption(run_id)                 -> Resumption
            await history.prune(Retention(...), who="alice") -> Pruned
            await history.audit(limit=20)                    -> tuple[AuditEntry, ...], newest first
            await history.verify()                           -> Verification

What the store is told is in `fleetctl.store.facts`, records are in `fleetctl.store.types`, other
questions and answers in `fleetctl.store.answers`.

Errors: `UsageError` for what the user got wrong (no such run, a regular expression, a place others
can write to, a database of a newer version) and `StoreError`, exit code 6, for a store that cannot
be read or written.

Importing this package costs nothing. A run that is recorded in SQLite loads the module of the
standard library, and neither SQLAlchemy nor alembic: SQLAlchemy is for reading and for PostgreSQL,
and alembic for a database of an older version. What blocks runs in threads through the
``in_thread`` that is passed in.
"""
