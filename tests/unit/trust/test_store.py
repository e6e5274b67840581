"""
The records of what was trusted: kept private, replaced whole, refused when others had their hands
on them.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.trust.store import Record, TrustStore


def test_what_is_added_is_there_until_it_is_removed(store, now):
    """
    A record has the hash and the time; adding again replaces it.
    """
    store.add({"/p/a": "aa", "/p/b": "bb"}, now)
    assert store.records() == {"/p/a": Record("aa", now), "/p/b": Record("bb", now)}
    later = now + timedelta(days=1)
    store.add({"/p/a": "cc"}, later)
    assert store.records()["/p/a"] == Record("cc", later)
    assert store.remove(["/p/b"]) == ["/p/b"]
    assert list(store.records()) == ["/p/a"]


def test_removing_a_folder_removes_what_is_below_it(store, now):
    """
    /p covers /p/a and /p/x/b, not /pq; what was never trusted is not named.
    """
    store.add(dict.fromkeys(["/p/a", "/p/x/b", "/pq", "/p"], "aa"), now)
    assert store.remove(["/p/", "/nothing"]) == ["/p", "/p/a", "/p/x/b"]
    assert list(store.records()) == ["/pq"]
    assert store.remove(["/"]) == ["/pq"]


def test_time_is_kept_in_utc(store, state):
    """
    Whatever the zone of the clock, the file says UTC.
    """
    store.add({"/p": "aa"}, datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    written = json.loads((state / "trust.json").read_text())
    assert written["trusted"]["/p"]["at"] == "2025-12-31T23:00:00+00:00"
    assert store.records()["/p"].at == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_S25_folder_and_files_are_for_their_owner_alone(store, state, now):
    """
    Folder 0700, files 0600, whatever the umask; nothing is left besides the records and the lock.
    """
    old = os.umask(0)
    try:
        store.add({"/p": "aa"}, now)
    finally:
        os.umask(old)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
    assert modes == {"trust.json": 0o600, "trust.lock": 0o600}


def test_reading_makes_nothing(store, state):
    """
    Where nothing was trusted, nothing is written to find that out.
    """
    assert store.records() == {}
    assert not state.exists()


@pytest.mark.parametrize("which", ["", "trust.json", ".."])
def test_S25_records_that_others_can_write_are_refused(store, state, now, which):
    """
    The folder, the file and what is above them belong to the user alone, or nothing is believed.
    """
    store.add({"/p": "aa"}, now)
    (state / which).resolve().chmod(0o777)
    with pytest.raises(UsageError, match="can be written by everybody"):
        store.records()
    with pytest.raises(UsageError, match="can be written by everybody"):
        store.add({"/q": "bb"}, now)


@pytest.mark.parametrize("name", ["trust.json", "trust.lock"])
def test_S26_a_link_in_the_state_folder_is_not_followed(store, state, tmp_path, now, name):
    """
    A link put in place of a file leads nowhere.
    """
    state.mkdir(parents=True, mode=0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("{}")
    (state / name).symlink_to(elsewhere)
    with pytest.raises(UsageError):
        store.add({"/p": "aa"}, now)
    assert elsewhere.read_text() == "{}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1, "trusted": {"/p": {}}}',
        '{"version": 1, "trusted": {"/p": {"sha256": "a", "at": "soon"}}}',
        '{"version": 1, "trusted": ["/p"]}',
        "\xff",
    ],
)
def test_a_damaged_file_is_an_error_that_says_how_to_go_on(store, state, text):
    """
    What cannot be understood is not taken for "nothing is trusted".
    """
    state.mkdir(parents=True, mode=0o700)
    (state / "trust.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="it is damaged") as caught:
        store.records()
    assert caught.value.problems[0].hint == f"remove it and trust again: rm {state}/trust.json"


def test_records_of_a_later_version_are_not_guessed_at(store, state):
    """
    A newer fleetctl may mean something else by the same words.
    """
    state.mkdir(parents=True, mode=0o700)
    (state / "trust.json").write_text('{"version": 2, "trusted": {}}')
    with pytest.raises(UsageError, match="it is of version 2, this fleetctl knows 1"):
        store.records()


def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path, account, now):
    """
    A file stands where the folder should be.
    """
    (tmp_path / "state").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        TrustStore(tmp_path / "state", account).add({"/p": "aa"}, now)


def test_two_at_once_lose_nothing(store, state):
    """
    Processes that trust different files at the same time all have their records kept.
    """
    script = (
        "import os, sys; from datetime import UTC, datetime; from pathlib import Path;"
        "from fleetctl.trust.store import TrustStore;"
        "from fleetctl.trust.permissions import Account;"
        "store = TrustStore(Path(sys.argv[1]), Account(os.geteuid()));"
        "[store.add({f'/{sys.argv[2]}/{n}': 'aa'}, datetime.now(UTC)) for n in range(20)]"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(state), name]) for name in "abc"
    ]
    assert [child.wait(20) for child in children] == [0, 0, 0]
    assert len(store.records()) == 60
