"""
`fleetctl trust`: what it shows, remembers and forgets.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.unit.cli.fakes import fleetctl


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    monkeypatch.chdir(folder)
    return folder


def typed(capsys, *words):
    """Type a command that must succeed; return its lines."""
    assert fleetctl("trust", *words) == 0
    return capsys.readouterr().out.splitlines()


def test_the_hash_and_what_the_file_would_do_are_shown(project, capsys):
    """
    One sees what one agrees to.
    """
    data = b"forks: 5\nhistory: no\nconfirm_above: 500\n"
    Path("fleetctl.yml").write_bytes(data)
    assert typed(capsys, "fleetctl.yml") == [
        f"{sha256(data).hexdigest()}  fleetctl.yml",
        "  line 2: history keeps runs out of the history",
        "  line 3: confirm_above decides from how many hosts on you are asked",
        "1 file trusted with this content",
    ]


def test_a_program_is_told_from_a_list(project, capsys):
    """
    A file that would be run says so, by its mode or its first line.
    """
    Path("a").write_text("#!/bin/sh\n")
    Path("b").write_text("")
    Path("b").chmod(0o755)
    Path("c").write_text("")
    lines = typed(capsys, "a", "b", "c")
    assert [line.startswith("  line 1: it is run as a program") for line in lines] == [
        *(False, True, False, True, False, False),
    ]


def test_a_file_that_others_can_write_is_pointed_out(project, capsys):
    """
    The content is checked before use, but between the check and the start of a program
    somebody else could change it.
    """
    Path("a").write_text("#!/bin/sh\n")
    Path("a").chmod(0o777)
    assert f"  careful: {project}/a can be written by everybody" in typed(capsys, "a")


def test_own_files_need_no_trust(project, private_home, capsys):
    """
    Trusting ~/.ssh/config is harmless and said to be needless.
    """
    (private_home / ".ssh").mkdir(mode=0o700)
    own = private_home / ".ssh" / "config"
    own.write_text("")
    assert "  it is your own already" in typed(capsys, str(own))


def test_a_folder_is_all_its_files(project, capsys):
    """
    Trusted, listed and revoked as one.
    """
    for name in ("inv/hosts", "inv/group_vars/all"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    assert typed(capsys, "inv")[-1] == "2 files trusted with this content"
    assert [line.rpartition(" ")[2] for line in typed(capsys, "--list")] == [
        "inv/group_vars/all",
        "inv/hosts",
    ]
    assert len(typed(capsys, "--list", "inv/group_vars")) == 1
    assert typed(capsys, "--revoke", "inv")[-1] == "2 files no longer trusted"
    assert typed(capsys, "--list") == []


def test_the_list_says_what_has_changed_since(project, capsys):
    """
    A file that is gone, is another or is a folder now.
    """
    for name in "abcd":
        Path(name).write_text(name)
    typed(capsys, "a", "b", "c", "d")
    Path("b").write_text("changed")
    Path("c").unlink()
    Path("d").unlink()
    Path("d").mkdir()
    lines = typed(capsys, "--list")
    assert [line.split("  ")[2] for line in lines] == [
        "a",
        "(changed since) b",
        "(gone) c",
        "(now a folder) d",
    ]
    assert lines[0].startswith(sha256(b"a").hexdigest()[:12])


def test_a_file_that_is_gone_can_be_revoked(project, capsys):
    """
    What was trusted can be forgotten without being there.
    """
    Path("a").write_text("a")
    typed(capsys, "a")
    Path("a").unlink()
    assert typed(capsys, "--revoke", "a") == ["a", "1 file no longer trusted"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "which file?"),
        (("--revoke",), "which file?"),
        (("nothing",), "nothing: this cannot be read: No such file or directory"),
        (("empty",), "no file is in empty"),
        (("--revoke", "empty"), "empty is not trusted"),
    ],
)
def test_mistakes_are_told(project, capsys, words, said):
    """
    Exit 2 and one line.
    """
    Path("empty").mkdir()
    assert fleetctl("trust", *words) == 2
    assert said in capsys.readouterr().err


def test_nothing_is_trusted_if_one_path_is_wrong(project, capsys):
    """
    All of the command or nothing of it.
    """
    Path("a").write_text("a")
    assert fleetctl("trust", "a", "nothing") == 2
    capsys.readouterr()
    assert typed(capsys, "--list") == []


def test_names_cannot_steer_the_terminal(project, capsys):
    """
    A file named by an attacker is shown with its control characters escaped.
    """
    Path("a\x1b[31m").write_text("")
    assert "\x1b" not in "".join(typed(capsys, "a\x1b[31m"))
    assert "\x1b" not in "".join(typed(capsys, "--list"))


#: A file that would do something, and what the lines are said to do.
DEEDS = {
    "ssh_config": (
        "Host web*\n  User deploy\n  ProxyCommand nc %h %p\nMatch exec true\n"
        "  Ciphers +3des-cbc\n  UserKnownHostsFile ${SOMEWHERE}/known\n",
        [
            "line 3: ProxyCommand runs a command on this machine",
            "line 4: Match exec runs a command on this machine",
            "line 5: Ciphers allows weak algorithms (3des-cbc)",
            "line 6: UserKnownHostsFile weakens the check of host keys",
        ],
    ),
    "hosts.yml": (
        "all:\n  ssh: {StrictHostKeyChecking: accept-new}\n  hosts:\n    web1:\n"
        "      vars:\n        ansible_ssh_common_args: -o ProxyCommand=nc\n",
        [
            "line 2: StrictHostKeyChecking weakens the check of host keys",
            "line 6: ProxyCommand runs a command on this machine",
        ],
    ),
    "hosts.ini": (
        "[web]\nweb1 ansible_password=example\n[web:vars]\nansible_ssh_extra_args=-A\n",
        [
            "line 2: ansible_password is written openly",
            "line 4: ForwardAgent lends your keys to the host",
        ],
    ),
    "group_vars/all.yml": (
        "---\ntz: UTC\nansible_ssh_common_args: -o StrictHostKeyChecking=no\n",
        ["line 3: StrictHostKeyChecking weakens the check of host keys"],
    ),
    "fleetctl.yml": (
        "history: no\n",
        ["line 1: history keeps runs out of the history"],
    ),
}


@pytest.mark.parametrize("name", DEEDS)
def test_the_lines_that_need_trust_are_shown(project, capsys, name):
    """
    Of an ssh_config, an inventory and its variables, as of a settings file.
    """
    text, deeds = DEEDS[name]
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)
    assert typed(capsys, name)[1:-1] == [f"  {deed}" for deed in deeds]


def test_what_a_file_is_called_hides_nothing(project, capsys):
    """
    What a file is used for is not decided by its name, nor by mistakes in it: every line that one
    of its readers could obey is shown.
    """
    Path("README.yml").write_text('{ not yaml\nNoSuchKeyword\nPKCS11Provider /evil.so\n"open\n')
    Path("fleetctl.yml").write_text("Match exec id\nForwardAgent yes\n")
    Path("run").write_text("#!/bin/sh\nLocalCommand id\n")
    assert typed(capsys, "README.yml")[1:-1] == [
        "  line 3: PKCS11Provider loads code on this machine"
    ]
    assert typed(capsys, "fleetctl.yml")[1:-1] == [
        "  line 1: Match exec runs a command on this machine",
        "  line 2: ForwardAgent lends your keys to the host",
    ]
    assert typed(capsys, "run")[1:-1] == [
        "  line 1: it is run as a program where an inventory is expected",
        "  line 2: LocalCommand runs a command on this machine",
    ]


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", b"a: &a [*a]\n"]
)
def test_a_file_that_nobody_can_read_is_still_trusted_by_its_hash(project, capsys, data):
    """
    Nothing is shown of it, and nothing fails.
    """
    Path("a.yml").write_bytes(data)
    assert len(typed(capsys, "a.yml")) == 2
