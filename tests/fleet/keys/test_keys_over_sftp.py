"""
authorized_keys over SFTP where something is in the way: confined users, full disks, old servers.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from fleetctl.keys.opening import open_keys_file
from fleetctl.keys.over_sftp import SftpKeysFile
from fleetctl.keys.place import DeadMan, KeysFile, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from tests.fleet.keys.sftp_hosts import (
    ONE,
    RUN_ID,
    TWO,
    USER,
    change,
    mounted_over_home,
    names,
    on,
    own,
    prepared,
    refusal,
)
from tests.support.drive import run_async
from tests.support.keys import keygen
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def host(accounts) -> LabHost:
    """A host that gives SFTP and nothing else; the key that logs in stands elsewhere."""
    return prepared(accounts, "sftp-troubled")


def test_a_key_that_was_added_over_sftp_logs_in(accounts, tmp_path):
    """
    F35: sshd itself takes the new key, and after the change was undone refuses it again.
    """
    host = accounts.host("sftp-real", ForceCommand="internal-sftp")
    new = keygen(tmp_path / "new", "-t", "ed25519")
    line = new.with_suffix(".pub").read_bytes()
    settings = accounts.model_host(USER, host, identity_files=(str(new),))

    async def logs_in() -> bool:
        async with operating_on(settings) as remote:
            try:
                await remote.connect()
            except FleetError as error:
                return error.kind != "auth.denied"
            return True

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            file = SftpKeysFile(remote, Target(), run_id=RUN_ID)
            look = await file.look(lock=True)
            assert not await logs_in()
            swapped = await file.swap(look, (look.data or b"") + line)
            assert await logs_in()
            await file.swap_back(swapped)
            assert not await logs_in()

    run_async(main)


def test_a_confined_user_has_his_keys_in_what_he_sees(accounts):
    """
    With ChrootDirectory the home is ``/`` and root's; what lies in it is the user's.
    """
    host = prepared(accounts, "sftp-confined", ChrootDirectory="%h")
    home = host.home / USER
    os.chown(home, 0, 0)
    swapped = on(accounts, host, change)
    assert swapped.path == "/.ssh/authorized_keys"
    assert (home / ".ssh" / "authorized_keys").read_bytes() == ONE + TWO
    assert (home / ".ssh" / "authorized_keys").stat().st_uid == accounts.uid(USER)
    look = on(accounts, host, lambda file: file.look())
    assert (look.home, look.uid) == ("/", accounts.uid(USER))
    assert [one.path for one in look.components] == ["/", "/.ssh", "/.ssh/authorized_keys"]
    shutil.rmtree(home / ".ssh")
    assert refusal(accounts, host, change).kind == "keys.no_home"


def test_F62_a_home_that_is_missing_is_named(accounts):
    """
    The session starts in ``/`` then, where nothing is written.
    """
    host = prepared(accounts, "sftp-homeless")
    shutil.rmtree(host.home / USER)
    error = refusal(accounts, host, change)
    assert error.kind == "keys.no_home"


@pytest.mark.parametrize("denied", ["posix-rename", "fsync", "posix-rename,fsync"])
def test_a_server_that_cannot_replace_files_safely_is_refused(accounts, denied):
    """
    Nothing has changed, and the lock is free; it works where that is accepted.
    """
    name = "sftp-without-" + denied.replace(",", "-")
    host = prepared(accounts, name, f"internal-sftp -P {denied}")
    path = host.home / USER / ".ssh" / "authorized_keys"
    error = refusal(accounts, host, change)
    assert error.kind == "keys.not_atomic"
    assert all(f"{each}@openssh.com" in str(error) for each in denied.split(","))
    assert (path.read_bytes(), names(path.parent)) == (ONE, {"authorized_keys"})
    on(accounts, host, change, non_atomic=True)
    assert path.read_bytes() == ONE + TWO


def test_no_dead_man_is_promised_where_none_can_be_left(accounts, host):
    """
    A removal that asks for one is refused, unless that is forced; then the result says none waits.
    """
    path = host.home / USER / ".ssh" / "authorized_keys"

    async def guarded(file: SftpKeysFile):
        return await file.swap(await file.look(lock=True), TWO, dead_man=DeadMan())

    error = refusal(accounts, host, guarded)
    assert error.kind == "keys.no_guard"
    assert (path.read_bytes(), names(path.parent)) == (ONE, {"authorized_keys"})
    swapped = on(accounts, host, guarded, force_guard=True)
    assert (swapped.token, swapped.guard, path.read_bytes()) == (None, None, TWO)


def test_a_confirmation_looks_whether_the_change_is_still_there(accounts, host):
    """
    Over the other login; what is something else by now was put back by somebody.
    """

    async def main() -> None:
        async with (
            operating_on(accounts.model_host(USER, host)) as remote,
            operating_on(accounts.model_host(USER, host)) as other,
        ):
            file = SftpKeysFile(remote, Target(), run_id=RUN_ID)
            swapped = await file.swap(await file.look(lock=True), TWO)
            await file.confirm(swapped, other)
            await file.swap_back(swapped)
            with pytest.raises(FleetError) as caught:
                await file.confirm(swapped, other)
            assert caught.value.kind == "keys.restored"

    run_async(main)


def test_the_keys_of_another_user_are_refused(accounts, host):
    """
    Nobody can be become over SFTP; one's own name is allowed.
    """

    async def look(file: SftpKeysFile):
        return await file.look()

    error = refusal(accounts, host, look, Target(user="admin"))
    assert error.kind == "become.unavailable"
    assert on(accounts, host, look, Target(user=USER)).data == ONE


@pytest.mark.parametrize(
    ("row", "options", "said"),
    [("F58", "size=8k", "ENOSPC"), ("F60", "nr_inodes=6", "inode")],
)
def test_F58_F60_a_full_file_system_leaves_the_old_file(accounts, host, row, options, said):
    """
    F58, F60: no half of a key, no rest of the try; the message says what is full.
    """
    with mounted_over_home(accounts, host, options) as home:
        path = home / ".ssh" / "authorized_keys"
        error = refusal(accounts, host, lambda file: change(file, ONE * 300))
        assert error.kind == "keys.write"
        assert said in str(error)
        assert (path.read_bytes(), names(path.parent)) == (ONE, {"authorized_keys"})


def test_F59_a_read_only_file_system_is_named(accounts, host):
    """
    F59: nothing can be written, and the message says why.
    """
    with mounted_over_home(accounts, host, "size=1m") as home:
        remount = ("mount", "-o", "remount,ro", f"/home/{USER}")
        inside = ("nsenter", "--mount", "--target", str(host.pid))
        subprocess.run([*inside, *remount], check=True, timeout=PATIENCE_S)
        error = refusal(accounts, host, change)
        assert error.kind == "keys.write"
        assert "EROFS" in str(error)
        look = on(accounts, host, lambda file: file.look())
        assert look.data == ONE
        assert names(home / ".ssh") == {"authorized_keys"}


def test_F61_what_may_not_be_changed_is_left(accounts, host):
    """
    F61: a folder that the user may not write to; the hint says where to look.
    """
    folder = host.home / USER / ".ssh"
    folder.chmod(0o500)
    error = refusal(accounts, host, change)
    assert error.kind == "keys.write"
    assert "permission denied" in str(error)
    assert "lsattr" in (error.failure.hint or "")
    assert (folder / "authorized_keys").read_bytes() == ONE
    folder.chmod(0o700)


def test_F71_what_others_append_meanwhile_is_not_lost(accounts, host):
    """
    F71: whoever appends to the file while we change it again and again keeps his lines: a change
    that would have overwritten one is noticed and made anew.
    """
    path = host.home / USER / ".ssh" / "authorized_keys"
    theirs = [f"ssh-ed25519 AAAAtheirs{number}\n" for number in range(200)]
    ours = [f"ssh-ed25519 AAAAours{number}\n".encode() for number in range(25)]
    script = "import sys,time\nfor line in sys.stdin:\n"
    script += f" open({str(path)!r}, 'a').write(line)\n time.sleep(0.005)\n"

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            file = SftpKeysFile(remote, Target(), run_id=RUN_ID)
            appending = await asyncio.create_subprocess_exec(
                "python3", "-c", script, stdin=asyncio.subprocess.PIPE
            )
            feeding = asyncio.ensure_future(appending.communicate("".join(theirs).encode()))
            for line in ours:
                while True:
                    with suppress(FleetError):
                        look = await file.look(lock=True)
                        await file.swap(look, (look.data or b"") + line)
                        break
            await feeding

    run_async(main)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(set(lines)) == len(lines), "nothing is there twice"
    assert set(ours) <= set(lines)
    lost = {line.encode() for line in theirs} - set(lines)
    # Between the last look and the rename there is no lock that strangers would know of.
    assert len(lost) <= 1


def test_S05_what_a_host_says_of_a_lock_is_one_line(accounts, host, monkeypatch):
    """
    S05: the note of a lock is a stranger's text: bounded, on one line.
    """
    monkeypatch.setattr("fleetctl.keys.over_sftp_lock.WAIT_S", 0.1)
    lock = host.home / USER / ".ssh" / "authorized_keys.fleetctl-lock"
    lock.mkdir()
    (lock / "note").write_bytes(b"x \x1b[31mevil run" + b"y" * 800 + b"\nmore\n")
    own(accounts, host.home / USER)
    error = refusal(accounts, host, change)
    assert error.kind == "keys.busy"
    assert "\n" not in str(error)
    assert len(str(error)) < 1200


def test_a_change_that_is_cancelled_leaves_one_of_the_versions_and_no_lock(accounts, host):
    """
    Whenever that is: what was begun is undone, over the same session.
    """
    path = host.home / USER / ".ssh" / "authorized_keys"

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            for number in range(30):
                path.write_bytes(ONE)
                file = SftpKeysFile(remote, Target(), run_id=RUN_ID)
                changing = asyncio.ensure_future(change(file))
                await asyncio.sleep(0.003 * number)
                changing.cancel()
                await asyncio.gather(changing, return_exceptions=True)
                assert path.read_bytes() in (ONE, ONE + TWO)
                left = {name for name in names(path.parent) if ".fleetctl-2" not in name}
                assert left == {"authorized_keys"}

    run_async(main)


def test_the_way_to_the_file_is_found_by_itself(accounts, host):
    """
    F35: where a shell was tried in vain, SFTP does it.
    """
    path = host.home / USER / ".ssh" / "authorized_keys"

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            file = await open_keys_file(remote, Target(), run_id=RUN_ID)
            look = await file.look(lock=True)
            await file.swap(look, TWO)

    run_async(main)
    assert (path.read_bytes(), look_like_backups(path)) == (TWO, [ONE])


def look_like_backups(path: Path) -> list[bytes]:
    return [each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}.fleetctl-2*"))]


def test_F70_a_shell_and_sftp_keep_each_other_out(accounts, monkeypatch):
    """
    One lock, one kind of backup: whichever way a controller works, the other one sees it.
    """
    monkeypatch.setattr("fleetctl.keys.over_sftp_lock.WAIT_S", 0.2)
    monkeypatch.setattr("fleetctl.keys.remote.shell_file.WAIT_S", 0.2)
    host = accounts.host("sftp-and-shell")
    path = host.home / USER / ".ssh" / "authorized_keys"
    first = path.read_bytes()

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            by_shell: KeysFile = ShellKeysFile(remote, Target(), run_id="20260701T120000-aa")
            by_sftp: KeysFile = SftpKeysFile(remote, Target(), run_id="20260701T120001-bb")
            for holder, other in ((by_shell, by_sftp), (by_sftp, by_shell)):
                look = await holder.look(lock=True)
                with pytest.raises(FleetError, match="run 20260701T12000") as caught:
                    await other.look(lock=True)
                assert caught.value.kind == "keys.busy"
                await holder.swap(look, (look.data or b"") + ONE)
            assert path.read_bytes() == first + ONE + ONE
            seen = [[each.path for each in await file.backups()] for file in (by_shell, by_sftp)]
            assert seen[0] == seen[1]
            assert len(seen[0]) == 2

    run_async(main)
    assert {name for name in names(path.parent) if ".fleetctl-2" not in name} == {path.name}
