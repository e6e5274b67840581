"""
Why a key that is in the file does not log in: what is found out without a host.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetctl.keys.deploy_evidence import Evidence, read_evidence
from fleetctl.keys.options import ServerVersion
from fleetctl.keys.place import Component, FileKind, Look
from fleetctl.keys.prove import Proof
from fleetctl.keys.strict_modes import path_problems
from fleetctl.keys.why import Case, explain, foreseen
from fleetctl.keys.why_settings import User, expanded_files, objections, parse_sshd_config
from fleetctl.model.failure import Failure
from tests.unit.keys.fakes import NOON, make_key

KEY = make_key("new")
HOME = "/home/deploy"
PATH = f"{HOME}/.ssh/authorized_keys"
OPENSSH = ServerVersion.parse("OpenSSH_9.2p1")
DROPBEAR = ServerVersion.parse("dropbear_2022.83")


def part(path: str, kind: FileKind, mode: int, owner: int = 1000) -> Component:
    return Component(path, kind, owner, {0: "root", 1000: "deploy"}.get(owner, "eve"), mode)


def components(home: int = 0o755, folder: int = 0o700, file: int = 0o600) -> tuple[Component, ...]:
    return (
        part(HOME, "directory", home),
        part(f"{HOME}/.ssh", "directory", folder),
        part(PATH, "file", file),
    )


LOOK = Look(
    user="deploy",
    uid=1000,
    home=HOME,
    shell="/bin/sh",
    path=PATH,
    data=KEY.line,
    checksum="1",
    components=components(),
    sshd={"strictmodes": "yes", "authorizedkeysfile": ".ssh/authorized_keys"},
    clock=NOON,
)
REFUSED = Proof("refused", "deploy", Failure("auth.denied", "the server allows publickey"))
CASE = Case(LOOK, KEY.line, KEY.public, OPENSSH, REFUSED)


def reason(case: Case) -> str:
    return explain(case)[0].message


def with_settings(**settings: str) -> Case:
    return replace(CASE, look=replace(LOOK, sshd={**(LOOK.sshd or {}), **settings}))


def test_what_sshd_takes_has_no_problem():
    """
    Root may own everything; modes that only let others read are fine.
    """
    assert path_problems(components(), 1000) == ()
    assert path_problems(components(0o755, 0o755, 0o644), 1000) == ()
    owned = tuple(replace(one, owner=0, mode=one.mode | 0o055) for one in components())
    assert path_problems(owned, 1000) == ()
    assert foreseen(replace(CASE, proof=None)) == ()


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (components(home=0o775), HOME),
        (components(folder=0o777), f"{HOME}/.ssh"),
        (components(file=0o664), PATH),
        (components(home=0o757), HOME),
    ],
)
def test_F63_a_path_that_others_can_write_is_named_with_its_mode(parts, path):
    """
    StrictModes: the first reason is the path, its mode, and what mends it.
    """
    found = explain(replace(CASE, look=replace(LOOK, components=parts)))[0]
    [bad] = [one for one in parts if one.path == path]
    assert f"{path} (mode {bad.mode:04o}, owner deploy)" in found.message
    assert "StrictModes" in found.message
    assert found.mends_itself
    assert f"chmod go-w {path}" in found.fix
    assert "--fix-modes" in found.fix


def test_F63_a_path_of_somebody_else_is_named_with_its_owner():
    """
    Only the user and root may own a part of the path.
    """
    parts = (*components()[:2], part(PATH, "file", 0o600, owner=1001))
    found = reason(replace(CASE, look=replace(LOOK, components=parts)))
    assert "owner eve" in found
    assert "neither the user nor root" in found


def test_strict_modes_off_makes_nothing_of_modes():
    """
    What the server overlooks is no reason; what the user cannot read still is one.
    """
    loose = components(0o777, 0o777, 0o666)
    case = with_settings(strictmodes="no")
    assert foreseen(replace(case, look=replace(case.look, components=loose), proof=None)) == ()
    closed = replace(case.look, components=components(home=0o600))
    assert "cannot go through it" in reason(replace(case, look=closed))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pubkeyauthentication": "no"}, "PubkeyAuthentication no"),
        ({"allowusers": "alice bob"}, "AllowUsers alice bob"),
        ({"allowusers": "deploy@10.*"}, "AllowUsers deploy@10.*"),
        ({"denyusers": "dep*"}, "DenyUsers dep*"),
        ({"allowgroups": "wheel"}, "AllowGroups wheel"),
        ({"denygroups": "staff"}, "DenyGroups"),
        ({"pubkeyacceptedalgorithms": "rsa-sha2-512"}, "PubkeyAcceptedAlgorithms rsa-sha2-512"),
        ({"authenticationmethods": "publickey,password"}, "AuthenticationMethods"),
        ({"authorizedkeysfile": "none"}, "AuthorizedKeysFile none"),
        ({"authorizedkeysfile": "/etc/keys/%u"}, "/etc/keys/deploy"),
        ({"authorizedkeysfile": ".ssh/a .ssh2/b"}, f"{HOME}/.ssh/a and {HOME}/.ssh2/b"),
    ],
)
def test_F64_settings_that_speak_against_the_key_are_named(settings, words):
    """
    With the setting as it stands in sshd_config.
    """
    evidence = Evidence(groups=("staff",), address="127.0.0.1")
    assert words in reason(replace(with_settings(**settings), evidence=evidence))


@pytest.mark.parametrize(
    "settings",
    [
        {"allowusers": "alice deploy"},
        {"allowusers": "deploy@127.0.0.*"},
        {"denyusers": "alice"},
        {"allowgroups": "users staff"},
        {"pubkeyacceptedalgorithms": "ssh-ed25519,rsa-sha2-512"},
        {"pubkeyacceptedalgorithms": "+ssh-rsa"},
        {"authenticationmethods": "any"},
        {"authenticationmethods": "publickey,password publickey"},
        {"permitrootlogin": "no"},
    ],
)
def test_settings_that_let_the_key_in_are_no_reason(settings):
    """
    Nobody is sent to change what is right.
    """
    evidence = Evidence(groups=("staff",), address="127.0.0.1")
    case = replace(with_settings(**settings), evidence=evidence)
    assert reason(case).startswith("nothing that can be seen from here says why")


@pytest.mark.parametrize("value", ["no", "forced-commands-only"])
def test_root_has_a_setting_of_its_own(value):
    """
    PermitRootLogin speaks of nobody else.
    """
    root = User("root", 0)
    [found] = objections({"permitrootlogin": value}, root, "ssh-ed25519")
    assert value in found.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'from="10.0.0.0/8" KEY', "only from 10.0.0.0/8"),
        (b'expiry-time="20200101" KEY', "expired"),
        (b"no-such-option KEY", "no-such-option"),
        (b"# KEY", "commented out"),
        (b"\xef\xbb\xbfKEY", "byte order mark"),
        (b"", "has no line"),
    ],
)
def test_F66_a_line_that_does_not_count_is_named_with_its_number(line, words):
    """
    The file and the line, as editors take them.
    """
    data = b"# first\n" + line.replace(b"KEY", KEY.line)
    case = replace(CASE, data=data, evidence=Evidence(address="127.0.0.1"))
    found = reason(case)
    assert words in found
    assert f"{PATH}:2" in found or not line


def test_another_factor_is_no_refusal_of_the_key():
    """
    AuthenticationMethods publickey,password: the key was taken.
    """
    partial = Proof("refused", "deploy", Failure("auth.partial", "publickey accepted, but ..."))
    assert "the key is taken, but not enough" in reason(replace(CASE, proof=partial))


def test_a_login_without_a_command_says_what_came_instead():
    """
    /etc/nologin, a locked shell, a forced command.
    """
    words = Failure("session.no_shell", "something else answered than the command: closed today")
    case = replace(CASE, proof=Proof("authenticated", "deploy", words))
    assert "closed today" in reason(case)
    nologin = replace(case, evidence=Evidence(nologin="/etc/nologin"))
    assert "/etc/nologin is there" in reason(nologin)


def test_dropbear_has_its_own_file_and_none_of_the_settings():
    """
    What stands in sshd_config is not about it.
    """
    case = replace(with_settings(pubkeyauthentication="no"), server=DROPBEAR)
    assert "PubkeyAuthentication" not in reason(case)
    elsewhere = replace(case, look=replace(LOOK, path=f"{HOME}/keys"))
    assert f"dropbear reads {PATH}" in reason(elsewhere)


def test_a_locked_account_matters_only_without_pam():
    """
    With PAM, keys are none of the password's business.
    """
    evidence = Evidence(is_locked=True)
    assert "is locked" in reason(replace(with_settings(usepam="no"), evidence=evidence))
    other = reason(replace(with_settings(usepam="yes"), evidence=evidence))
    assert "is locked" not in other


def test_an_encrypted_home_is_named_where_nothing_worse_is_found():
    """
    It is there for us, who are logged in, and not for sshd.
    """
    evidence = Evidence(encrypted="/home/.ecryptfs/deploy")
    assert "encrypted" in reason(replace(CASE, evidence=evidence))
    outside = replace(LOOK, path="/etc/keys/deploy", sshd={"authorizedkeysfile": "/etc/keys/%u"})
    assert "encrypted" not in reason(replace(CASE, look=outside, evidence=evidence))


def test_where_nothing_says_why_the_servers_words_are_shown():
    """
    And where to look.
    """
    found = explain(CASE)[0]
    assert "the server allows publickey" in found.message
    assert "journalctl" in found.fix


def test_sshd_config_is_read_as_sshd_reads_it():
    """
    The first value counts, lists add up, nothing behind Match.
    """
    text = (
        b"# PubkeyAuthentication no\nPubkeyAuthentication yes\npubkeyauthentication no\n"
        b'AllowUsers alice\nAllowUsers=bob\n\tStrictModes = "no"\nMatch User x\nUsePAM yes\n'
    )
    assert parse_sshd_config(text) == {
        "pubkeyauthentication": "yes",
        "allowusers": "alice bob",
        "strictmodes": "no",
    }


def test_tokens_of_the_key_file_are_those_of_sshd():
    """
    Percent signs and what follows them, relative paths from the home.
    """
    files = expanded_files("%h/k /etc/%u-%U 100%% none x", home="/h", user="u", uid=7)
    assert files == ("/h/k", "/etc/u-7", "/h/100%", "/h/x")


def test_an_answer_without_the_mark_is_no_evidence():
    """
    A forced command, or half an answer, says nothing about the account.
    """
    assert read_evidence(b"welcome\n", "mark") == Evidence()
    assert read_evidence(b"\nmark groups\nstaff\n", "mark") == Evidence()
