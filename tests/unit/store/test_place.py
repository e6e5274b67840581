"""
Where an SQLite store lives: private, nobody else's, of this version, whole.
"""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.store.schema import SCHEMA_VERSION
from fleetctl.store.types import StoreError, StoreLocation
from tests.support.recorded import FACTS, Place, make_run, run_async, web, wrote


def record(place, run_id="20260701T120000-aa"):
    run_async(lambda: place.record(run_id, [wrote(host, b"up" * 500) for host in web(20)]))


def list_runs(place):
    async def main():
        async with place.history() as history:
            return [run.id for run in await history.runs()]

    return run_async(main)


def test_S25_folder_and_files_are_for_their_owner_alone(place, folder):
    """
    Folders 0700 and files 0600, whatever the umask, also while a run goes on.
    """
    seen: set[tuple[bool, int]] = set()

    async def main():
        recorder = place.recorder()
        await recorder.start(make_run("20260701T120000-aa", web(1)), FACTS)
        for found in (folder, *folder.rglob("*")):
            seen.add((found.is_dir(), stat.S_IMODE(found.stat().st_mode)))
        await recorder.finish()

    old = os.umask(0)
    try:
        run_async(main)
    finally:
        os.umask(old)
    assert seen == {(True, 0o700), (False, 0o600)}


def test_S25_a_database_that_others_may_read_is_closed_to_them(place, database):
    """
    What a careless copy opened to everybody is the owner's alone again.
    """
    record(place)
    database.chmod(0o644)
    list_runs(place)
    assert stat.S_IMODE(database.stat().st_mode) == 0o600


def test_S25_a_place_that_others_can_write_to_is_refused(place, folder):
    """
    Nothing is written where somebody else could have been, and the message says what to do.
    """
    place.find_stranger = lambda path: f"{path} can be written by everybody"
    with pytest.raises(UsageError, match="can be written by everybody") as raised:
        record(place)
    assert "--no-history" in str(raised.value)
    assert [found.name for found in folder.rglob("*")] == []


@pytest.mark.parametrize("name", ["history.db", "history.db-wal", "history.db-shm"])
def test_S26_a_link_in_the_place_of_the_database_is_refused(place, folder, tmp_path, name):
    """
    A link that somebody planted is not followed, to whatever file.
    """
    record(place)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    with pytest.raises(UsageError, match="not a plain file"):
        record(place, "20260702T120000-bb")
    assert victim.read_text() == "precious"


def test_F81_a_database_of_a_newer_version_is_left_alone(place, database):
    """
    It is refused before anything is written, for reading and for writing.
    """
    record(place)
    with sqlite3.connect(database) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = database.read_bytes()
    for use in (record, list_runs):
        with pytest.raises(UsageError, match="newer fleetctl"):
            use(place)
    assert database.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(place, database):
    """
    A file that happens to have our name is not written to.
    """
    database.parent.mkdir(mode=0o700)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(UsageError, match="another program"):
        record(place)


@pytest.mark.parametrize("damage", ["no database", "cut off", "zeros"])
def test_F80_a_damaged_database_is_set_aside_and_another_one_begun(place, database, damage):
    """
    The run is recorded, the old file kept whole under a name that is told.
    """
    record(place)
    content = database.read_bytes()
    damaged = {
        "no database": b"something else entirely" * 1000,
        "cut off": content[: len(content) // 2],
        "zeros": content[:8192] + bytes(len(content) - 8192),
    }[damage]
    database.write_bytes(damaged)
    with pytest.raises(StoreError, match="damaged") as raised:
        list_runs(place)
    assert raised.value.hint is not None
    record(place, "20260702T120000-bb")
    (aside,) = [one for one in database.parent.glob("*.damaged-*") if one.suffix != "-wal"]
    assert aside.read_bytes() == damaged
    (warning,) = place.warnings
    assert str(aside) in warning
    assert list_runs(place) == ["20260702T120000-bb"]


@pytest.mark.parametrize("seed", range(12))
def test_F80_flipped_bytes_are_harmless_or_said(place, database, seed):
    """
    Whatever byte is wrong, reading gives the runs or a StoreError, and the next run is recorded.
    """
    record(place)
    dice = random.Random(seed)
    content = bytearray(database.read_bytes())
    for _ in range(40):
        content[dice.randrange(100, len(content))] ^= 1 << dice.randrange(8)
    database.write_bytes(content)

    async def read_everything():
        async with place.history() as history:
            for run in await history.runs():
                for host in await history.hosts(run.id):
                    await history.output(host.stdout)
            await history.verify()

    with suppress(StoreError, UsageError):
        run_async(read_everything)
    try:
        record(place, "20260702T120000-bb")
    except UsageError:  # the version or the owner is what was flipped
        return

    async def find_the_next_run():
        async with place.history() as history:
            return (await history.find("20260702T120000-bb")).state

    assert run_async(find_the_next_run) == "finished"


def test_a_folder_that_cannot_be_made_does_not_stop_the_run(tmp_path):
    """
    The run goes on without a history, and says so once and at the end.
    """
    (tmp_path / "file").write_text("")
    place = Place(StoreLocation(tmp_path / "file" / "state"))

    async def main():
        recorder = await place.record("20260701T120000-aa", [wrote(host) for host in web(2)])
        return recorder.lost

    lost = run_async(main)
    assert lost is not None
    assert lost.startswith("this run is not in the history: the history cannot be kept in")
    assert [lost in warning or "goes on" in warning for warning in place.warnings] == [True, True]


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", "postgresql://h:port/name"])
def test_a_url_that_is_no_database_of_ours_is_a_mistake(tmp_path, url):
    """
    It is refused before anything is tried, with an example of one that is right.
    """
    with pytest.raises(UsageError, match="postgresql://user@host/name"):
        list_runs(Place(StoreLocation(tmp_path, url)))


def run_program(program, *words):
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", program, *words], check=True, cwd=root, timeout=60)


def test_what_is_not_needed_is_not_imported():
    """
    The words of the store cost nothing; SQLAlchemy comes with the first question, and alembic with
    a database of an older version.
    """
    run_program(
        "import sys, fleetctl.store, fleetctl.store.types, fleetctl.store.answers\n"
        "import fleetctl.store.recorder, fleetctl.store.history, fleetctl.wiring.history\n"
        "assert not {'sqlalchemy', 'alembic', 'sqlite3', 'regex'} & set(sys.modules)\n"
        "import fleetctl.store.writer, fleetctl.store.sqlite\n"
        "assert not {'sqlalchemy', 'alembic', 'regex', 'psycopg'} & set(sys.modules)\n"
        "import fleetctl.store.reading\n"
        "assert not {'alembic', 'regex', 'psycopg'} & set(sys.modules)\n"
    )


RECORDED = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from fleetctl.store.facts import Retention, StoreLocation
from tests.support.recorded import Place, web, wrote

async def main():
    place = Place(StoreLocation(Path(sys.argv[1])))
    retention = Retention(max_age=timedelta(days=1), max_runs=2)
    for number in range(4):
        run_id = f"20260701T120000-{number}"
        results = [wrote(host, b"up" * 100) for host in web(5)]
        recorder = await place.record(run_id, results, retention=retention)
        assert (recorder.lost, place.warnings) == (None, []), recorder.lost
    await place.lose("20260702T120000-aa", done=[], begun=web(1), rest=[])
    await place.record("20260703T120000-bb", results, retention=retention)
    assert not {"sqlalchemy", "alembic", "psycopg", "backports"} & set(sys.modules)

asyncio.run(main())
"""


def test_a_run_is_recorded_in_sqlite_without_sqlalchemy(place):
    """
    From a new database to the runs that are forgotten and found lost: recording a run costs no
    import but that of the standard library.
    """
    run_program(RECORDED, str(place.location.folder))
    assert len(list_runs(place)) == 2


def test_F80_a_large_database_is_looked_through_after_a_run_that_was_lost(
    place, database, monkeypatch
):
    """
    Where a look at each start would take too long, a crash is a reason for one.
    """
    monkeypatch.setattr("fleetctl.store.sqlite.CHECKED_BYTES", 0)
    a, b = web(2)
    record(place)
    run_async(lambda: place.lose("20260702T120000-bb", done=[], begun=[a], rest=[b]))
    content = database.read_bytes()
    page = content.index(b"web20") // 4096 * 4096
    database.write_bytes(content[:page] + b"\xff" * 4096 + content[page + 4096 :])
    record(place, "20260703T120000-cc")
    (warning,) = place.warnings
    assert "it is kept as" in warning
    assert list_runs(place) == ["20260703T120000-cc"]


@pytest.mark.parametrize("what", [b"run.finished", b"CREATE TABLE audit"])
def test_F80_damage_that_is_met_at_the_beginning_of_a_run_is_set_aside(
    place, database, monkeypatch, what
):
    """
    Also where nobody looked for it: the run that meets it is recorded in a new database.
    """
    monkeypatch.setattr("fleetctl.store.sqlite.CHECKED_BYTES", 0)
    record(place)
    content = database.read_bytes()
    page = content.index(what) // 4096 * 4096
    header = 100 if page == 0 else 0
    damaged = content[: page + header] + b"\xff" * (4096 - header) + content[page + 4096 :]
    database.write_bytes(damaged)
    record(place, "20260702T120000-bb")
    (warning,) = place.warnings
    assert "it is kept as" in warning
    assert list_runs(place) == ["20260702T120000-bb"]


def test_F80_verify_looks_through_the_whole_database(place, database):
    """
    Damage where no record is read is found as well.
    """
    record(place)
    with sqlite3.connect(database) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'run_outputs_by_hash'"
        ).fetchone()[0]
    connection.close()
    content = database.read_bytes()
    at = (root - 1) * 4096
    database.write_bytes(content[: at + 8] + b"\xff" * 1000 + content[at + 1008 :])

    async def main():
        async with place.history() as history:
            return (await history.verify()).problems

    assert any("is damaged" in problem for problem in run_async(main))


def test_a_folder_in_which_nothing_can_be_opened_does_not_stop_the_run(place, folder):
    """
    Whatever is wrong with the lock file: the run goes on without a history, and says so.
    """
    (folder / "history.lock").mkdir(parents=True)

    async def main():
        return (await place.record("20260701T120000-aa", [wrote(web(1)[0])])).lost

    lost = run_async(main)
    assert lost is not None
    assert "the history cannot be kept in" in lost
