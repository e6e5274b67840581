"""
``fleetctl keys generate`` and ``certify``, typed at the real program.
"""

from __future__ import annotations

import subprocess

from tests.cli.shell import fleetctl, on_terminal
from tests.support.keys import keygen


def ssh_keygen(*words):
    done = subprocess.run(["ssh-keygen", *words], capture_output=True, check=True, text=True)
    return done.stdout


def test_a_key_pair_is_made_and_shown_as_ssh_keygen_shows_it(tmp_path):
    """
    Names of the files, the fingerprint and the picture, word by word.
    """
    file = str(tmp_path / "id")
    made = fleetctl("keys", "generate", file, "--no-passphrase", "--comment", "ci key")
    assert (made.code, made.err) == (0, "")
    shown = ssh_keygen("-l", "-v", "-f", f"{file}.pub")
    assert made.out == f"private key: {file}\npublic key:  {file}.pub\n{shown}"


def test_a_passphrase_is_typed_twice(tmp_path):
    """
    On a terminal it is asked for, and seen by nobody.
    """
    file = str(tmp_path / "id")
    with on_terminal("keys", "generate", file) as screen:
        screen.read_until(f"passphrase for {file} (empty for none): ")
        screen.type("correct horse\n")
        screen.read_until("the same again: ")
        screen.type("correct horse\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert "correct horse" not in ended.out
    assert ssh_keygen("-y", "-P", "correct horse", "-f", file)


def test_a_passphrase_that_was_mistyped_makes_no_key(tmp_path):
    """
    A key that nobody can open is of no use.
    """
    with on_terminal("keys", "generate", str(tmp_path / "id")) as screen:
        screen.read_until("(empty for none): ")
        screen.type("correct horse\n")
        screen.read_until("the same again: ")
        screen.type("correct house\n")
        ended = screen.wait()
    assert ended.code == 2
    assert "the two are not the same" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_a_script_has_to_say_what_it_wants(tmp_path):
    """
    A key without a passphrase is nobody's accident; a source says it otherwise.
    """
    file = str(tmp_path / "id")
    refused = fleetctl("keys", "generate", file)
    assert refused.code == 2
    assert "--no-passphrase" in refused.err
    made = fleetctl(
        *("keys", "generate", file, "--passphrase-file", "env:WORD"), env={"WORD": "battery"}
    )
    assert made.code == 0, made.err
    assert ssh_keygen("-y", "-P", "battery", "-f", file)
    both = fleetctl("keys", "generate", f"{file}2", "--passphrase-file", "x", "--no-passphrase")
    assert both.code == 2


def test_a_key_that_is_there_stays(tmp_path):
    """
    It is refused before anybody is asked for a passphrase; --force makes a new one.
    """
    file = keygen(tmp_path / "id", "-t", "ed25519")
    before = file.read_bytes()
    with on_terminal("keys", "generate", str(file)) as screen:
        ended = screen.wait()
    assert ended.code == 2
    assert "passphrase" not in ended.out
    assert file.read_bytes() == before
    assert fleetctl("keys", "generate", str(file), "--force", "--no-passphrase").code == 0
    assert file.read_bytes() != before


def test_every_mistake_of_a_certificate_is_said_at_once(tmp_path):
    """
    Flags and files; nothing is written.
    """
    keygen(tmp_path / "ca", "-t", "ed25519")
    refused = fleetctl(
        *("keys", "certify", str(tmp_path / "id"), "--ca", str(tmp_path / "ca"), "--id", ""),
        *("--principals", "a,,b", "--valid", "soon", "--serial", "x", "--option", "frobnicate"),
    )
    assert refused.code == 2
    assert [line.split(": ")[1] for line in refused.err.splitlines() if "hint" not in line] == [
        "--valid",
        "--serial",
        "--option",
        "--id",
        "--principals",
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ca", "ca.pub"]


def test_a_certificate_for_everybody_is_nobodys_accident(tmp_path):
    """
    ssh-keygen makes one where -n is forgotten; here somebody has to say so.
    """
    for name in ("ca", "id"):
        keygen(tmp_path / name, "-t", "ed25519")
    words = ("keys", "certify", str(tmp_path / "id"), "--ca", str(tmp_path / "ca"), "--id", "x")
    refused = fleetctl(*words)
    assert refused.code == 2
    assert "without principals" in refused.err
    assert fleetctl(*words, "--any-principal", "--principals", "a").code == 2
    made = fleetctl(*words, "--any-principal")
    assert made.code == 0, made.err
    assert made.out.endswith('id-cert.pub: id "x" serial 0 valid forever\n')
    assert "Principals: (none)" in ssh_keygen("-L", "-f", str(tmp_path / "id-cert.pub"))


def test_the_authoritys_passphrase_is_asked_for(tmp_path):
    """
    On a terminal; or it is read from where somebody says.
    """
    keygen(tmp_path / "ca", "-t", "ed25519", passphrase="correct horse")
    keygen(tmp_path / "id", "-t", "ed25519")
    words = ("keys", "certify", str(tmp_path / "id"), "--ca", str(tmp_path / "ca"), "--id", "x")
    with on_terminal(*words, "--principals", "a") as screen:
        screen.read_until("passphrase for ")
        screen.type("battery\n")
        screen.read_until("wrong; passphrase for ")
        screen.type("correct horse\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    (tmp_path / "word").write_text("wrong\n")
    refused = fleetctl(*words, "--principals", "a", "--passphrase-file", str(tmp_path / "word"))
    assert refused.code == 2
    assert "wrong one" in refused.err
