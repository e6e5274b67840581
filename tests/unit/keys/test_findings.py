"""
What is found to be wrong with who gets in, from audits and what is declared.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetctl.keys.audit_content import FileEntry, HostAudit, KeyEntry, SourceEntry, UserEntry
from fleetctl.keys.findings import SEVERITIES, Declared, find_all
from fleetctl.keys.people import resolve
from fleetctl.keys.people_file import read_people
from tests.unit.keys.fakes import make_key

ALICE, BOB, OTHER = make_key("alice"), make_key("bob"), make_key("who")
PATH = "/home/deploy/.ssh/authorized_keys"


def entry(key, line=1, **changes):
    """Return a key as an audit has it."""
    found = KeyEntry(
        path=PATH,
        line=line,
        type="ssh-ed25519",
        label="ED25519",
        bits=256,
        fingerprint=key.fingerprint,
        comment=key.public.comment,
        options=(),
        state="live",
    )
    return replace(found, **changes)


def user(*keys, **changes):
    found = UserEntry(
        name="deploy",
        uid=1000,
        home="/home/deploy",
        shell="/bin/sh",
        barred=(),
        sudo=None,
        is_locked=None,
        files=(FileEntry(PATH, "authorizedkeysfile", "deploy", 0o600),),
        keys=keys,
    )
    return replace(found, **changes)


def audit(*users, host="web1", **changes):
    found = HostAudit(
        host=host,
        is_whole=True,
        login="root",
        server="OpenSSH_9.2p1",
        clock=0,
        accounts=len(users),
        config="/etc/ssh/sshd_config",
        users=users,
    )
    return replace(found, **changes)


def declared(text, *hosts):
    people = read_people(text.encode(), "people.yml")
    problems: list = []
    states = resolve(people, {"all": hosts or ("web1",)}, problems)
    assert problems == []
    return Declared.of(people, states)


def line_of(key):
    return key.public.render().decode()


DECLARED = (
    f"people: {{alice: '{line_of(ALICE)}', bob: {{absent: yes, keys: ['{line_of(BOB)}']}}}}\n"
    "access: [{who: alice, hosts: all, users: deploy}]\n"
)


def kinds(found, key=None):
    return sorted({one.kind for one in found if key is None or one.fingerprint == key.fingerprint})


def test_who_ought_to_get_in_and_does_is_no_finding_but_a_note():
    """
    Where people.yml and the host agree nothing is bad.
    """
    found = find_all([audit(user(entry(ALICE)))], declared(DECLARED))
    assert {one.severity for one in found} == {"note"}


def test_strangers_the_absent_and_the_missing_are_bad():
    """
    A key of nobody, a key of somebody who left, and one that ought to be there and is not.
    """
    found = find_all([audit(user(entry(BOB), entry(OTHER, 2)))], declared(DECLARED))
    assert "absent" in kinds(found, BOB)
    assert "unknown" in kinds(found, OTHER)
    assert kinds(found, ALICE) == ["missing"]
    assert {SEVERITIES[kind] for kind in ("absent", "unknown", "missing")} == {"bad"}
    [missing] = [one for one in found if one.kind == "missing"]
    assert "people.yml:2" in missing.message


def test_a_key_of_an_absent_person_counts_even_if_it_does_not_log_in():
    """
    What is expired or skipped today may count tomorrow.
    """
    for state in ("expired", "dead", "barred"):
        found = find_all([audit(user(entry(BOB, state=state, why="x")))], declared(DECLARED))
        assert "absent" in kinds(found, BOB)


def test_a_known_person_where_no_rule_lets_them_in():
    """
    On another user, and on a host that no rule is about.
    """
    root = user(entry(ALICE), name="root", uid=0)
    found = find_all([audit(user(entry(ALICE)), root)], declared(DECLARED))
    assert [one.user for one in found if one.kind == "not-granted"] == ["root"]
    found = find_all([audit(user(entry(ALICE)), host="db1")], declared(DECLARED))
    assert "not-granted" in kinds(found, ALICE)


def test_other_options_than_declared_are_drift():
    """
    More or fewer rights than people.yml says, in whatever order they are written.
    """
    found = find_all([audit(user(entry(ALICE, options=(("no-pty", None),))))], declared(DECLARED))
    assert "options" in kinds(found, ALICE)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"state": "expired", "why": "it expired at noon"}, "expired"),
        ({"state": "dead", "why": "no such option"}, "bad-option"),
        ({"state": "barred", "why": "mode"}, "barred"),
        ({"state": "disabled"}, "disabled"),
        ({"state": "authority", "why": "certificates"}, "authority"),
        ({"options": (("command", "date"),)}, "forced"),
        ({"type": "ssh-rsa", "bits": 2048}, "weak"),
        ({"type": "ssh-dss", "bits": 1024}, "weak"),
        ({}, "no-from"),
    ],
)
def test_each_state_of_a_key_has_its_finding(changes, kind):
    """
    Whatever a line is, it is said, with the reason the host's sshd has.
    """
    found = find_all([audit(user(entry(ALICE, **changes)))], None)
    assert kind in kinds(found, ALICE)


def test_a_key_of_three_thousand_bits_with_from_is_no_finding():
    """
    What is good is not mentioned.
    """
    key = entry(ALICE, type="ssh-rsa", bits=3072, options=(("from", "10.0.0.1"),))
    assert find_all([audit(user(key))], None) == []


def test_the_same_key_twice_in_one_account_is_a_duplicate():
    """
    A commented line and an authority with the same key are something else.
    """
    found = find_all([audit(user(entry(ALICE), entry(ALICE, 2, state="shadowed")))], None)
    [one] = [one for one in found if one.kind == "duplicate"]
    assert one.where == f"{PATH}:1, {PATH}:2"
    found = find_all([audit(user(entry(ALICE), entry(ALICE, 2, state="disabled")))], None)
    assert "duplicate" not in kinds(found)


def test_paths_that_others_can_write_are_bad_and_those_nobody_reads_a_warning():
    """
    F63: mode and owner are in the message.
    """
    files = (
        FileEntry(PATH, "authorizedkeysfile", "deploy", 0o666, problems=("mode 0666",)),
        FileEntry(PATH + "2", "authorizedkeysfile", "root", 0o600, unread="not readable"),
    )
    found = find_all([audit(user(files=files))], None)
    assert [(one.kind, one.severity, one.message) for one in found] == [
        ("path", "bad", "mode 0666"),
        ("unread", "warning", "not readable"),
    ]


def test_one_key_under_two_names_and_on_many_hosts_is_noticed():
    """
    Where nobody says whose it is; where somebody does, it is theirs.
    """
    audits = [
        audit(user(entry(ALICE, comment=f"name{number % 2}")), host=f"web{number}")
        for number in range(12)
    ]
    assert {"shared", "many-hosts"} <= set(kinds(find_all(audits, None)))
    names = [one.host for one in audits]
    assert not {"shared", "many-hosts"} & set(kinds(find_all(audits, declared(DECLARED, *names))))


def test_keys_of_root_and_other_sources_are_named():
    """
    Root by key, commands that are asked for keys, authorities for everybody.
    """
    root = user(entry(ALICE), name="root", uid=0)
    sources = (
        SourceEntry("authorizedkeyscommand", "/bin/ask %u", ("deploy",)),
        SourceEntry("trustedusercakeys", "/etc/ssh/ca.pub"),
    )
    found = find_all([audit(root, sources=sources)], None)
    assert {"root", "source", "authority"} <= set(kinds(found))


def test_who_did_not_see_everything_says_so_and_misses_nothing_of_others():
    """
    Keys of users that were not looked at are not called missing.
    """
    text = DECLARED.replace("users: deploy", "users: [deploy, other]")
    partial = audit(user(entry(ALICE)), is_whole=False, login="deploy")
    found = find_all([partial], declared(text))
    assert "partial" in kinds(found)
    assert "missing" not in kinds(found)
