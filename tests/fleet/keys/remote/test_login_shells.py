"""
A change of keys by every login shell, on OpenSSH and dropbear, with much and with few tools.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import BecomingRemote
from fleetctl.keys.place import DeadMan, Look, Swapped, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.remote import Remote
from tests.fleet.keys.remote.homes import NEEDED, Home, locked, only, swap_to
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

USERS = "u-sh u-dash u-bash u-ash u-ksh u-zsh u-csh u-tcsh u-fish root".split()
GUARDED = DeadMan(int(PATIENCE_S))


async def there_and_back(file: ShellKeysFile, home: Home, over: Remote) -> None:
    swapped = await swap_to(file, home.new)
    assert home.file.read_bytes() == swapped.after == home.new
    await file.swap_back(swapped)
    assert home.file.read_bytes() == home.old
    guarded = await swap_to(file, home.new, dead_man=GUARDED)
    assert guarded.guard in ("setsid", "nohup")  # on a slow machine the first may not be proved
    assert (await file.look()).waiting == (guarded.token,)
    await file.confirm(guarded, over)
    assert home.file.read_bytes() == home.new
    assert home.beside == {Path(guarded.backup or "").name}


@pytest.mark.parametrize("server", ["openssh", "dropbear"])
@pytest.mark.parametrize("user", USERS)
def test_every_login_shell_changes_keys(accounts, user, server):
    """
    There, back, and guarded by a dead man who is told over another login.
    """
    host = accounts.host("keys") if server == "openssh" else accounts.dropbear("keys-dropbear")
    home = Home(accounts, host, user).reset()

    async def work(remote: Remote) -> None:
        file = ShellKeysFile(remote, Target(), run_id="run-1")
        look = await file.look()
        assert (look.path, look.data) == (home.there, home.old)
        assert (look.user, look.uid) == (user, accounts.uid(user))
        assert look.server_version.lower().startswith(server)
        assert [c.mode for c in look.components] == [0o700, 0o700, 0o600]
        assert {c.owner_name for c in look.components} == {user}
        await there_and_back(file, home, remote)

    home.run_over(work)


@pytest.mark.parametrize("user", ["u-sh", "u-csh"])
def test_F37_what_start_up_files_say_does_no_harm(accounts, user):
    """
    They write before us, on both streams; what looks like an answer is none.
    """
    home = Home(accounts, accounts.host("keys"), user).reset()
    for name in (".bashrc", ".cshrc", ".tcshrc", ".zshenv", ".profile"):
        (home.home / name).write_text("echo noise; echo end\n")
    assert home.run(lambda file: swap_to(file, home.new)).after == home.new
    for name in (".cshrc", ".tcshrc", ".zshenv"):
        (home.home / name).unlink()


@pytest.mark.parametrize("user", ["u-nologin", "u-false", "u-csh", "u-fish", "admin"])
def test_root_becomes_the_user_whose_keys_they_are(accounts, user):
    """
    Whatever the user's login shell is, even none.
    """
    home = Home(accounts, accounts.host("keys"), user).reset()

    async def work(remote: Remote) -> None:
        file = ShellKeysFile(remote, Target(user=user), run_id="run-1")
        look = await file.look()
        assert (look.user, look.uid, look.path) == (user, accounts.uid(user), home.there)
        assert look.sshd is not None
        assert look.sshd["strictmodes"] == "yes"
        await there_and_back(file, home, remote)

    home.run_over(work, login="root")
    assert home.file.stat().st_uid == accounts.uid(user)


@pytest.mark.parametrize("way", ["setpriv", "runuser", "su", "sudo", "doas"])
def test_there_are_several_ways_to_become_somebody(accounts, way):
    """
    Whichever of them the host has.
    """
    host = accounts.host("ways", doas="permit nopass root\n")
    home = Home(accounts, host, "u-nologin").reset()
    path = only(home, (*NEEDED, "cmp", way))
    target = Target(user="u-nologin")
    done = home.run(lambda file: swap_to(file, home.new), login="root", target=target, path=path)
    assert done.after == home.new
    assert home.file.stat().st_uid == accounts.uid("u-nologin")


def test_where_nothing_becomes_anybody_root_does_not_do_it_himself(accounts):
    """
    In a user's folder root has no business.
    """
    home = Home(accounts, accounts.host("keys"), "u-nologin").reset()
    error = home.failure(
        locked, login="root", target=Target(user="u-nologin"), path=only(home, NEEDED)
    )
    assert error.kind == "become.unavailable"
    assert home.beside == set()


def test_nobody_else_becomes_anybody(accounts):
    """
    The message says who we are, and what would help.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    error = home.failure(locked, target=Target(user="u-bash"))
    assert error.kind == "become.unavailable"
    assert "--become" in (error.failure.hint or "")


def test_root_by_sudo_changes_the_keys_of_another(accounts):
    """
    Where another user has to be become, the dead man is left and told over the first login.
    """
    home = Home(accounts, accounts.host("keys"), "u-false").reset()

    async def work(remote: Remote) -> None:
        becoming = BecomingRemote(remote, Become())
        file = ShellKeysFile(becoming, Target(user="u-false"), run_id="run-1")
        look = await file.look()
        # The settings are those for our address, which sudo has removed from the environment.
        assert look.sshd is not None
        await there_and_back(file, home, remote)

    home.run_over(work, login="nopass")


@pytest.mark.parametrize("tools", ["posix", "busybox"])
def test_few_tools_are_enough(accounts, tools):
    """
    The tools that POSIX names, or those of busybox and no others.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    path = only(home, (*NEEDED, "cmp"), busybox=tools == "busybox")

    async def work(remote: Remote) -> Look:
        file = ShellKeysFile(remote, Target(), run_id="run-1", path=path)
        await there_and_back_without_guard(file)
        return await file.look()

    async def there_and_back_without_guard(file: ShellKeysFile) -> None:
        swapped: Swapped = await swap_to(file, home.new)
        assert home.file.read_bytes() == home.new
        await file.swap_back(swapped)
        assert home.file.read_bytes() == home.old

    look = home.run_over(work)
    assert not look.tools - {"cksum", "cmp"}


def test_without_a_tool_to_compare_files_nothing_is_changed(accounts):
    """
    Nobody could see whether somebody else has written meanwhile.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    error = home.failure(locked, path=only(home, tuple({*NEEDED} - {"cksum"})))
    assert (error.kind, "cmp" in str(error)) == ("keys.protocol", True)
    assert home.beside == set()


@pytest.mark.parametrize("missing", ["cmp", "cksum"])
def test_a_tool_less_does_no_harm(accounts, missing):
    """
    Files are compared by what there is.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    path = only(home, tuple({*NEEDED, "cmp"} - {missing}))
    assert home.run(lambda file: swap_to(file, home.new), path=path).after == home.new
