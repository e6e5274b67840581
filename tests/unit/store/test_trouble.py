"""
A store that cannot be written: the run goes on, and nothing is claimed that is not so.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetctl.store import patience
from fleetctl.store.types import HostFilter, StoreLimits
from tests.support.patience import PATIENCE_S
from tests.support.recorded import FACTS, finished, make_run, over, run_async, web, wrote

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


class Holder:
    """Another process that is in the middle of a write."""

    def __init__(self, database: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"held\n"
        self.pid = self._process.pid

    def let_go(self) -> None:
        self._process.communicate(timeout=PATIENCE_S)


@contextmanager
def held(database):
    holder = Holder(database)
    try:
        yield holder
    finally:
        if holder._process.returncode is None:
            holder.let_go()


@pytest.fixture
def impatient(place, monkeypatch):
    """A store that waits for others only for a moment, and tries again at once."""
    place.limits = StoreLimits(lock_s=0.2)
    monkeypatch.setattr(patience, "RETRY_LOCK_S", 0.1)
    monkeypatch.setattr(patience, "RETRY_PAUSE_S", 0.0)
    run_async(lambda: place.record("20260630T120000-aa", [wrote(host) for host in web(1)]))
    return place


def test_F79_a_locked_database_is_waited_for(impatient, database):
    """
    A writer that lets go in time is not even noticed.
    """
    impatient.limits = StoreLimits(lock_s=PATIENCE_S)

    async def main():
        with held(database) as holder:
            recorder = impatient.recorder()
            run = make_run("20260701T120000-aa", web(1))
            start = asyncio.create_task(recorder.start(run, FACTS))
            await asyncio.sleep(0.3)
            assert not start.done()
            await asyncio.to_thread(holder.let_go)
            await start
        await recorder.finish()
        return recorder.lost

    assert run_async(main) is None
    assert impatient.warnings == []


def test_F79_what_a_locked_database_missed_is_written_later(impatient, database):
    """
    The warning names the process that holds it; what was held in memory is there in the end.
    """

    async def main():
        hosts = web(3)
        results = [wrote(host, b"x") for host in hosts]
        run = make_run("20260701T120000-aa", hosts)
        recorder = impatient.recorder()
        with held(database) as holder:
            await recorder.start(run, FACTS)
            await recorder.starting(hosts[0])
            await recorder.record(finished(results[:2]))
            await recorder.record(finished(results[2:]))
        await recorder.record([over(run, results)])
        await recorder.finish(0)
        assert recorder.lost is None
        said = "\n".join(impatient.warnings)
        assert f"locked by process {holder.pid}" in said
        assert "the run goes on" in said
        assert "can be written again" in said
        async with impatient.history() as history:
            assert [host.status for host in await history.hosts("last")] == ["ok"] * 3
            assert (await history.verify()).problems == ()

    run_async(main)


def test_F79_what_may_have_run_while_the_database_was_locked_is_unknown(impatient, database):
    """
    Though no row could be written then, no host that may have run is `no` afterwards.
    """

    async def main():
        a, b, c = web(3)
        recorder = impatient.recorder()
        await recorder.start(make_run("20260701T120000-aa", [a, b, c]), FACTS)
        await recorder.record(finished([wrote(c)]))
        with held(database):
            await recorder.starting(a)
            await recorder.finish()  # as killed as can be: nothing more can be written
        assert recorder.lost is not None
        async with impatient.history() as history:
            (run,) = await history.runs(limit=1)
            assert run.state == "lost"
            found = await history.hosts("last")
            assert [host.ran for host in found] == ["unknown", "unknown", "yes"]

    run_async(main)


def fill_up(recorder):
    """Let the database grow by nothing more, as a full disk does."""
    database = recorder._writer._writer._database
    database._raw.execute("PRAGMA max_page_count = 1")


def test_F78_a_full_disk_does_not_stop_the_run(impatient):
    """
    The run goes on, says so at once, and in the end which results are not stored.
    """

    async def main():
        hosts = web(30)
        noise = [wrote(host, bytes(range(256)) * 100 + host.name.encode()) for host in hosts]
        run = make_run("20260701T120000-aa", hosts)
        recorder = impatient.recorder()
        await recorder.start(run, FACTS)
        await recorder.record(finished(noise[:1]))
        fill_up(recorder)
        for result in noise[1:]:
            await recorder.starting(result.host)
            await recorder.record(finished([result]))
        await recorder.record([over(run, noise)])
        await recorder.finish(0)
        assert recorder.lost is not None
        assert "results of" in recorder.lost
        assert "the disk is full" in recorder.lost
        assert any("the run goes on" in warning for warning in impatient.warnings)
        missing = int(recorder.lost.split()[3])
        async with impatient.history() as history:
            there = await history.hosts("last", HostFilter(has_result=True))
            assert len(there) == 30 - missing
            for host in there:
                assert await history.output(host.stdout)
            assert {host.ran for host in await history.hosts("last")} <= {"yes", "unknown"}

    run_async(main)


def test_F78_what_is_held_in_memory_has_a_limit(impatient, database):
    """
    Beyond it results are held without their output, and that is said.
    """
    impatient.limits = StoreLimits(lock_s=0.2, memory_bytes=2500)

    async def main():
        hosts = web(5)
        results = [wrote(host, host.name.encode() * 250) for host in hosts]
        run = make_run("20260701T120000-aa", hosts)
        recorder = impatient.recorder()
        with held(database):
            await recorder.start(run, FACTS)
            await recorder.record(finished(results))
        await recorder.record([over(run, results)])
        await recorder.finish(0)
        assert recorder.lost == "the output of 3 hosts is not in the history"
        async with impatient.history() as history:
            found = await history.hosts("last")
            assert [host.status for host in found] == ["ok"] * 5
            assert [bool(host.stdout.kept_bytes) for host in found] == [True] * 2 + [False] * 3
            assert found[4].stdout.sent_bytes == 1000

    run_async(main)


def test_a_journal_in_trouble_holds_nobody_up(impatient, database, monkeypatch):
    """
    Between two tries hosts start without waiting for the store.
    """
    monkeypatch.setattr(patience, "RETRY_PAUSE_S", 3600.0)

    async def main():
        hosts = web(40)
        recorder = impatient.recorder()
        with held(database):
            await recorder.start(make_run("20260701T120000-aa", hosts), FACTS)
            begun = time.monotonic()
            for host in hosts:
                await recorder.starting(host)
            took_s = time.monotonic() - begun
        await recorder.finish()
        return took_s

    assert run_async(main) < PATIENCE_S / 4
