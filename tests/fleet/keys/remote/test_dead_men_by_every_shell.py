"""
Guards that put the old file back, by each shell.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleetctl.keys.place import DeadMan
from tests.fleet.keys.remote.by_shell import (
    NEW,
    OLD,
    confirm,
    failure_of,
    guard_pid,
    run,
    shells,
    swap,
    wait_until,
)
from tests.support.key_shells import keys_folder
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@shells
@pytest.mark.slow
def test_a_dead_man_puts_the_old_file_back(tmp_path, shell):
    """
    Without a confirmation the old file itself is there again after the time, and that is told.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    number = folder.path.stat().st_ino
    swapped = swap(folder, dead_man=DeadMan(1))
    assert swapped.guard in ("setsid", "nohup")  # on a slow machine the first may not be proved
    wait_until(lambda: folder.path.read_bytes() == OLD)
    assert folder.path.stat().st_ino == number
    wait_until(lambda: not any("lock" in name for name in folder.beside))
    error = failure_of(lambda: confirm(folder, swapped))
    assert error.kind == "keys.restored"
    assert not any("guard" in name for name in folder.beside)


@shells
def test_a_dead_man_who_is_told_leaves(tmp_path, shell):
    """
    No process of his and no file is left, and telling him twice does no harm.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    swapped = swap(folder, dead_man=DeadMan(int(PATIENCE_S)))
    assert run(folder.open().look).waiting == (swapped.token,)
    pid = guard_pid(folder)
    run(lambda: confirm(folder, swapped))
    run(lambda: confirm(folder, swapped))
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert folder.path.read_bytes() == NEW
    assert folder.beside == {Path(swapped.backup or "").name}


@shells
def test_a_dead_man_is_made_to_act_by_undoing(tmp_path, shell):
    """
    The old file itself is back.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    swapped = swap(folder, dead_man=DeadMan(int(PATIENCE_S)))
    run(lambda: folder.open().swap_back(swapped))
    assert folder.path.read_bytes() == OLD
    assert not any("guard" in name for name in folder.beside)
    assert not any("lock" in name for name in folder.beside)


def test_a_dead_man_does_not_touch_what_somebody_else_has_written(tmp_path):
    """
    The file has other bytes than we wrote: they stay.
    """
    folder = keys_folder(tmp_path, data=OLD)
    swapped = swap(folder, dead_man=DeadMan(1))
    folder.path.write_bytes(NEW + b"more\n")
    wait_until(lambda: not any("guard" in name for name in folder.beside))
    assert folder.path.read_bytes() == NEW + b"more\n"
    assert failure_of(lambda: confirm(folder, swapped)).kind == "keys.restored"


def test_a_dead_man_who_is_told_to_end_acts_at_once(tmp_path):
    """
    As when the host is shut down: nobody could confirm any more.
    """
    folder = keys_folder(tmp_path, data=OLD)
    swap(folder, dead_man=DeadMan(int(PATIENCE_S)))
    os.kill(guard_pid(folder), 15)
    wait_until(lambda: folder.path.read_bytes() == OLD)


def test_a_dead_man_never_brings_back_a_key_that_others_may_have(tmp_path):
    """
    Where the old file has it, in whatever line, none is left.
    """
    blob = b"\x00\x00\x00\x0bssh-ed25519 and more"
    old = b'command="x" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5IGFuZCBtb3Jl me\n'
    folder = keys_folder(tmp_path, data=old)
    swapped = swap(folder, dead_man=DeadMan(1, never_back=(blob,)))
    assert (swapped.token, swapped.guard) == (None, None)
    assert not any("guard" in name for name in folder.beside)


def test_a_token_is_for_its_owner_only(tmp_path):
    """
    Nobody else on the host can tell a dead man to leave.
    """
    folder = keys_folder(tmp_path, data=OLD)
    swapped = swap(folder, dead_man=DeadMan(int(PATIENCE_S)))
    [guard] = folder.path.parent.glob("*-guard-*")
    assert guard.stat().st_mode & 0o7777 == 0o700
    assert (guard / "token").stat().st_mode & 0o7777 == 0o600
    assert (guard / "token").read_text().strip() == swapped.token
    assert swapped.token.encode() not in Path(f"/proc/{guard_pid(folder)}/cmdline").read_bytes()
    run(lambda: confirm(folder, swapped))


def test_a_look_removes_what_a_dead_man_left_who_is_gone(tmp_path):
    """
    After a crash of the host nobody waits any more.
    """
    folder = keys_folder(tmp_path, data=OLD)
    swap(folder, dead_man=DeadMan(int(PATIENCE_S)))
    pid = guard_pid(folder)
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, check=True).stdout
    for each in (pid, *map(int, children.split())):
        os.kill(each, 9)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert run(folder.open().look).waiting == ()

    async def work() -> None:
        file = folder.open()
        await file.unlock(await file.look(lock=True))

    run(work)
    assert not any("guard" in name for name in folder.beside)
    assert folder.path.read_bytes() == NEW
