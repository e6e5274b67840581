"""
``people.yml``: what it says, what it means for hosts, and every mistake at its place.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.pattern import select
from fleetctl.keys.options import KeyOption
from fleetctl.keys.people import resolve
from fleetctl.keys.people_file import load_people, read_people
from fleetctl.model.errors import Problem, UsageError
from tests.unit.keys.fakes import make_key

ALICE, BOB, CAROL = (
    make_key(name).public.render().decode().rpartition(" ")[0] for name in ("a", "b", "c")
)
HOSTS = {"all": ("web1", "web2", "db1"), "web*": ("web1", "web2"), "db1": ("db1",)}


def read(text):
    return read_people(text.encode(), "people.yml")


def problems_of(text):
    with pytest.raises(UsageError) as caught:
        read(text)
    return {(one.line, one.message): one.hint for one in caught.value.problems}


def resolved(text):
    """Return host -> user -> lines that are to be there, and what contradicts itself."""
    found: list = []
    hosts = resolve(read(text), HOSTS, found)
    lines = {
        host: {
            name: [grant.key.render().decode() for grant in user.keys]
            for name, user in state.users.items()
        }
        for host, state in hosts.items()
    }
    return lines, hosts, [(one.line, one.message) for one in found]


def test_people_teams_and_rules_become_lines_for_each_user_of_each_host():
    """
    Each person of a team gets to each user of each host of the pattern; a key without a comment is
    called after its owner.
    """
    lines, hosts, found = resolved(
        f"""
people:
  alice: {ALICE} alice@laptop
  bob:
    keys: [{BOB}]
teams:
  ops: [alice, bob]
  everybody: [ops]
access:
  - {{who: everybody, hosts: "web*", users: [deploy, root]}}
  - {{who: bob, hosts: db1, users: root, mode: exact}}
"""
    )
    assert found == []
    both = [f"{ALICE} alice@laptop", f"{BOB} bob"]
    assert lines == {
        "web1": {"deploy": both, "root": both},
        "web2": {"deploy": both, "root": both},
        "db1": {"root": [f"{BOB} bob"]},
    }
    assert hosts["web1"].users["root"].mode == "block"
    assert hosts["db1"].users["root"].mode == "exact"


def test_options_of_a_key_and_of_a_rule_are_joined_and_the_earlier_end_counts():
    """
    A key keeps its own options everywhere; a rule adds some, and never gives more time.
    """
    lines, _, found = resolved(
        f"""
people:
  alice:
    keys:
      - key: {ALICE}
        from: [10.0.0.0/8, 192.0.2.7]
        expires: 2037-01-31 18:00
        comment: alice's phone
access:
  - who: alice
    hosts: db1
    users: deploy
    expires: 2036-05-01
    options: [restrict, 'command="echo \\"hi\\""', pty]
"""
    )
    assert found == []
    [line] = lines["db1"]["deploy"]
    assert line == (
        'from="10.0.0.0/8,192.0.2.7",expiry-time="20360501",restrict,command="echo \\"hi\\"",pty '
        f"{ALICE} alice's phone"
    )


def test_rules_that_contradict_each_other_are_named_with_both_lines():
    """
    One key with two sets of options, one option with two values, one file managed in two ways.
    """
    _, _, found = resolved(
        f"""
people:
  alice: {{keys: [{{key: {ALICE}, from: 10.0.0.1}}]}}
access:
  - {{who: alice, hosts: all, users: root, mode: exact}}
  - {{who: alice, hosts: db1, users: root, options: [no-pty], mode: block}}
  - {{who: alice, hosts: db1, users: deploy, from: 10.0.0.2}}
"""
    )
    assert {line for line, _ in found} == {6, 7}
    text = " ".join(message for _, message in found)
    assert "the rule in line 5" in text
    assert "block here and exact" in text
    assert "with another value" in text


def test_a_rule_for_nobody_empties_what_is_managed():
    """
    It is how to say that a user of some hosts has no keys at all.
    """
    lines, hosts, _ = resolved(
        f"people: {{alice: {ALICE}}}\naccess: [{{who: [], hosts: db1, users: root, mode: exact}}]\n"
    )
    assert lines == {"db1": {"root": []}}
    assert hosts["db1"].users["root"].mode == "exact"


def test_absent_people_get_nothing_and_their_keys_are_known():
    """
    A team may still have them; their keys are those that must be nowhere.
    """
    text = (
        f"people: {{alice: {ALICE}, bob: {{absent: yes, keys: [{BOB}]}}}}\n"
        "teams: {ops: [alice, bob]}\naccess: [{who: ops, hosts: db1, users: root}]\n"
    )
    lines, _, _ = resolved(text)
    assert lines["db1"]["root"] == [f"{ALICE} alice"]
    assert set(read(text).never.values()) == {"bob"}


def test_all_mistakes_are_found_at_once_each_with_its_line():
    """
    Wrong names, keys, times, options, modes; each with line, and a hint where one helps.
    """
    found = problems_of(
        f"""people:
  alice: {ALICE}
  alice: {BOB}
  bob: {ALICE}
  carol: {{keys: [nonsense], abset: yes}}
  "d d": {CAROL}
teams: {{ops: [alice, bobby], loop: [loop]}}
access:
  - {{who: ops, hosts: all}}
  - {{who: alic, hosts: all, users: "a b", mode: exakt, expires: soon, options: [no-ptty]}}
more: 1
"""
    )
    lines = {line for line, _ in found}
    assert lines == {3, 4, 5, 6, 7, 9, 10, 11}
    texts = {message: hint for (_, message), hint in found.items()}
    assert any("is alice's, see line 2" in text for text in texts)
    assert texts['"abset" means nothing in a person'] == "did you mean absent?"
    assert texts['"bobby" is no person and no team'] == "did you mean bob?"
    assert texts['"alic" is no person and no team'] == "did you mean alice?"
    assert any(text.startswith("no-ptty: no option") for text in texts)
    assert any("loop would be in itself" in text for text in texts)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("ssh-ed25519 AAAA", "this is no key"),
        ("# " + ALICE, "commented out"),
    ],
    ids=["private", "short", "commented"],
)
def test_what_is_no_public_key_is_refused_without_being_shown(key, problem):
    """
    A private key that was pasted by mistake is not repeated in the message.
    """
    found = problems_of(f"people: {{alice: '{key}'}}\n")
    assert any(problem in message for _, message in found)


def test_weak_keys_and_people_without_keys_are_warned_of():
    """
    RSA below 3072 bits is taken, and said; so is somebody who gets nowhere.
    """
    weak = rsa.generate_private_key(65537, 2048).public_key()
    text = weak.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    people = read(f"people:\n  alice: {text}\n  bob:\n")
    assert [(one.line, one.message) for one in people.warnings] == [
        (2, "an RSA key of 2048 bits is weak, from 3072 on they are good"),
        (3, "bob has no key, and gets nowhere"),
    ]


def test_S22_files_of_keys_lie_below_the_folder_of_the_file(tmp_path):
    """
    S22: a file beside it is read, with all its keys; one elsewhere, a link out, a pipe are not.
    """
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "alice.pub").write_text(f"# hers\n{ALICE} laptop\n{BOB}\n")
    (tmp_path / "outside.pub").write_text(f"{CAROL}\n")
    (folder / "link.pub").symlink_to(tmp_path / "outside.pub")
    os.mkfifo(folder / "pipe.pub")
    file = folder / "people.yml"
    file.write_text("people: {alice: {keys: [{file: alice.pub}]}}\n")
    assert [key.key.comment for key in load_people(str(file)).people["alice"].keys] == [
        "laptop",
        "alice",
    ]
    for name in ("../outside.pub", "link.pub", "pipe.pub", "missing.pub", "/etc/passwd"):
        file.write_text(f"people: {{alice: {{keys: [{{file: {name}}}]}}}}\n")
        with pytest.raises(UsageError):
            load_people(str(file))


def test_an_option_with_quotes_keeps_them():
    """
    A value may be written with or without its quotes; inner ones are kept.
    """
    people = read(
        f"people:\n  a: {{keys: [{{key: {ALICE}, options: ['command=a \"b\" c', tunnel=0]}}]}}\n"
    )
    [key] = people.people["a"].keys
    assert key.key.options == (KeyOption("command", 'a "b" c'), KeyOption("tunnel", "0"))


def test_the_same_key_twice_is_a_mistake_wherever_it_comes_from(tmp_path):
    """
    Two lines of one file are two keys, and a person has each key once.
    """
    (tmp_path / "k.pub").write_text(f"{ALICE}\n{ALICE}\n")
    file = tmp_path / "people.yml"
    file.write_text("people: {alice: {keys: [{file: k.pub}]}}\n")
    with pytest.raises(UsageError, match="is alice's already, see line 1"):
        load_people(str(file))


def test_the_worked_example_is_what_it_says_it_is():
    """
    It is read without a warning, and means something for every host of its inventory.
    """
    folder = Path(__file__).resolve().parents[3] / "inventories"
    people = load_people(str(folder / "people.yml"))
    inventory = load_inventory([str(folder / "small.yml")])
    hosts = {
        rule.hosts: [host.name for host in select(inventory, rule.hosts)] for rule in people.rules
    }
    found: list[Problem] = []
    states = resolve(people, hosts, found)
    assert (found, people.warnings) == ([], ())
    assert sorted(states) == sorted(inventory.hosts)
    assert states["db1"].users["root"].mode == "exact"
    assert [one.person for one in states["db1"].users["backup"].keys] == ["backup"]
    assert list(people.never.values()) == ["carol"]
