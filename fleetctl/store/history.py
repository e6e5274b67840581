"""
Reading what was recorded: runs, hosts, outputs, and what is different between two runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from fleetctl.store.answers import (
    AuditEntry,
    GrepQuery,
    GrepResult,
    Pruned,
    Resumption,
    RunDiff,
    Verification,
)
from fleetctl.store.calls import to_its_end
from fleetctl.store.facts import FindStranger
from fleetctl.store.types import (
    HostFilter,
    HostRecord,
    InThread,
    NoticeRecord,
    OutputClass,
    Retention,
    RunRecord,
    StoredOutput,
    StoreLimits,
    StoreLocation,
)

if TYPE_CHECKING:
    from fleetctl.store.database import Database
    from fleetctl.store.reading import Reader

P = ParamSpec("P")
T = TypeVar("T")


class History:
    """
    The recorded runs. A run is named by its id, by a part of the id that it begins with, or by
    ``last``, ``last~1`` (the one before) and so on. Runs that go on are among them, but not those
    that this process records.

    Every method raises `UsageError` if there is no such run, or more than one, and `StoreError` if
    the store cannot be read or written. Calls wait for each other.
    """

    def __init__(self, database: Database, reader: Reader, in_thread: InThread) -> None:
        self._database = database
        self._reader = reader
        self._in_thread = in_thread
        self._turn = asyncio.Lock()

    async def runs(self, *, limit: int = 20, label: str = "") -> tuple[RunRecord, ...]:
        """
        Return runs, newest first.

        Args:
            limit: Most of them.
            label: Only those whose label has this text in it; empty for all.
        """
        return await self._call(self._reader.runs, limit, label)

    async def find(self, run: str) -> RunRecord:
        """Return the run of that name."""
        return await self._call(self._reader.find, run)

    async def hosts(self, run: str, wanted: HostFilter | None = None) -> tuple[HostRecord, ...]:
        """Return hosts of a run, in its order."""
        return await self._call(self._reader.hosts, run, wanted or HostFilter())

    async def classes(self, run: str) -> tuple[OutputClass, ...]:
        """Return the output classes of a run; hosts without a result are in none."""
        return await self._call(self._reader.classes, run)

    async def output(self, stored: StoredOutput) -> bytes | None:
        """Return what is kept of an output, without secrets; None if it was not kept."""
        return await self._call(self._reader.output, stored)

    async def notices(self, run: str) -> tuple[NoticeRecord, ...]:
        """Return what the operator was told during a run."""
        return await self._call(self._reader.notices, run)

    async def grep(self, query: GrepQuery) -> GrepResult:
        """
        Search outputs, line by line.

        Raises:
            UsageError: The pattern is not a regular expression, too.
        """
        from fleetctl.store.grep import grep

        return await self._call(grep, self._reader, query)

    async def diff(self, before: str, after: str) -> RunDiff:
        """Return what is different in the later of two runs, host by host."""
        from fleetctl.store.differences import compare

        return await self._call(compare, self._reader, before, after)

    async def names(self, run: str, what: str) -> tuple[str, ...]:
        """
        Return hosts of a run, in its order, for a target such as ``@failed``.

        Args:
            what: ``ok``, ``failed`` (timed out, too), ``unreachable``, ``cancelled``, ``skipped``,
                ``changed``, ``unknown`` (it may have run, and has no good result), or ``class2``.

        Raises:
            UsageError: It is none of these, too; or there is no such class.
        """
        return await self._call(self._reader.names, run, what)

    async def resumption(self, run: str) -> Resumption:
        """Return what is left to do of a run, after a crash or an interruption."""
        return await self._call(self._reader.resumption, run)

    async def prune(self, retention: Retention, *, who: str, dry_run: bool = False) -> Pruned:
        """
        Forget runs, and the outputs that no other run needs; the audit log stays.

        Args:
            who: The user, for the audit log.
            dry_run: Only say which runs would go.
        """
        from fleetctl.store.prune import prune

        now = datetime.now(UTC)
        found = await self._call(prune, self._database, retention, who=who, at=now, dry_run=dry_run)
        return Pruned(*found)

    async def audit(self, *, limit: int = 20) -> tuple[AuditEntry, ...]:
        """Return lines of the audit log, newest first."""
        return await self._call(self._reader.audit, limit)

    async def verify(self) -> Verification:
        """Compare the audit log with itself, runs with the log, and outputs with their hashes."""
        from fleetctl.store.verify import verify

        return await self._call(verify, self._database)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turn:
            return await to_its_end(self._in_thread(function, *args, **kwargs))


@asynccontextmanager
async def open_history(
    location: StoreLocation,
    *,
    in_thread: InThread,
    find_stranger: FindStranger,
    limits: StoreLimits | None = None,
) -> AsyncIterator[History]:
    """
    Open the store for reading; it is made if there is none yet.

    Runs whose controller is gone are recorded as lost first.

    Raises:
        UsageError: Others could write to the place, it is not ours, or of a newer version.
        StoreError: It cannot be opened.
    """
    limits = limits or StoreLimits()

    def make() -> tuple[Database, Reader]:
        from fleetctl.store.database import make_database
        from fleetctl.store.lost_runs import settle_lost_runs
        from fleetctl.store.reading import Reader

        database = make_database(location, find_stranger=find_stranger, lock_s=limits.lock_s)
        database.open()
        try:
            settle_lost_runs(database, location.folder)
        except BaseException:
            database.close()
            raise
        return database, Reader(database)

    database, reader = await to_its_end(in_thread(make))
    try:
        yield History(database, reader, in_thread)
    finally:
        await to_its_end(in_thread(database.close))
