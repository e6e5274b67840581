"""
Looking at an authorized_keys and swapping it by programs for sh, by each shell.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from fleetctl.keys.remote import shell_file
from fleetctl.keys.remote.encoding import cksum
from fleetctl.model.errors import FleetError
from tests.fleet.keys.remote.by_shell import (
    NEW,
    OLD,
    failure_of,
    run,
    shells,
    swap,
)
from tests.support.key_shells import keys_folder
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@shells
def test_a_look_says_what_there_is(tmp_path, shell):
    """
    Bytes, owners and modes of every part of the way, the clock: all as they are on the host.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    folder.path.chmod(0o640)
    folder.path.parent.chmod(0o2750)
    before = time.time()
    look = run(folder.open().look)
    assert look.data == OLD
    assert look.checksum == f"{cksum(OLD)} {len(OLD)}"
    assert look.path == str(folder.path)
    assert look.uid == os.getuid()
    assert [c.path for c in look.components][-2:] == [str(folder.path.parent), look.path]
    assert [(c.kind, c.mode) for c in look.components[-2:]] == [
        ("directory", 0o2750),
        ("file", 0o640),
    ]
    assert all(c.owner == os.stat(c.path).st_uid for c in look.components)
    assert before - 2 < look.clock < time.time() + 2
    assert look.utc_offset == time.localtime().tm_gmtoff
    assert {"cksum", "cmp"} <= look.tools
    assert folder.beside == set()


@shells
def test_a_swap_puts_the_bytes_there_and_keeps_the_old_ones(tmp_path, shell):
    """
    The new file has the mode of the old one, the backup is the old one itself, and nothing else is
    left beside it.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    folder.path.chmod(0o640)
    number = folder.path.stat().st_ino
    swapped = swap(folder)
    assert folder.path.read_bytes() == swapped.after == NEW
    assert swapped.before == OLD
    assert folder.path.stat().st_mode & 0o7777 == 0o640
    assert swapped.backup is not None
    backup = Path(swapped.backup)
    assert (backup.read_bytes(), backup.stat().st_ino) == (OLD, number)
    assert folder.beside == {backup.name}


@shells
def test_a_swap_takes_two_programs_of_at_most_12_kib(tmp_path, shell):
    """
    That is what a change costs.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    swap(folder)
    assert len(folder.remote.sent) == 2
    assert max(len(text) for text in folder.remote.sent) <= 12 * 1024


@shells
def test_a_file_that_is_not_there_is_made(tmp_path, shell):
    """
    With its folder, and only for their owner.
    """
    folder = keys_folder(tmp_path, shell, None)
    folder.path.parent.rmdir()
    swapped = swap(folder)
    assert (swapped.before, swapped.backup) == (None, None)
    assert folder.path.read_bytes() == NEW
    assert folder.path.stat().st_mode & 0o7777 == 0o600
    assert folder.path.parent.stat().st_mode & 0o7777 == 0o700
    assert folder.beside == set()


@shells
def test_a_lock_that_is_given_back_leaves_nothing(tmp_path, shell):
    """
    Not the folder either that was made for it.
    """
    folder = keys_folder(tmp_path, shell, None)
    folder.path.parent.rmdir()

    async def work() -> None:
        file = folder.open()
        look = await file.look(lock=True)
        assert folder.beside == {"authorized_keys.fleetctl-lock"}
        await file.unlock(look)

    run(work)
    assert not folder.path.parent.exists()


@shells
def test_a_swap_can_be_undone(tmp_path, shell):
    """
    The old bytes are back, and no backup of what was a mistake is left.
    """
    folder = keys_folder(tmp_path, shell, OLD)

    async def work() -> None:
        file = folder.open()
        swapped = await file.swap(await file.look(lock=True), NEW)
        await file.swap_back(swapped)
        await file.swap_back(swapped)

    run(work)
    assert folder.path.read_bytes() == OLD
    assert folder.beside == set()


def test_a_file_that_was_made_is_removed_again(tmp_path):
    """
    Undoing the first version is removing it.
    """
    folder = keys_folder(tmp_path, data=None)

    async def work() -> None:
        file = folder.open()
        await file.swap_back(await file.swap(await file.look(lock=True), NEW))

    run(work)
    assert not folder.path.exists()
    assert folder.beside == set()


def test_what_somebody_else_has_written_since_is_not_undone(tmp_path):
    """
    A swap is undone only while the file has what the swap put there.
    """
    folder = keys_folder(tmp_path, data=OLD)
    swapped = swap(folder)
    folder.path.write_bytes(NEW + b"more\n")
    error = failure_of(lambda: folder.open().swap_back(swapped))
    assert error.kind == "keys.changed"
    assert folder.path.read_bytes() == NEW + b"more\n"
    assert "authorized_keys.fleetctl-lock" not in folder.beside


@shells
def test_a_change_since_the_look_is_seen(tmp_path, shell):
    """
    Then nothing is written, the lock is free, and a new look may go on.
    """
    folder = keys_folder(tmp_path, shell, OLD)

    async def work() -> None:
        file = folder.open()
        look = await file.look(lock=True)
        folder.path.write_bytes(OLD + b"other\n")
        await file.swap(look, NEW)

    error = failure_of(work)
    assert (error.kind, error.failure.retryable) == ("keys.changed", True)
    assert folder.path.read_bytes() == OLD + b"other\n"
    assert folder.beside == set()


@shells
def test_three_backups_are_kept(tmp_path, shell):
    """
    The newest three; each is found again with its time, its run and its bytes.
    """
    folder = keys_folder(tmp_path, shell, b"0\n")

    async def work() -> None:
        file = folder.open(run_id="run/5 x")
        for number in range(1, 6):
            await file.swap(await file.look(lock=True), b"%d\n" % number)
        backups = await file.backups()
        assert [await file.read_backup(each) for each in backups] == [b"4\n", b"3\n", b"2\n"]
        assert {each.run_id for each in backups} == {"run_5_x"}
        assert all(abs(each.at - time.time()) < PATIENCE_S for each in backups)
        assert {each.size for each in backups} == {2}

    run(work)


@shells
def test_only_one_holds_the_lock(tmp_path, shell, monkeypatch):
    """
    The other one is told who has it; when it is free he gets it.
    """
    monkeypatch.setattr(shell_file, "WAIT_S", 0.3)
    folder = keys_folder(tmp_path, shell, OLD)

    async def work() -> None:
        first, second = folder.open(run_id="first"), folder.open(run_id="second")
        look = await first.look(lock=True)
        with pytest.raises(FleetError) as caught:
            await second.look(lock=True)
        assert caught.value.kind == "keys.busy"
        assert "run first" in str(caught.value)
        assert (await second.look()).lock is None
        await first.unlock(look)
        await second.unlock(await second.look(lock=True))

    run(work)
    assert folder.beside == set()


@shells
@pytest.mark.parametrize("leftover", ["old", "taken", "dead", "empty-note", "no-note", "nonsense"])
def test_F72_a_lock_that_was_left_behind_is_taken_over(tmp_path, shell, leftover, monkeypatch):
    """
    By its age, or because its holder is dead; what lay in it is gone with it. Somebody else may
    have been stopped while taking it.
    """
    monkeypatch.setattr(shell_file, "WAIT_S", PATIENCE_S)
    folder = keys_folder(tmp_path, shell, OLD)
    lock = folder.path.with_name("authorized_keys.fleetctl-lock")
    lock.mkdir()
    (lock / "new").write_bytes(b"half a fi")
    now = int(time.time())
    host = os.uname().nodename
    gone = subprocess.Popen(["true"])
    gone.wait()
    if leftover in ("no-note", "empty-note"):
        # It grows old from the first time that somebody sees it.
        monkeypatch.setattr("fleetctl.keys.remote.programs.NOTELESS_LIMIT_S", 2)
    if leftover != "no-note":
        (lock / "note").write_text(
            {
                "old": f"token {host} run {now - 1000}\n",
                "taken": f"token {host} run {now - 1000}\n",
                "dead": f"token {host} run {now}\n",
                "empty-note": "",
                "nonsense": "what $(touch bad) is this\n",
            }[leftover]
        )
    if leftover == "taken":
        (lock / "taken").mkdir()
    (lock / "pid").write_text(f"{gone.pid if leftover == 'dead' else os.getpid()}\n")
    swap(folder)
    assert folder.path.read_bytes() == NEW
    assert len(folder.beside) == 1


def test_a_lock_that_was_taken_over_is_not_ours_any_more(tmp_path, monkeypatch):
    """
    Whoever comes back late writes nothing, and does not free what another one holds.
    """
    monkeypatch.setattr("fleetctl.keys.remote.programs.LOCK_LIMIT_S", 0)
    folder = keys_folder(tmp_path, data=OLD)

    async def work() -> None:
        late, other = folder.open(run_id="late"), folder.open(run_id="other")
        stale = await late.look(lock=True)
        held = await other.look(lock=True)
        with pytest.raises(FleetError) as caught:
            await late.swap(stale, b"late\n")
        assert caught.value.kind == "keys.changed"
        assert "other" in str(caught.value)
        await late.unlock(stale)
        await other.swap(held, NEW)

    run(work)
    assert folder.path.read_bytes() == NEW
