"""
F64: where sshd looks for keys, is where they are looked for; F62: homes that are none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetctl.keys.place import KeySource, Look, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.ssh.key_line import read_key
from tests.fleet.keys.remote.homes import OLD, Home, locked, swap_to
from tests.support.drive import run_async
from tests.support.keys import keygen
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet


def look_as_root(home: Home, **options: object) -> Look:
    target = Target(user=home.user)
    return home.run(lambda file: file.look(), login="root", target=target, **options)


def test_F64_another_file_in_the_home(accounts):
    """
    Asked by root, sshd says where; the folder is made for it.
    """
    host = accounts.host("elsewhere", AuthorizedKeysFile=".ssh2/keys .ssh/authorized_keys")
    home = Home(accounts, host, "u-sh").reset()
    shutil.rmtree(home.home / ".ssh2", ignore_errors=True)
    look = look_as_root(home)
    assert (look.path, look.data) == ("/home/u-sh/.ssh2/keys", None)
    assert [c.kind for c in look.components] == ["directory", "absent"]
    assert look.sources == (KeySource("authorizedkeysfile", home.there, home.old),)
    home.run(lambda file: swap_to(file, OLD), login="root", target=Target(user="u-sh"))
    made = home.home / ".ssh2" / "keys"
    assert made.read_bytes() == OLD
    assert (made.stat().st_uid, made.stat().st_mode & 0o7777) == (accounts.uid("u-sh"), 0o600)
    assert made.parent.stat().st_mode & 0o7777 == 0o700


def test_F64_of_two_files_the_one_that_has_the_key_is_meant(accounts):
    """
    Else the first; asked by root, who reads neither himself.
    """
    host = accounts.host("elsewhere", AuthorizedKeysFile=".ssh2/keys .ssh/authorized_keys")
    home = Home(accounts, host, "u-sh").reset()
    shutil.rmtree(home.home / ".ssh2", ignore_errors=True)
    _, blob, _ = read_key(home.login_line.strip())
    assert look_as_root(home, hint_blobs=(blob,)).path == home.there
    assert look_as_root(home, hint_blobs=(b"unknown",)).path.endswith("/.ssh2/keys")


def test_F64_a_users_file_among_roots_is_roots_business(accounts):
    """
    Root stays root there; what he makes can be read by sshd, and he takes nothing of others.
    """
    host = accounts.host("central", AuthorizedKeysFile="/etc/ssh/keys/%u .ssh/authorized_keys")
    home = Home(accounts, host, "u-sh").reset()
    folder = host.directory / "etc" / "ssh" / "keys"
    shutil.rmtree(folder, ignore_errors=True)
    target = Target(user="u-sh")
    swapped = home.run(lambda file: swap_to(file, home.new), login="root", target=target)
    file = folder / "u-sh"
    assert swapped.path == "/etc/ssh/keys/u-sh"
    assert file.read_bytes() == home.new
    assert (file.stat().st_uid, file.stat().st_mode & 0o7777) == (0, 0o644)
    assert folder.stat().st_mode & 0o7777 == 0o755
    look = look_as_root(home)
    assert (look.uid, look.user) == (0, "u-sh")
    # What is really read there lets in.
    (home.folder / "authorized_keys").unlink()
    argv = accounts.ssh_argv("u-sh", host=host)
    assert subprocess.run([*argv, "true"], check=False).returncode == 0
    folder.chmod(0o777)
    error = home.failure(locked, login="root", target=target)
    assert (error.kind, "/etc/ssh/keys" in str(error)) == ("keys.unsafe_path", True)
    folder.chmod(0o755)
    os.chown(file, accounts.uid("u-sh"), -1)
    error = home.failure(locked, login="root", target=target)
    assert (error.kind, "belongs to uid" in str(error)) == ("keys.unsafe_path", True)


def test_F64_sshd_may_take_keys_from_no_file(accounts):
    """
    Then there is nothing to change, and that is said.
    """
    host = accounts.host("nofile", AuthorizedKeysFile=".ssh/authorized_keys")
    config = host.directory / "etc" / "ssh" / "sshd_config"
    text = config.read_text()
    config.write_text(text + "Match User u-bash\nAuthorizedKeysFile none\n")
    home = Home(accounts, host, "u-bash").reset()
    error = home.failure(locked, login="root", target=Target(user="u-bash"))
    assert (error.kind, "AuthorizedKeysFile is none" in str(error)) == ("keys.unsafe_path", True)
    # A setting for one user is for one user.
    other = Home(accounts, host, "u-sh").reset()
    assert look_as_root(other).path == other.there


def test_F64_settings_for_our_address_count(accounts):
    """
    A Match block is looked up as sshd would for our own connection.
    """
    host = accounts.host("matching", AuthorizedKeysFile=".ssh/authorized_keys")
    config = host.directory / "etc" / "ssh" / "sshd_config"
    config.write_text(
        f"{config.read_text()}Match User u-sh Address 127.0.0.0/8 LocalPort {host.port}\n"
        "AuthorizedKeysFile .ssh/matched\n"
    )
    home = Home(accounts, host, "u-sh").reset()
    assert look_as_root(home).path == "/home/u-sh/.ssh/matched"


def test_F64_sshd_with_another_configuration_is_asked_for_that(fleet):
    """
    Several may run on one machine: the one that serves us counts.
    """
    lab_host = fleet.host("web01")

    async def main() -> Look:
        async with operating_on(fleet.model_host(lab_host)) as remote:
            return await ShellKeysFile(remote, Target(), run_id="run").look()

    look = run_async(main)
    assert look.path == str(lab_host.home / ".ssh" / "authorized_keys")
    assert look.data == Path(look.path).read_bytes()


def test_a_path_of_the_inventory_wins(accounts):
    """
    Tokens and the home are filled in; other files are named as sources.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    (home.folder / "u-sh").write_bytes(OLD)
    os.chown(home.folder / "u-sh", accounts.uid("u-sh"), -1)
    for path in ("~/.ssh/%u", "%h/.ssh/u-sh", ".ssh/u-sh", "/home/u-sh/.ssh/u-sh"):
        look = home.run(lambda file: file.look(), target=Target(path=path))
        assert (look.path, look.data) == ("/home/u-sh/.ssh/u-sh", OLD)
        look = home.run(
            lambda file: file.look(), login="root", target=Target(user="u-sh", path=path)
        )
        assert (look.path, look.uid) == ("/home/u-sh/.ssh/u-sh", accounts.uid("u-sh"))
        assert home.there in [source.path for source in look.sources]


def test_other_sources_of_keys_are_told(accounts, tmp_path):
    """
    Files, commands, authorities and principals, with what is in them.
    """
    host = accounts.host(
        "sources",
        AuthorizedKeysFile=".ssh/authorized_keys /etc/ssh/more/%u",
        AuthorizedKeysCommand="/bin/echo keys for %u",
        AuthorizedKeysCommandUser="nobody",
        TrustedUserCAKeys="/etc/ssh/ca.pub",
        AuthorizedPrincipalsFile=".ssh/principals",
    )
    home = Home(accounts, host, "u-sh").reset()
    etc = host.directory / "etc" / "ssh"
    (etc / "more").mkdir(exist_ok=True)
    (etc / "more" / "u-sh").write_bytes(b"more\n")
    ca = keygen(tmp_path / "ca", "-t", "ed25519").with_suffix(".pub").read_bytes()
    (etc / "ca.pub").write_bytes(ca)
    (etc / "ca.pub").chmod(0o600)
    (home.folder / "principals").write_bytes(b"bob\n")
    assert set(look_as_root(home).sources) == {
        KeySource("authorizedkeysfile", "/etc/ssh/more/u-sh", b"more\n"),
        KeySource("authorizedkeyscommand", "/bin/echo keys for %u"),
        KeySource("trustedusercakeys", "/etc/ssh/ca.pub", ca),
        KeySource("authorizedprincipalsfile", "/home/u-sh/.ssh/principals", b"bob\n"),
    }


def test_where_the_settings_are_not_known_the_second_usual_file_is_a_source(accounts):
    """
    Only root may ask sshd.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    (home.folder / "authorized_keys2").write_bytes(b"second\n")
    (home.folder / "authorized_keys2").chmod(0o644)
    look = home.run(lambda file: file.look())
    assert look.sshd is None
    assert look.sources == (KeySource("authorized_keys2", f"{home.there}2", b"second\n"),)


def test_openwrt_has_a_file_of_its_own_for_root(accounts):
    """
    Only there, and only for root: elsewhere dropbear reads the usual one.
    """
    host = accounts.dropbear("openwrt")
    mark = host.directory / "etc" / "openwrt_release"
    home = Home(accounts, host, "root").reset()
    assert home.run(lambda file: file.look()).path == home.there
    mark.touch()
    assert home.run(lambda file: file.look()).path == "/etc/dropbear/authorized_keys"
    other = Home(accounts, host, "u-sh").reset()
    assert other.run(lambda file: file.look()).path == other.there
    mark.unlink()


@pytest.mark.parametrize("state", ["absent", "foreign", "file"])
def test_F62_a_home_that_is_none(accounts, state):
    """
    Absent, somebody else's, or no folder: the message names it.
    """
    host = accounts.host("homeless", AuthorizedKeysFile="/etc/ssh/keys/%u .ssh/authorized_keys")
    keys = host.directory / "etc" / "ssh" / "keys"
    keys.mkdir(exist_ok=True)
    home = Home(accounts, host, "u-bash").reset()
    (keys / "u-bash").write_bytes(home.login_line)
    shutil.rmtree(home.home)
    if state == "foreign":
        home.home.mkdir(mode=0o755)
        os.chown(home.home, accounts.uid("u-sh"), -1)
    elif state == "file":
        home.home.touch()
    try:
        error = home.failure(locked, target=Target(path=".ssh/authorized_keys"))
        assert error.kind == ("keys.unsafe_path" if state == "foreign" else "keys.no_home")
        assert "/home/u-bash" in str(error)
        assert error.failure.hint
    finally:
        if state == "file":
            home.home.unlink()
        home.reset()


def test_F62_a_user_whom_the_host_does_not_know(accounts):
    """
    That is said before anything else.
    """
    home = Home(accounts, accounts.host("keys"), "root").reset()
    for name in ("no-such-user", "$(id)", "-x", "a'b"):
        error = home.failure(locked, target=Target(user=name))
        assert error.kind == "keys.no_home", error


def test_a_home_that_root_has_linked_elsewhere_is_a_home(accounts):
    """
    Only what lies in it, and the user might have put there, must not be a link.
    """
    host = accounts.host("linked")
    home = Home(accounts, host, "u-ksh").reset()
    home.home.rename(host.home / "real-ksh")
    home.home.symlink_to("real-ksh")
    try:
        swapped = home.run(lambda file: swap_to(file, home.new))
        assert swapped.path == "/home/real-ksh/.ssh/authorized_keys"
        assert home.file.read_bytes() == home.new
    finally:
        home.home.unlink()
        (host.home / "real-ksh").rename(home.home)


def test_F63_modes_are_mended_and_unmended(accounts):
    """
    Those that sshd objects to, in the home only; undoing the swap undoes that too.
    """
    home = Home(accounts, accounts.host("keys"), "u-sh").reset()
    home.home.chmod(0o775)
    home.folder.chmod(0o777)
    home.file.chmod(0o664)

    async def work(file: ShellKeysFile) -> None:
        swapped = await swap_to(file, home.new, fix_modes=True)
        assert swapped.changed_modes == {
            "/home/u-sh": 0o775,
            "/home/u-sh/.ssh": 0o777,
            home.there: 0o664,
        }
        modes = [path.stat().st_mode & 0o7777 for path in (home.home, home.folder, home.file)]
        assert modes == [0o755, 0o755, 0o644]
        await file.swap_back(swapped)

    home.run(work, login="root", target=Target(user="u-sh"))
    modes = [path.stat().st_mode & 0o7777 for path in (home.home, home.folder, home.file)]
    assert modes == [0o775, 0o777, 0o664]
    assert home.file.read_bytes() == home.old
