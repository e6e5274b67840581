"""
S34: what was written into the audit log and the runs cannot be changed unnoticed.
"""

from __future__ import annotations

import json
import sqlite3

import pytest

from fleetctl.store.types import Retention
from tests.support.recorded import Place, run_async, web, wrote


@pytest.fixture
def written(place: Place):
    """Three runs, one of them lost and one forgotten."""

    async def main():
        a, b = web(2)
        await place.record("20260701T120000-aa", [wrote(a, b"up" * 200), wrote(b, b"\n{}\n")])
        await place.record("20260702T120000-bb", [wrote(a, b"up" * 200)])
        await place.lose("20260703T120000-cc", done=[wrote(a)], begun=[b], rest=[])
        async with place.history() as history:
            await history.prune(Retention(max_runs=2), who="bob")

    run_async(main)
    return place


def verify(place):
    async def main():
        async with place.history() as history:
            return await history.verify()

    return run_async(main)


def change(database, *statements):
    connection = sqlite3.connect(database)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_S34_the_log_says_who_did_what(written):
    """
    One JSON object a line: each run's beginning and end, and what was forgotten, by whom.
    """

    async def main():
        async with written.history() as history:
            return await history.audit(limit=100)

    entries = [json.loads(entry.line) for entry in reversed(run_async(main))]
    assert [(entry["who"], entry["event"], entry["run"]) for entry in entries] == [
        ("alice", "run.started", "20260701T120000-aa"),
        ("alice", "run.finished", "20260701T120000-aa"),
        ("alice", "run.started", "20260702T120000-bb"),
        ("alice", "run.finished", "20260702T120000-bb"),
        ("alice", "run.started", "20260703T120000-cc"),
        ("alice", "run.lost", "20260703T120000-cc"),
        ("bob", "history.pruned", None),
    ]
    assert entries[-1]["details"] == {"runs": ["20260701T120000-aa"]}
    assert [entry["n"] for entry in entries] == list(range(1, 8))


def test_S34_an_untouched_store_verifies(written):
    """
    A run that was lost or forgotten is no problem.
    """
    found = verify(written)
    assert (found.problems, found.entries, found.runs, found.outputs) == ((), 7, 2, 1)
    assert len(found.head) == 64


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE audit SET line = replace(line, 'alice', 'carol') WHERE n = 3"], "line 3 is not"),
        (["DELETE FROM audit WHERE n = 4"], "line 4 is missing"),
        (["DELETE FROM audit WHERE n >= 6"], "is not in the audit log"),
        (["UPDATE hosts SET exit_status = 0, ran = 'no' WHERE run_no = 2"], "results of run"),
        (["DELETE FROM hosts WHERE run_no = 3 AND position = 1"], "results of run"),
        (["DELETE FROM runs WHERE no = 2", "DELETE FROM hosts WHERE run_no = 2"], "was not forgot"),
        (["UPDATE runs SET id = '20260702T120000-xx' WHERE no = 2"], "is not in the audit log"),
        (["UPDATE outputs SET data = x'00'"], "output"),
    ],
)
def test_S34_what_was_changed_is_found(written, database, statements, problem):
    """
    A line, a result, a run or an output that is not what was written is named.
    """
    change(database, "DROP TRIGGER audit_no_UPDATE", "DROP TRIGGER audit_no_DELETE", *statements)
    found = verify(written).problems
    assert any(problem in one for one in found), found


@pytest.mark.parametrize("verb", ["UPDATE audit SET line = ''", "DELETE FROM audit"])
def test_S34_the_log_is_only_added_to(written, database, verb):
    """
    The database itself refuses to change or remove a line.
    """
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        change(database, verb)


def test_a_text_of_a_host_is_one_line_of_the_log(place):
    """
    Newlines in a label make no second entry.
    """

    async def main():
        label = 'x"}\n{"n":1,"event":"run.started"}'
        await place.record("20260701T120000-aa", [wrote(web(1)[0])], label=label)
        async with place.history() as history:
            first = (await history.audit())[-1]
            assert json.loads(first.line)["details"]["label"] == label
            assert "\n" not in first.line

    run_async(main)
