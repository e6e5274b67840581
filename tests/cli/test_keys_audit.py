"""
``fleetctl keys audit`` on machines with real users, sudo and sshd.
"""

from __future__ import annotations

import csv
import io
import json
import os

import pytest

from tests.cli.shell import fleetctl
from tests.support.audits import audit, keys_of, kinds
from tests.support.key_files import fingerprint_of, inventory, own_file, public_key

pytestmark = pytest.mark.fleet

#: What a name of a key must not do to a reader: escapes, markup, formulas, text turned round.
HOSTILE = "=cmd()\x1b]0;owned\x07<script>alert(1)</script>\u202egnp.exe"


@pytest.fixture
def machine(accounts):
    """A machine with many users, for one test; its files can be changed."""
    host = accounts.host("audit")
    yield host
    accounts.stop(host)


@pytest.fixture
def env(tmp_path):
    return {"FLEETCTL_STATE": str(tmp_path / "state"), "HOME": str(tmp_path), "COLUMNS": "80"}


@pytest.mark.parametrize(
    "way",
    [("root", ()), ("nopass", ("-b",)), ("doas-nopass", ("-b", "--become-method", "doas"))],
    ids=["root", "sudo", "doas"],
)
def test_root_sees_the_keys_of_everybody(accounts, machine, env, tmp_path, way):
    """
    By whatever way one is root: every user's keys, with type, size, options and what they are
    worth to sshd.
    """
    user, become = way
    good, old, forced = (public_key(tmp_path, name) for name in ("good", "old", "forced"))
    weak = public_key(tmp_path, "weak", "-t", "rsa", "-b", "2048")
    own_file(
        accounts,
        machine,
        "u-bash",
        f"{good} good@example",
        f'expiry-time="20200101" {old} old',
        f'from="10.0.0.0/8",command="date" {forced}',
        f"{weak} weak",
        f"nonsense {good}",
    )
    document, code = audit(env, "-i", inventory(accounts, machine, one=user), "one", *become)
    assert code == 0
    [host] = document["hosts"]
    assert (host["is_whole"], host["login"]) == (True, "root")
    assert host["server"].startswith("OpenSSH_")
    found = keys_of(document, "u-bash")
    assert {line: (key["state"], key["label"], key["bits"]) for line, key in found.items()} == {
        fingerprint_of(good): ("dead", "ED25519", 256),
        fingerprint_of(old): ("expired", "ED25519", 256),
        fingerprint_of(forced): ("conditional", "ED25519", 256),
        fingerprint_of(weak): ("live", "RSA", 2048),
    }
    assert kinds(document, user="u-bash", fingerprint=fingerprint_of(weak)) == {"weak", "no-from"}
    assert kinds(document, user="u-bash", fingerprint=fingerprint_of(good)) >= {
        "bad-option",
        "duplicate",
    }
    assert "expired" in kinds(document, user="u-bash")
    assert "forced" in kinds(document, user="u-bash")
    assert "root" in kinds(document, user="root")
    users = {each["name"]: each for each in host["users"]}
    assert users["admin"]["sudo"] == "all"
    assert users["limited"]["sudo"] == "some"
    assert users["nosudo"]["sudo"] == "none"


def test_who_is_not_root_sees_only_their_own_keys(accounts, machine, env):
    """
    And that is said, so that nobody takes it for all there is.
    """
    document, code = audit(env, "-i", inventory(accounts, machine, one="u-fish"), "one")
    assert code == 0
    [host] = document["hosts"]
    assert (host["is_whole"], [user["name"] for user in host["users"]]) == (False, ["u-fish"])
    assert "partial" in kinds(document, host="one")


def test_F63_what_sshd_refuses_lets_nobody_in(accounts, machine, env, tmp_path):
    """
    F63: a file others can write is named with its mode, and its keys do not count as live.
    """
    key = public_key(tmp_path, "key")
    own_file(accounts, machine, "u-ksh", key).chmod(0o664)
    (machine.home / "u-zsh").chmod(0o777)
    document, _ = audit(env, "-i", inventory(accounts, machine, one="root"), "one")
    assert keys_of(document, "u-ksh")[fingerprint_of(key)]["state"] == "barred"
    assert {key["state"] for key in keys_of(document, "u-zsh").values()} == {"barred"}
    messages = [one["message"] for one in document["findings"] if one["kind"] == "path"]
    assert any("0664" in message and "u-ksh" in message for message in messages)
    assert any("0777" in message and "u-zsh" in message for message in messages)


def test_S27_a_link_to_a_file_of_root_is_not_read(accounts, machine, env):
    """
    S27: what a user's link leads to is read as that user, so nothing of root's comes out.
    """
    own = machine.home / "u-dash" / ".ssh" / "authorized_keys"
    own.unlink()
    own.symlink_to("/etc/shadow")
    done = fleetctl(
        "keys", "audit", "-i", inventory(accounts, machine, one="root"), "one", "--format", "json",
        env=env,
    )  # fmt: skip
    document = json.loads(done.out)
    assert "$6$" not in done.out
    assert kinds(document, user="u-dash") == {"unread"}
    assert keys_of(document, "u-dash") == {}


def test_S27_pipes_and_strange_names_neither_hang_nor_deceive(accounts, machine, env, tmp_path):
    """
    S27: a pipe in place of the file, and a folder whose name looks like options and answers.
    """
    own = machine.home / "u-ksh" / ".ssh" / "authorized_keys"
    own.unlink()
    os.mkfifo(own)
    os.chown(own, accounts.uid("u-ksh"), -1)
    folder = machine.home / "u-zsh" / "\n-R\n-rw------- 1 0 0 9 Nov 21 14:12 "
    folder.mkdir()
    file = folder / "keys"
    file.write_text(f"{public_key(tmp_path, 'key')}\n")
    for path in (folder, file):
        os.chown(path, accounts.uid("u-zsh"), -1)
    file.chmod(0o666)
    linked = machine.home / "u-zsh" / ".ssh" / "authorized_keys"
    linked.unlink()
    linked.symlink_to(f"../{folder.name}/keys")
    document, code = audit(env, "-i", inventory(accounts, machine, one="root"), "one")
    assert code == 0
    assert kinds(document, user="u-ksh") == {"unread"}
    assert len(keys_of(document, "u-zsh")) == 1
    assert "u-bash" in {user["name"] for user in document["hosts"][0]["users"]}


def test_settings_for_single_users_are_found(accounts, env, tmp_path):
    """
    F64: Match blocks, two files, %u, and other sources of keys are those that sshd has.
    """
    host = accounts.host(
        "audit-match",
        AuthorizedKeysFile=".ssh/authorized_keys .ssh/authorized_keys2",
        TrustedUserCAKeys="/etc/ssh/user_ca.pub",
        DenyUsers="u-tcsh",
        Match="User u-csh\n  AuthorizedKeysFile /etc/ssh/keys/%u\nMatch all",
    )
    first, second, authority = (public_key(tmp_path, name) for name in ("a", "b", "c"))
    etc = host.directory / "etc" / "ssh"
    (etc / "user_ca.pub").write_text(f"{authority} our-ca\n")
    (etc / "keys").mkdir()
    (etc / "keys" / "u-csh").write_text(f"{first}\n")
    own_file(accounts, host, "u-bash", second, name="authorized_keys2")
    document, _ = audit(env, "-i", inventory(accounts, host, one="root"), "one")
    accounts.stop(host)
    assert list(keys_of(document, "u-csh")) == [fingerprint_of(first)]
    assert fingerprint_of(second) in keys_of(document, "u-bash")
    assert {key["state"] for key in keys_of(document, "u-tcsh").values()} == {"barred"}
    [source] = document["hosts"][0]["sources"]
    assert (source["setting"], source["value"]) == ("trustedusercakeys", "/etc/ssh/user_ca.pub")
    assert fingerprint_of(authority) in source["text"]


def test_people_are_named_and_strangers_found(accounts, machine, env, tmp_path):
    """
    With people.yml each key has an owner; keys of nobody, of the absent, and missing ones are
    findings, for which --strict fails.
    """
    hers, his, strange = (public_key(tmp_path, name) for name in ("hers", "his", "strange"))
    own_file(accounts, machine, "u-bash", f"{his} his", f"{strange} who?")
    people = tmp_path / "people.yml"
    people.write_text(
        f"people:\n  alice: {hers} alice\n  bob: {{absent: yes, keys: [{his}]}}\n"
        "access:\n  - {who: alice, hosts: all, users: u-bash}\n"
    )
    words = ("-i", inventory(accounts, machine, one="root"), "one", "--people", str(people))
    document, code = audit(env, *words, "--strict", "--for-user", "u-bash")
    assert code == 1
    found = keys_of(document, "u-bash")
    assert found[fingerprint_of(his)]["person"] == "bob"
    assert kinds(document, fingerprint=fingerprint_of(his)) >= {"absent"}
    assert kinds(document, fingerprint=fingerprint_of(strange)) >= {"unknown"}
    assert kinds(document, fingerprint=fingerprint_of(hers)) == {"missing"}
    done = fleetctl("keys", "audit", *words, "--who", "bob", "--strict", env=env)
    assert "fleetctl: keys.drift: 1 bad" in done.err
    assert fingerprint_of(his) in done.out
    assert fingerprint_of(strange) not in done.out
    done = fleetctl("keys", "audit", *words, "--key", fingerprint_of(strange)[:20], env=env)
    assert fingerprint_of(strange) in done.out
    assert fingerprint_of(his) not in done.out


def test_what_changed_since_the_last_audit_is_told(accounts, machine, env, tmp_path):
    """
    The audit is kept, for its owner alone; keys that came and went are named, once.
    """
    first, second = public_key(tmp_path, "first"), public_key(tmp_path, "second")
    words = ("-i", inventory(accounts, machine, one="root"), "one")
    own_file(accounts, machine, "u-bash", first)
    document, _ = audit(env, *words)
    assert document["changes"] == []
    own_file(accounts, machine, "u-bash", second)
    document, code = audit(env, *words, "--strict")
    assert code == 1
    assert {(one["what"], one["user"], one["fingerprint"]) for one in document["changes"]} == {
        ("came", "u-bash", fingerprint_of(second)),
        ("went", "u-bash", fingerprint_of(first)),
    }
    assert audit(env, *words)[0]["changes"] == []
    folder = tmp_path / "state" / "key-audits"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())] == [
        "0o700",
        *["0o600"] * 3,
    ]
    accounts.end_sessions(machine)
    done = fleetctl("keys", "audit", *words, "--last", env=env)
    assert fingerprint_of(second) in done.out


def test_S01_S03_hostile_names_of_keys_are_shown_as_text(accounts, machine, env, tmp_path):
    """
    S01 S03: in a terminal, a spreadsheet and a browser they are text and nothing else.
    """
    own_file(accounts, machine, "u-bash", f"{public_key(tmp_path, 'key')} {HOSTILE}")
    words = ("-i", inventory(accounts, machine, one="root"), "one", "--for-user", "u-bash")
    text = fleetctl("keys", "audit", *words, "--notes", env=env)
    for bad in ("\x1b", "\x07", "\u202e"):
        assert bad not in text.out + text.err
    table = fleetctl("keys", "audit", *words, "--format", "csv", env=env)
    [row] = csv.DictReader(io.StringIO(table.out))
    assert row["comment"].startswith("'=cmd()\\x1b")
    page = fleetctl("keys", "audit", *words, "--format", "html", env=env)
    assert "<script>" not in page.out
    assert "&lt;script&gt;" in page.out
    assert "\u202e" not in page.out
    assert "default-src &#39;none&#39;" in page.out


def test_text_keeps_within_eighty_columns(accounts, machine, env, tmp_path):
    """
    Whatever is in the files, no line is longer than the terminal is wide.
    """
    long = "x" * 300
    own_file(accounts, machine, "u-bash", f'command="{long}" {public_key(tmp_path, "key")} {long}')
    done = fleetctl(
        "keys", "audit", "-i", inventory(accounts, machine, one="root"), "one", "--notes", env=env
    )
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_host_that_cannot_be_reached_is_named_and_the_others_are_shown(
    accounts, machine, env, tmp_path
):
    """
    The exit code is that of a run; what was found elsewhere is not lost.
    """
    words = ("-i", inventory(accounts, machine, one="root", two="no-such-user"), "all")
    document, code = audit(env, *words)
    assert code == 4
    assert [one["host"] for one in document["hosts"]] == ["one"]
    assert [one["host"] for one in document["failures"]] == ["two"]
