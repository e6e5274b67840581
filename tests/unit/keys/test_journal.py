"""
The journal of a key change: on the disk before the step, readable after a crash.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetctl.keys.journal import Entry, is_finished, last_step, parse_entries, render_entry
from fleetctl.keys.journal_file import (
    PLAN,
    RunJournals,
    file_name,
    list_runs,
    open_run,
    start_run,
)
from fleetctl.model.errors import UsageError

RUN = "20261121T120000-7f3a"


async def at_once(function: Callable[[], None]) -> None:
    function()


def start(folder: Path, run_id: str = RUN) -> RunJournals:
    return start_run(folder / "keys", run_id, {"hosts": ["web1"]}, at_once)


def write(journals: RunJournals, *steps: str) -> None:
    async def note() -> None:
        for step in steps:
            await journals.of("web1").note(step, path="x")  # type: ignore[arg-type]  # any step

    asyncio.run(note())


def test_what_was_written_is_read_again(tmp_path):
    """
    Steps with their facts, in order; a host without a file was not begun.
    """
    write(start(tmp_path), "planned", "adding")
    journals, plan = open_run(tmp_path / "keys", RUN, at_once)
    entries = journals.entries("web1")
    assert plan == {"hosts": ["web1"]}
    assert [(entry.step, entry.facts) for entry in entries] == [
        ("planned", {"path": "x"}),
        ("adding", {"path": "x"}),
    ]
    assert last_step(entries) == "adding"
    assert not is_finished(entries)
    assert journals.entries("web2") == ()
    write(journals, "confirmed")
    assert is_finished(journals.entries("web1"))


def test_S25_everything_is_the_users_alone(tmp_path):
    """
    Folders are 0700 and files 0600 from the moment they exist, whatever the umask.
    """
    before = os.umask(0)
    try:
        write(start(tmp_path), "planned")
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").rglob("*")
    }
    assert modes == {RUN: 0o700, PLAN: 0o600, "web1.jsonl": 0o600}


def test_each_line_is_on_the_disk_before_the_step(tmp_path, monkeypatch):
    """
    Each line is flushed, and once for a new file's folder.
    """
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    journals = start(tmp_path)
    flushed.clear()
    write(journals, "planned", "adding")
    assert len(flushed) == 3


def test_a_line_cut_by_a_crash_does_not_count_and_does_not_spoil_the_next(tmp_path):
    """
    The torn end is what was being written when the controller died: its step was not taken.
    """
    write(start(tmp_path), "planned")
    path = tmp_path / "keys" / RUN / "web1.jsonl"
    with path.open("a") as stream:
        stream.write('{"step":"addi')
    journals, _ = open_run(tmp_path / "keys", RUN, at_once)
    write(journals, "adding")
    assert [entry.step for entry in journals.entries("web1")] == ["planned", "adding"]


def test_a_damaged_journal_is_not_believed(tmp_path):
    """
    A line that is none, a plan that is none, and a run that is not there are each said.
    """
    journals = start(tmp_path)
    (tmp_path / "keys" / RUN / "web1.jsonl").write_text('{"step":"nonsense"}\n')
    with pytest.raises(UsageError, match="line 1 is not a line of a journal"):
        journals.entries("web1")
    (tmp_path / "keys" / RUN / PLAN).write_text("{")
    with pytest.raises(UsageError, match="no host was touched"):
        open_run(tmp_path / "keys", RUN, at_once)
    with pytest.raises(UsageError, match=f"the last ones are {RUN}"):
        open_run(tmp_path / "keys", "20261121T120000-0000", at_once)
    with pytest.raises(UsageError, match="not the id of a run"):
        open_run(tmp_path / "keys", "../etc", at_once)


def test_a_journal_that_others_can_write_is_not_believed(tmp_path):
    """
    Somebody else's word is not taken for what was done.
    """
    journals = start(tmp_path)
    write(journals, "planned")
    os.chmod(tmp_path / "keys" / RUN / "web1.jsonl", 0o666)
    with pytest.raises(UsageError, match="not yours alone"):
        journals.entries("web1")


def test_a_journal_that_cannot_be_kept_stops_everything(tmp_path):
    """
    No folder, no contact: said before any host is touched.
    """
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(UsageError, match="nobody was contacted"):
        start(tmp_path)


def test_runs_are_listed_newest_first(tmp_path):
    """
    A folder without a plan is no run.
    """
    start(tmp_path, "20261120T120000-aaaa")
    start(tmp_path, "20261121T120000-bbbb")
    (tmp_path / "keys" / "20261122T120000-cccc").mkdir()
    assert list_runs(tmp_path / "keys") == ["20261121T120000-bbbb", "20261120T120000-aaaa"]
    assert list_runs(tmp_path / "none") == []


@pytest.mark.parametrize("name", ["web1", "a/b", "..", ".hidden", "ä ö", "x%2Fy", "a:b[1]"])
def test_every_host_has_a_file_of_its_own(name):
    """
    Names become file names that stay in the folder, and no two are the same.
    """
    file = file_name(name)
    assert "/" not in file
    assert not file.startswith(".")
    assert len({file_name(other) for other in (name, "a%2Fb", "x/y")}) == 3 - (name == "x/y")


def test_an_entry_is_one_line_whatever_is_in_it():
    """
    Line breaks and escapes in facts stay inside the line.
    """
    entry = Entry("added", "2026-11-21T12:00:00.000Z", {"path": "/a\nb\x1b[31m\u2028"})
    text = render_entry(entry)
    assert text.count("\n") == 1
    assert text.isprintable() or text[:-1].isprintable()
    assert parse_entries(text) == (entry,)
    assert json.loads(text)["step"] == "added"
