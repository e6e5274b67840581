"""
The promises of the store, kept by a real PostgreSQL server.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from fleetctl.model.errors import UsageError
from fleetctl.store import patience
from fleetctl.store.tables import METADATA
from fleetctl.store.types import StoreLimits, StoreLocation
from tests.contract.store_contract import PROMISES
from tests.support.postgres import new_database, run_postgres
from tests.support.recorded import FACTS, Place, finished, make_run, over, run_async, web, wrote

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def server():
    with run_postgres() as url:
        yield url


@pytest.fixture
def place(server, tmp_path):
    with new_database(server) as url:
        yield Place(StoreLocation(tmp_path / "state", url))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_postgresql_keeps_the_promise(promise, place):
    """
    What a store promises is so in a PostgreSQL database.
    """
    run_async(lambda: promise(place))


def execute(place, statement):
    import psycopg

    with psycopg.connect(place.location.url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def test_a_connection_that_breaks_is_made_again(place, monkeypatch):
    """
    A server that ends the connection in the middle of a run costs a warning, and no result.
    """
    monkeypatch.setattr(patience, "RETRY_PAUSE_S", 0.0)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"

    async def main():
        hosts = web(4)
        results = [wrote(host, b"x") for host in hosts]
        run = make_run("20260701T120000-aa", hosts)
        recorder = place.recorder()
        await recorder.start(run, FACTS)
        for result in results:
            execute(place, f"{others} AND application_name = 'fleetctl'")
            await recorder.starting(result.host)
            await recorder.record(finished([result]))
        async with place.history() as history:
            assert (await history.find("last")).state == "running"
        await recorder.record([over(run, results)])
        await recorder.finish(0)
        assert recorder.lost is None
        assert "the run goes on" in place.warnings[0]
        async with place.history() as history:
            assert [host.status for host in await history.hosts("last")] == ["ok"] * 4
            assert (await history.verify()).problems == ()

    run_async(main)


def test_F81_a_database_of_a_newer_version_is_left_alone(place):
    """
    It is refused before anything is written.
    """
    run_async(lambda: place.record("20260701T120000-aa", [wrote(web(1)[0])]))
    execute(place, "UPDATE alembic_version SET version_num = '9999' RETURNING 1")
    with pytest.raises(UsageError, match="version 9999"):
        run_async(lambda: place.record("20260702T120000-bb", [wrote(web(1)[0])]))
    assert execute(place, "SELECT count(*) FROM runs") == [(1,)]


def test_a_server_that_is_not_there_does_not_stop_the_run(tmp_path):
    """
    The run goes on without a history, and the password in the URL is not shown.
    """
    url = "postgresql://alice:hunter2@127.0.0.1:1/history"
    place = Place(StoreLocation(tmp_path / "state", url), StoreLimits(lock_s=1.0))
    recorder = run_async(lambda: place.record("20260701T120000-aa", [wrote(web(1)[0])]))
    assert recorder.lost is not None
    assert recorder.lost.startswith("this run is not in the history")
    assert "hunter2" not in "".join([recorder.lost, *place.warnings])


def test_F79_a_locked_table_is_waited_for_and_then_done_without(place):
    """
    Another transaction that holds a table does not hold the run up for ever.
    """
    import psycopg

    place.limits = StoreLimits(lock_s=0.3)
    run_async(lambda: place.record("20260701T120000-aa", [wrote(web(1)[0])]))
    with psycopg.connect(place.location.url) as holder:
        holder.execute("LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE")
        recorder = run_async(lambda: place.record("20260702T120000-bb", [wrote(web(1)[0])]))
        assert recorder.lost is not None
        assert "lock timeout" in recorder.lost
        holder.rollback()


def test_S34_the_log_is_only_added_to(place):
    """
    The database itself refuses to change or remove a line.
    """
    import psycopg

    run_async(lambda: place.record("20260701T120000-aa", [wrote(web(1)[0])]))
    for statement in ("UPDATE audit SET line = ''", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(psycopg.errors.RaiseException, match="only added to"):
            execute(place, statement)


def test_the_tables_are_those_of_the_code(place):
    """
    A database made by the migrations has no other tables and columns than the code uses.
    """
    run_async(lambda: place.record("20260701T120000-aa", [wrote(web(1)[0])]))
    url = sa.make_url(place.location.url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()
