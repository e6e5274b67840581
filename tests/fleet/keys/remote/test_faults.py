"""
Hosts on which writing goes wrong: full, read-only, out of inodes, immutable; and what must be kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetctl.keys.place import DeadMan
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.errors import FleetError
from tests.fleet.keys.remote.homes import NEEDED, Home, locked, only, swap_to
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

PAGE = 4096


@contextmanager
def small_disk(home: Home, options: str) -> Iterator[Path]:
    """
    Give the user a home on a file system of its own; yields its .ssh as we see it from here.
    """
    there = f"/home/{home.user}"
    home.inside("mount", "-t", "tmpfs", "-o", options, "small", there)
    seen = Path(f"/proc/{home.host.pid}/root{there}/.ssh")
    try:
        seen.mkdir(mode=0o700)
        (seen / "authorized_keys").write_bytes(home.old)
        (seen / "authorized_keys").chmod(0o600)
        for path in (seen.parent, seen, seen / "authorized_keys"):
            os.chown(path, home.accounts.uid(home.user), -1)
        seen.parent.chmod(0o700)
        yield seen
    finally:
        home.inside("umount", "-l", there)


def fill(seen: Path, *, leave_pages: int) -> None:
    filler = seen.parent / "filler"
    free = os.statvfs(seen).f_bavail
    filler.write_bytes(b"x" * PAGE * max(free - leave_pages, 0))


def is_refused_for_lack_of_room(
    home: Home, work: Callable[[ShellKeysFile], Awaitable[object]]
) -> bool:
    """Tell whether it is; any other failure is one of the test."""
    try:
        home.run(work)
    except FleetError as error:
        if (error.kind, "ENOSPC" in str(error)) == ("keys.write", True):
            return True
        raise
    return False


@pytest.mark.parametrize("guard", [None, DeadMan(int(PATIENCE_S))], ids=["plain", "guarded"])
def test_F58_on_a_full_disk_the_old_file_stays_as_it_is(accounts, guard):
    """
    Wherever in a change the room ends: no torn line, nothing left behind, and the reason is told.
    """
    home = Home(accounts, accounts.host("small"), "u-sh").reset()
    new = home.new + b"# long\n" * 1500
    fitted = []
    for pages in range(16):
        with small_disk(home, "size=64k") as seen:
            fill(seen, leave_pages=pages)

            async def work(file: ShellKeysFile) -> None:
                swapped = await swap_to(file, new, dead_man=guard)
                if guard is not None:
                    await file.swap_back(swapped)

            if is_refused_for_lack_of_room(home, work):
                assert (seen / "authorized_keys").read_bytes() == home.old
                assert os.listdir(seen) == ["authorized_keys"], pages
            else:
                fitted.append(pages)
    assert 15 in fitted
    assert 0 not in fitted


def test_F60_without_inodes_the_old_file_stays_as_it_is(accounts):
    """
    The same where there is room for bytes and none for files.
    """
    home = Home(accounts, accounts.host("small"), "u-sh").reset()
    fitted = []
    for free in range(9):
        with small_disk(home, f"size=1m,nr_inodes={4 + free}") as seen:
            if is_refused_for_lack_of_room(home, lambda file: swap_to(file, home.new)):
                assert (seen / "authorized_keys").read_bytes() == home.old
                assert os.listdir(seen) == ["authorized_keys"], free
            else:
                fitted.append(free)
    assert 8 in fitted
    assert 0 not in fitted


def test_F59_on_a_read_only_disk_it_is_said_so(accounts):
    """
    A look works; a change is refused before anything is sent.
    """
    home = Home(accounts, accounts.host("small"), "u-sh").reset()
    with small_disk(home, "size=64k") as seen:
        home.inside("mount", "-o", "remount,ro", "/home/u-sh")
        assert home.run(lambda file: file.look()).data == home.old
        error = home.failure(locked)
        assert (error.kind, "EROFS" in str(error)) == ("keys.write", True)
        assert os.listdir(seen) == ["authorized_keys"]


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_F61_an_immutable_file_is_named(accounts, what, flag):
    """
    The hint undoes it; nothing is left beside the file.
    """
    home = Home(accounts, accounts.host("keys"), "u-bash").reset()
    path = home.file if what == "file" else home.folder
    set_flag = subprocess.run(["chattr", f"+{flag}", path], capture_output=True, check=False)
    assert set_flag.returncode == 0, "the tests need a file system with chattr(1) for /tmp"
    try:
        error = home.failure(lambda file: swap_to(file, home.new))
    finally:
        subprocess.run(["chattr", f"-{flag}", path], check=True)
    assert error.kind == "keys.write"
    assert "EPERM" in str(error) or "not permitted" in str(error)
    if what == "file":
        assert {"i": "immutable", "a": "append-only"}[flag] in str(error)
        assert error.failure.hint == f"on the host: chattr -{flag} '{home.there}'"
    assert home.file.read_bytes() == home.old
    if (what, flag) == ("folder", "a"):
        # In such a folder nothing can be removed, not even what we made.
        shutil.rmtree(home.folder)
    else:
        assert home.beside == set()


def test_F65_the_context_of_selinux_is_restored(accounts):
    """
    Where restorecon is there it is called for the file and its folder, after the rename.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    path = only(home, (*NEEDED, "cmp"))
    stubs = home.host.home / "stubs"
    stubs.mkdir(exist_ok=True)
    log = home.home / "restored"
    (stubs / "restorecon").write_text(
        f'#!/bin/sh\necho "$*" >>/home/u-sh/restored; /bin/cat {home.there} >>/home/u-sh/restored\n'
    )
    (stubs / "restorecon").chmod(0o755)
    look = home.run(lambda file: file.look(), path=f"{path}:/home/stubs")
    assert "restorecon" in look.tools
    home.run(lambda file: swap_to(file, home.new), path=f"{path}:/home/stubs")
    assert log.read_bytes() == f"-F /home/u-sh/.ssh {home.there}\n".encode() + home.new
    log.unlink()


def test_F65_an_access_control_list_is_kept(accounts):
    """
    As it is on the old file, on the new one.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    subprocess.run(["setfacl", "-m", "u:65534:r", home.file], check=True)
    before = acl(home)
    home.run(lambda file: swap_to(file, home.new))
    assert acl(home) == before
    assert home.file.read_bytes() == home.new


def test_F65_a_list_that_cannot_be_kept_stops_the_change(accounts):
    """
    A copy by busybox has none, and ls shows that; with getfacl and setfacl it has one.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    subprocess.run(["setfacl", "-m", "u:65534:r", home.file], check=True)
    before = acl(home)
    path = f"{only(home, ('ls', 'cksum'))}:{only(home, (*NEEDED, 'cmp'), busybox=True)}"
    error = home.failure(lambda file: swap_to(file, home.new), path=path)
    assert (error.kind, "ACL" in str(error)) == ("keys.write", True)
    assert home.file.read_bytes() == home.old
    assert home.beside == set()
    path = f"{path}:{only(home, ('getfacl', 'setfacl'))}"
    home.run(lambda file: swap_to(file, home.new), path=path)
    assert acl(home) == before
    assert home.file.read_bytes() == home.new


def acl(home: Home) -> bytes:
    done = subprocess.run(["getfacl", "-pn", home.file], capture_output=True, check=True)
    return done.stdout
