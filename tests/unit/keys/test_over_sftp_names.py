"""
What lies beside authorized_keys is known by its name, and by nothing else.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleetctl.keys.over_sftp_names import (
    backup_path,
    find_backups,
    find_gone,
    find_surplus,
    gone_path,
    lock_path,
    new_path,
    note_path,
    one_word,
)
from fleetctl.keys.place import BACKUPS_KEPT, Backup
from fleetctl.ssh.sftp import Attributes, Entry

PATH = "/home/u/.ssh/authorized_keys"
FILE = Attributes(size=7, mode=0o100600)
FOLDER = Attributes(mode=0o040700)


def entry(path: str, attributes: Attributes = FILE) -> Entry:
    return Entry(path.rpartition("/")[2], attributes)


@given(st.integers(0, 4_000_000_000), st.text(min_size=1, max_size=40))
def test_a_backup_is_found_by_the_name_it_was_given(at, run_id):
    """
    With the time and the run, whatever the run is called: the name stays in its folder.
    """
    path = backup_path(PATH, at, run_id)
    assert path.rpartition("/")[0] == "/home/u/.ssh"
    assert find_backups(PATH, [entry(path)]) == [Backup(path, at, one_word(run_id), 7)]


def test_backups_come_newest_first_and_others_are_none():
    """
    Neither other files nor links and folders of such a name, nor those of another file.
    """
    names = [backup_path(PATH, at, "run") for at in (1000, 3000, 2000)]
    others = [
        entry(PATH),
        entry(f"{PATH}2"),
        entry(f"{PATH}.fleetctl-99999999T999999Z-run"),
        entry(f"{PATH}.fleetctl-20260701T120000Z-"),
        entry(backup_path(f"{PATH}2", 5000, "run")),
        entry(backup_path(PATH, 4000, "run"), FOLDER),
        entry(backup_path(PATH, 4000, "run"), Attributes(mode=0o120777)),
        entry(lock_path(PATH), FOLDER),
    ]
    found = find_backups(PATH, [*map(entry, names), *others])
    assert [backup.at for backup in found] == [3000, 2000, 1000]


def test_backups_of_the_remote_program_are_read_too():
    """
    It marks a second one of the same second with a plus sign.
    """
    path = f"{PATH}.fleetctl-20260701T120000Z-20260701T115900-aa+"
    (found,) = find_backups(PATH, [entry(path)])
    assert (found.path, found.run_id) == (path, "20260701T115900-aa")


def test_only_the_oldest_backups_are_surplus():
    """
    So many are kept, the newest; nothing else is touched.
    """
    names = [backup_path(PATH, at, "run") for at in range(BACKUPS_KEPT + 2)]
    entries = [*map(entry, names), entry(PATH), entry(f"{PATH}.old")]
    assert find_surplus(PATH, entries) == [names[1], names[0]]


def test_locks_that_are_on_their_way_out_are_found():
    """
    Only folders, and only of this file.
    """
    entries = [
        entry(gone_path(PATH, "a"), FOLDER),
        entry(gone_path(PATH, "b")),
        entry(gone_path(f"{PATH}2", "c"), FOLDER),
        entry(lock_path(PATH), FOLDER),
    ]
    assert find_gone(PATH, entries) == [gone_path(PATH, "a")]


def test_what_a_change_needs_lies_in_its_lock():
    """
    So that nothing is left when the lock is gone.
    """
    for path in (note_path(PATH), new_path(PATH)):
        assert path.rpartition("/")[0] == lock_path(PATH)
