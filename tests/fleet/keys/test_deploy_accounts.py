"""
Deploying keys to accounts of all kinds: login shells and none, servers that force a command, other
users' files, dropbear, full disks, several controllers at once.
"""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from typing import Any, cast

import pytest

from fleetctl.keys.authorized_keys import KeyOption
from fleetctl.keys.deploy import DeployKeys
from fleetctl.keys.deploy_plan import Wanted
from fleetctl.keys.guarded import Way
from fleetctl.keys.place import Target
from tests.fleet.keys.deploying import (
    OTHER_LINE,
    Place,
    deploy,
    make_new_key,
    make_place,
    perform,
)
from tests.support.drive import Secrets, run_async
from tests.support.keys import keygen
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

SHELLS = ["u-dash", "u-bash", "u-ash", "u-ksh", "u-zsh", "u-csh", "u-tcsh", "u-fish"]
NO_SHELLS = ["u-nologin", "u-false"]


@pytest.fixture(scope="module")
def new_key(tmp_path_factory):
    return make_new_key(tmp_path_factory.mktemp("keys"))


def place_on(accounts, user, key, name, **options):
    place = Place(accounts, accounts.host(name, PasswordAuthentication="yes", **options), user, key)
    place.reset()
    return place


def as_root(place, *, options=(), path=None, **changes):
    """Deploy for the user of the place, logged in as root."""
    operation = DeployKeys(
        (Wanted(replace(place.public, options=tuple(options)), str(place.key)),),
        Way("test", Target(user=place.user, path=path)),
    )
    return perform(place, replace(operation, **changes), login="root")


@pytest.mark.parametrize("user", SHELLS)
def test_every_login_shell_will_do(accounts, new_key, user):
    """
    csh, tcsh and fish are no POSIX shells; the program goes by sh whatever they are.
    """
    place = make_place(accounts, user, new_key)
    outcome = deploy(place)
    assert outcome.status == "ok", outcome.failure
    assert place.lets_in()
    assert place.file.read_bytes() == OTHER_LINE + place.line


@pytest.mark.parametrize("user", NO_SHELLS)
def test_an_account_without_a_shell_is_reached_by_sftp(accounts, new_key, user):
    """
    The key logs in, and what it is for is not our business: nothing more is claimed.
    """
    place = make_place(accounts, user, new_key)
    outcome = deploy(place)
    assert outcome.status == "ok", outcome.failure
    [key] = cast("list[dict[str, Any]]", outcome.data["keys"])
    assert key["proof"]["verdict"] == "authenticated"
    assert place.file.read_bytes() == OTHER_LINE + place.line


def test_a_server_for_sftp_only_takes_the_key(accounts, new_key):
    """
    ForceCommand internal-sftp.
    """
    place = place_on(accounts, "u-sh", new_key, "deploy-sftp", ForceCommand="internal-sftp")
    outcome = deploy(place)
    assert outcome.status == "ok", outcome.failure
    assert place.file.read_bytes() == OTHER_LINE + place.line


def test_a_server_that_forces_another_command_is_said_to_do_so(accounts, new_key):
    """
    ssh-copy-id says "added: 1" and nothing has happened.
    """
    place = place_on(accounts, "u-sh", new_key, "deploy-forced", ForceCommand="/bin/echo forced")
    outcome = deploy(place)
    assert outcome.failure is not None
    assert outcome.failure.kind in ("session.no_shell", "keys.protocol")
    assert "forced" in outcome.failure.message
    assert place.file.read_bytes() == OTHER_LINE


def test_another_key_that_works_does_not_stand_for_the_new_one(accounts, fleet, new_key):
    """
    ssh-copy-id -o IdentityFile=WORKING says "already exist" and installs nothing.
    """
    place = make_place(accounts, "u-sh", new_key)
    place.write(fleet.identity.with_suffix(".pub").read_bytes())
    operation = DeployKeys((Wanted(place.public, str(place.key)),), Way("test", Target()))
    host = accounts.model_host("u-sh", place.host)

    async def main():
        async with operating_on(host) as remote:
            return await operation.run(remote, check=False)

    outcome = run_async(main)
    assert outcome.status == "ok"
    assert outcome.data["keys"][0]["state"] == "added"
    assert outcome.data["session"]["verdict"] == "authenticated"
    assert place.lets_in()


def test_the_second_time_nothing_is_changed(accounts, new_key):
    """
    ssh-copy-id -f adds a second line.
    """
    place = make_place(accounts, "u-sh", new_key)
    assert deploy(place).changed
    before = place.bytes_of_all()
    inode = place.file.stat().st_ino
    again = deploy(place, force=True)
    assert (again.status, again.changed) == ("ok", False)
    assert place.bytes_of_all() == before
    assert place.file.stat().st_ino == inode


def test_check_changes_nothing_not_even_times(accounts, new_key):
    """
    Inode and times of the file and the folder are those of before; the difference is shown.
    """
    place = make_place(accounts, "u-sh", new_key)
    before = [path.stat() for path in (place.home, place.folder, place.file)]
    outcome = deploy(place, check=True)
    assert (outcome.status, outcome.changed) == ("ok", True)
    assert outcome.diff is not None
    assert f"+{place.line.decode().strip()}" in outcome.diff
    after = [path.stat() for path in (place.home, place.folder, place.file)]
    for old, new in zip(before, after, strict=True):
        assert (old.st_ino, old.st_mtime_ns, old.st_ctime_ns) == (
            new.st_ino,
            new.st_mtime_ns,
            new.st_ctime_ns,
        )


def test_check_foresees_that_sshd_will_object(accounts, new_key):
    """
    The path and its mode are named before anything is done.
    """
    place = make_place(accounts, "u-sh", new_key)
    place.folder.chmod(0o777)
    outcome = deploy(place, check=True)
    [reason] = cast("list[dict[str, str]]", outcome.data["reasons"])
    assert "(mode 0777" in reason["message"]


def test_root_deploys_for_another_user(accounts, new_key):
    """
    The file stays the user's, and the proof is a login as the user.
    """
    place = make_place(accounts, "u-sh", new_key)
    outcome = as_root(place)
    assert outcome.status == "ok", outcome.failure
    assert outcome.data["user"] == "u-sh"
    assert place.file.stat().st_uid == place.uid
    assert place.lets_in()


@pytest.mark.parametrize("user", NO_SHELLS)
def test_root_deploys_for_a_user_without_a_shell(accounts, new_key, user):
    """
    The shell does not keep the user's file from being written as the user.
    """
    place = make_place(accounts, user, new_key)
    outcome = as_root(place)
    assert outcome.status == "ok", outcome.failure
    assert place.file.read_bytes() == OTHER_LINE + place.line


def test_F64_root_finds_the_file_that_sshd_reads(accounts, new_key):
    """
    AuthorizedKeysFile elsewhere: root may ask sshd.
    """
    place = place_on(
        accounts, "u-sh", new_key, "deploy-elsewhere-root", AuthorizedKeysFile=".ssh2/keys"
    )
    outcome = as_root(place)
    assert outcome.status == "ok", outcome.failure
    assert outcome.data["path"] == "/home/u-sh/.ssh2/keys"
    assert place.lets_in()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("allow", {"AllowUsers": "root"}, "AllowUsers root"),
        ("deny", {"DenyUsers": "u-*"}, "DenyUsers u-*"),
        ("groups", {"AllowGroups": "root"}, "AllowGroups root"),
        ("deny-groups", {"DenyGroups": "accounts"}, "DenyGroups"),
        ("no-keys", {"PubkeyAuthentication": "no"}, "PubkeyAuthentication no"),
    ],
)
def test_an_account_that_sshd_lets_in_by_no_means_is_named_with_the_setting(
    accounts, new_key, name, options, words
):
    """
    Root writes the file, the user's login is refused, and the file is put back.
    """
    place = place_on(accounts, "u-sh", new_key, f"deploy-{name}", **options)
    outcome = deploy(place) if name == "no-keys" else as_root(place)
    assert outcome.failure is not None
    assert words in outcome.failure.message
    assert place.file.read_bytes() == OTHER_LINE


def test_nobody_but_root_gets_in_while_there_is_a_nologin_file(accounts, new_key):
    """
    The key is taken, and no command runs: that is no success.
    """
    place = place_on(accounts, "u-sh", new_key, "deploy-closed", UsePAM="no")
    closed = place.host.directory / "etc" / "nologin"
    closed.write_text("closed for today\n")
    try:
        outcome = as_root(place)
    finally:
        closed.unlink()
    assert outcome.failure is not None
    assert "nologin is there" in outcome.failure.message
    assert place.file.read_bytes() == OTHER_LINE


def test_a_locked_account_without_pam_is_named_as_such(accounts, new_key):
    """
    A password that begins with ! locks keys out, too, where UsePAM is off.
    """
    place = place_on(accounts, "u-sh", new_key, "deploy-locked", UsePAM="no")
    shadow = place.host.directory / "etc" / "shadow"
    text = shadow.read_text()
    shadow.write_text(text.replace("u-sh:$", "u-sh:!$"))
    try:
        outcome = as_root(place)
    finally:
        shadow.write_text(text)
    assert outcome.failure is not None
    assert "is locked" in outcome.failure.message
    assert place.file.read_bytes() == OTHER_LINE


def test_a_key_for_another_host_of_ours_is_proved_from_where_it_may_come(accounts, new_key):
    """
    from= with our address in it: the line counts.
    """
    place = make_place(accounts, "u-sh", new_key)
    outcome = as_root(place, options=[KeyOption("from", "127.0.0.0/8"), KeyOption("restrict")])
    assert outcome.status == "ok", outcome.failure
    assert outcome.data["keys"][0]["proof"]["verdict"] == "ran"


def test_F58_a_full_disk_leaves_the_file_as_it_was(accounts, new_key):
    """
    ssh-copy-id leaves half a line. Nothing is left behind, and the reason is the disk.
    """
    place = place_on(accounts, "u-sh", new_key, "deploy-full")
    inside(place, "mount -t tmpfs -o size=16k,mode=700,uid=$0 deploy-full /home/u-sh", place.uid)
    fill = "mkdir -m 700 .ssh; cp /etc/passwd .ssh/authorized_keys; chmod 600 .ssh/authorized_keys"
    inside(place, f"cd /home/u-sh && {fill}; cat /dev/zero >fill; chown -R $0 .", place.uid)
    before = inside(place, "cd /home/u-sh/.ssh && ls -a && cat authorized_keys", 0)
    outcome = as_root(place)
    after = inside(place, "cd /home/u-sh/.ssh && ls -a && cat authorized_keys", 0)
    inside(place, "umount -l /home/u-sh", 0)
    assert outcome.failure is not None
    assert outcome.failure.kind == "keys.write"
    assert "/home/u-sh/.ssh" in outcome.failure.message
    assert after == before


def test_F59_a_home_that_is_read_only_is_named_as_such(accounts, new_key):
    """
    EROFS, in words.
    """
    place = place_on(accounts, "u-sh", new_key, "deploy-read-only")
    inside(
        place, "mount --bind -o ro /home/u-sh /home/u-sh; mount -o remount,bind,ro /home/u-sh", 0
    )
    outcome = as_root(place)
    inside(place, "umount -l /home/u-sh", 0)
    assert outcome.failure is not None
    assert "read-only" in outcome.failure.message.lower()
    assert place.file.read_bytes() == OTHER_LINE


def inside(place, script, argument):
    """Run a script of sh as root in the host's namespace."""
    done = subprocess.run(
        ["nsenter", "-t", str(place.host.pid), "-m", "sh", "-c", script, str(argument)],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.stdout


def test_F70_three_controllers_at_once_lose_no_key(accounts, new_key, tmp_path):
    """
    On a file without a final newline, too: three keys, each once, and what was there.
    """
    place = make_place(accounts, "u-sh", new_key)
    place.write(b"# no newline")
    keys = [keygen(tmp_path / f"key{number}", "-t", "ed25519") for number in range(3)]
    places = [replace(place, key=key) for key in keys]
    host = accounts.model_host("u-sh", place.host, identity_files=(f"{new_key}-none",))
    secrets = [Secrets(login=accounts.password("u-sh")) for _ in keys]

    async def one(own, secret):
        operation = DeployKeys((Wanted(own.public, str(own.key)),), Way("test", Target()))
        async with operating_on(host, secrets=secret) as remote:
            return await operation.run(remote, check=False)

    async def main():
        return await asyncio.gather(*map(one, places, secrets))

    outcomes = run_async(main)
    assert [outcome.status for outcome in outcomes] == ["ok"] * 3
    data = place.file.read_bytes()
    assert data.startswith(b"# no newline\n")
    assert all(data.count(own.line.split()[1]) == 1 for own in places)
    assert all(own.lets_in() for own in places)


@pytest.mark.parametrize("mode", [0o700, 0o777, 0o775])
def test_dropbear_is_judged_by_its_own_rules(accounts, new_key, mode):
    """
    Debian's reads ~/.ssh/authorized_keys, and looks at modes as sshd does.
    """
    place = Place(accounts, accounts.dropbear("deploy-dropbear"), "u-sh", new_key)
    place.reset()
    place.folder.chmod(mode)
    before = place.file.read_bytes()
    outcome = deploy(place)
    if mode == 0o700:
        assert outcome.status == "ok"
        assert place.lets_in()
    else:
        assert outcome.failure is not None
        assert f"(mode {mode:04o}" in outcome.failure.message
        assert place.file.read_bytes() == before


def test_dropbear_knows_no_expiry(accounts, new_key):
    """
    An option it does not know would kill the line: it is refused before anything is written.
    """
    place = Place(accounts, accounts.dropbear("deploy-dropbear"), "u-sh", new_key)
    place.reset()
    outcome = perform(
        place,
        DeployKeys(
            (
                Wanted(
                    replace(place.public, options=(KeyOption("expiry-time", "20990101Z"),)),
                    str(place.key),
                ),
            ),
            Way("test", Target()),
        ),
    )
    assert outcome.failure is not None
    assert outcome.failure.kind == "keys.option"
    assert place.file.read_bytes() == OTHER_LINE
