"""
``fleetctl keys sync`` on machines with real users and sshd: what is declared is what logs in.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.shell import fleetctl
from tests.support.key_files import fingerprint_of, inventory, own_file, public_key
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def machine(accounts):
    """A machine with many users, for one test; its files can be changed."""
    host = accounts.host("sync")
    yield host
    accounts.stop(host)


@pytest.fixture
def env(tmp_path):
    return {"FLEETCTL_STATE": str(tmp_path / "state"), "HOME": str(tmp_path), "COLUMNS": "80"}


@pytest.fixture
def sync(accounts, machine, env, tmp_path):
    """Run a sync of one machine by people.yml, as root; return what came of it."""
    people = tmp_path / "people.yml"

    def run(text, *words, user="root"):
        people.write_text(text)
        return fleetctl(
            *("keys", "sync", "-i", inventory(accounts, machine, one=user), "one"),
            *("--people", str(people), *words),
            env=env,
        )

    return run


def logs_in(accounts, machine, user, key):
    """Tell whether OpenSSH's client gets in with this key alone."""
    argv = [
        *("ssh", "-F", "/dev/null", "-p", str(machine.port), "-i", str(key), "-l", user),
        *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
        *("-o", f"UserKnownHostsFile={accounts.settings(user, machine).user_known_hosts_files[0]}"),
        *("-o", "GlobalKnownHostsFile=/dev/null", machine.address, "true"),
    ]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=PATIENCE_S)
    return done.returncode == 0


def test_keys_come_and_go_as_people_yml_says(accounts, machine, sync, tmp_path):
    """
    Who is declared logs in, who no longer is does not; other lines stay byte for byte, and a second
    run changes nothing.
    """
    alice, bob = public_key(tmp_path, "alice"), public_key(tmp_path, "bob")
    path = machine.home / "u-bash" / ".ssh" / "authorized_keys"
    before = path.read_bytes() + b"# by hand\n\n"
    path.write_bytes(before)
    both = (
        f"people:\n  alice: {alice} alice@laptop\n  bob: {bob}\n"
        "access:\n  - {who: [alice, bob], hosts: all, users: [u-bash, u-fish]}\n"
    )
    done = sync(both)
    assert done.code == 0, done.err
    assert (
        path.read_bytes()
        == before
        + (
            f"# BEGIN fleetctl people\n{alice} alice@laptop\n{bob} bob\n# END fleetctl people\n"
        ).encode()
    )
    assert logs_in(accounts, machine, "u-bash", tmp_path / "alice")
    assert logs_in(accounts, machine, "u-fish", tmp_path / "bob")
    again = sync(both, "--format", "json")
    assert json.loads(again.out)["hosts"][0]["changed"] is False
    done = sync(both.replace("[alice, bob]", "[alice]"))
    assert done.code == 0, done.err
    assert logs_in(accounts, machine, "u-bash", tmp_path / "alice")
    assert not logs_in(accounts, machine, "u-bash", tmp_path / "bob")
    done = sync(both.replace("[alice, bob]", "[]"))
    assert done.code == 0, done.err
    assert path.read_bytes() == before


def test_exactly_the_declared_keys_are_left(accounts, machine, sync, tmp_path):
    """
    With mode: exact all other keys go, those in a second file too; comments stay.
    """
    alice, other, hidden = (public_key(tmp_path, name) for name in ("alice", "other", "hidden"))
    path = own_file(accounts, machine, "u-bash", "# ours", f"{other} other")
    second = own_file(accounts, machine, "u-bash", hidden, name="authorized_keys2")
    done = sync(
        f"people: {{alice: '{alice} a'}}\n"
        "access: [{who: alice, hosts: one, users: u-bash, mode: exact}]\n"
    )
    assert done.code == 0, done.err
    assert path.read_text() == f"# ours\n{alice} a\n"
    assert second.read_text() == ""


def test_who_is_absent_is_nowhere(accounts, machine, sync, tmp_path):
    """
    Keys of absent people go from every file of every user of the host, declared or not.
    """
    gone, stays = public_key(tmp_path, "gone"), public_key(tmp_path, "stays")
    paths = [
        own_file(accounts, machine, "u-ksh", f"{gone} g", f"{stays} s"),
        own_file(
            accounts, machine, "u-zsh", f"{stays} s", f"restrict {gone}", name="authorized_keys2"
        ),
    ]
    done = sync(
        f"people:\n  ghost: {{absent: yes, keys: [{gone}]}}\n  alice: {stays}\n"
        "access: [{who: alice, hosts: all, users: u-fish}]\n"
    )
    assert done.code == 0, done.err
    assert [path.read_text() for path in paths] == [f"{stays} s\n"] * 2
    assert not logs_in(accounts, machine, "u-ksh", tmp_path / "gone")


def test_check_and_diff_change_nothing(accounts, machine, sync, tmp_path):
    """
    -C -D show what would change, as a unified diff, and touch no file.
    """
    alice = public_key(tmp_path, "alice")
    path = machine.home / "u-bash" / ".ssh" / "authorized_keys"
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    done = sync(
        f"people: {{alice: {alice}}}\naccess: [{{who: alice, hosts: all, users: u-bash}}]\n",
        "-C",
        "-D",
    )
    assert done.code == 0, done.err
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert f"+{alice} alice" in done.out
    assert "would be added for u-bash" in done.out


def test_the_key_of_the_session_is_never_taken_away(accounts, machine, sync, tmp_path):
    """
    An exact set without the key we came in with is refused for that user, with the reason; the
    others are brought to what is declared all the same.
    """
    alice = public_key(tmp_path, "alice")
    root = machine.directory / "root" / ".ssh" / "authorized_keys"
    before = root.read_bytes()
    done = sync(
        f"people: {{alice: {alice}}}\n"
        "access: [{who: alice, hosts: all, users: [root, u-bash], mode: exact}]\n"
    )
    assert done.code == 1
    assert "keys.lockout" in done.err
    assert root.read_bytes() == before
    assert logs_in(accounts, machine, "u-bash", tmp_path / "alice")


def test_other_users_take_root(accounts, machine, sync, tmp_path):
    """
    Without root only the own file can be changed; with sudo all of them.
    """
    alice = public_key(tmp_path, "alice")
    text = (
        f"people: {{alice: {alice}}}\n"
        "access: [{who: alice, hosts: all, users: [nopass, u-bash]}]\n"
    )
    done = sync(text, user="nopass")
    assert done.code == 1
    assert logs_in(accounts, machine, "nopass", tmp_path / "alice")
    assert not logs_in(accounts, machine, "u-bash", tmp_path / "alice")
    done = sync(text, "-b", user="nopass")
    assert done.code == 0, done.err
    assert logs_in(accounts, machine, "u-bash", tmp_path / "alice")


def test_mistakes_in_people_yml_are_named_before_anybody_is_contacted(sync, tmp_path):
    """
    All of them at once, each with its line; the exit code is 2.
    """
    alice = public_key(tmp_path, "alice")
    done = sync(
        f"people: {{alice: {alice}, bob: {alice}}}\n"
        "access:\n  - {who: carol, hosts: nowhere, users: u-bash}\n"
    )
    assert done.code == 2
    assert "people.yml:1:" in done.err
    assert "people.yml:3:" in done.err
    done = sync(
        f"people: {{alice: {alice}}}\naccess:\n  - {{who: alice, hosts: nowhere, users: u-bash}}\n"
    )
    assert done.code == 2
    assert "people.yml:3:25: hosts:" in done.err


def test_options_arrive_as_they_are_written(accounts, machine, sync, tmp_path):
    """
    Options of a key and of a rule are one line that sshd takes.
    """
    alice = public_key(tmp_path, "alice")
    done = sync(
        "people:\n  alice:\n    keys:\n"
        f"      - {{key: '{alice}', from: [127.0.0.0/8, 10.0.0.0/8], expires: 2037-01-31}}\n"
        "access:\n"
        "  - {who: alice, hosts: all, users: u-bash, options: [restrict, 'command=\"echo hi\"']}\n"
    )
    assert done.code == 0, done.err
    text = (machine.home / "u-bash" / ".ssh" / "authorized_keys").read_text()
    expected = 'from="127.0.0.0/8,10.0.0.0/8",expiry-time="20370131",restrict,command="echo hi" '
    assert f"{expected}{alice} alice\n" in text
    assert logs_in(accounts, machine, "u-bash", tmp_path / "alice")
    assert fingerprint_of(alice) in done.out


def test_S25_a_people_yml_that_others_can_write_says_nothing(sync, tmp_path):
    """
    S25: who gets in is not for others to say; nobody is contacted.
    """
    (tmp_path / "people.yml").touch()
    (tmp_path / "people.yml").chmod(0o666)
    done = sync(f"people: {{alice: {public_key(tmp_path, 'alice')}}}\n")
    assert done.code == 2
    assert "can be written by everybody" in done.err


def test_a_host_with_sftp_only_gets_its_keys_by_sftp(accounts, env, tmp_path):
    """
    Where no command runs the declared file is written all the same, and it is said what could not
    be looked at.
    """
    host = accounts.host("sync-sftp", ForceCommand="internal-sftp")
    alice = public_key(tmp_path, "alice")
    people = tmp_path / "people.yml"
    people.write_text(
        f"people: {{alice: {alice}}}\naccess: [{{who: alice, hosts: all, users: u-bash}}]\n"
    )
    words = ("-i", inventory(accounts, host, one="u-bash"), "one", "--people", str(people))
    done = fleetctl("keys", "sync", *words, env=env)
    text = (host.home / "u-bash" / ".ssh" / "authorized_keys").read_text()
    accounts.stop(host)
    assert done.code == 0, done.err
    assert f"{alice} alice\n" in text
    assert "no command runs there" in done.out
