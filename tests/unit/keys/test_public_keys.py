"""
Where the public keys come from that are to be put on hosts.
"""

from __future__ import annotations

import base64
import os

import pytest

from fleetctl.keys.authorized_keys import KeyOption
from fleetctl.keys.public_keys import (
    agent_public_keys,
    find_public_keys,
    newest_public_key_file,
    public_key_path,
)
from fleetctl.model.errors import UsageError
from tests.support.key_cases import CaseKeys
from tests.support.keys import keygen


def blob(number):
    return b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32, "big")


def line(number, comment="x"):
    return f"ssh-ed25519 {base64.b64encode(blob(number)).decode()} {comment}"


def problems_of(*words, stdin=b""):
    with pytest.raises(UsageError) as caught:
        find_public_keys(words, stdin=stdin)
    return caught.value.problems


def test_pub_is_added_to_the_name_of_a_private_key(tmp_path):
    """
    Whether the private or the public file is named, the public one is meant.
    """
    private = keygen(tmp_path / "id", "-t", "ed25519")
    for word in (str(private), f"{private}.pub"):
        [found] = find_public_keys([word])
        assert found.key.comment == "id"
        assert found.origin == f"{private}.pub:1"
        assert found.identity_file == str(private)


def test_a_private_key_without_its_public_half_is_refused(tmp_path):
    """
    It never leaves this machine; the hint makes the public half.
    """
    private = keygen(tmp_path / "my id", "-t", "ed25519")
    private.with_name("my id.pub").unlink()
    [problem] = problems_of(str(private))
    assert problem.message == "this is a private key: it stays where it is"
    assert f"ssh-keygen -y -f '{private}' > '{private}.pub'" in str(problem.hint)


def test_a_private_key_in_a_public_file_is_refused(tmp_path):
    """
    Also where the names were mixed up.
    """
    private = keygen(tmp_path / "id", "-t", "ed25519")
    (tmp_path / "id.pub").write_bytes(private.read_bytes())
    [problem] = problems_of(str(private))
    assert "private key" in problem.message


def test_a_file_may_have_many_keys(tmp_path):
    """
    With comments, blank lines and options, as authorized_keys has; each key once.
    """
    file = tmp_path / "team.keys"
    file.write_text(f"# team\n\n{line(1, 'a')}\nno-pty {line(2, 'b')}\r\n{line(1, 'c')}\n")
    found = find_public_keys([str(file)])
    assert [(one.key.comment, one.origin) for one in found] == [
        ("a", f"{file}:3"),
        ("b", f"{file}:4"),
    ]
    assert found[1].key.options == (KeyOption("no-pty"),)
    assert found[0].identity_file is None


def test_a_key_may_be_typed_or_piped():
    """
    A key itself is no name of a file; - is standard input.
    """
    [typed] = find_public_keys([line(1, "me")])
    assert (typed.key.blob, typed.origin) == (blob(1), "the command line")
    [restricted] = find_public_keys([f"no-pty {line(1)}"])
    assert restricted.key.options == (KeyOption("no-pty"),)
    [piped] = find_public_keys(["-"], stdin=f"\n{line(2)}".encode())
    assert (piped.key.blob, piped.origin) == (blob(2), "standard input:2")


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    """
    In all files, with their lines.
    """
    keys = CaseKeys(tmp_path, "root")
    (tmp_path / "bad.pub").write_text(f"hello\n{line(1)}\nfrobnicate {line(2)}\n")
    (tmp_path / "none.pub").write_text("# nothing\n")
    (tmp_path / "ssh2.pub").write_text("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n")
    found = problems_of(
        *(str(tmp_path / name) for name in ("bad.pub", "none.pub", "ssh2.pub", "absent")),
        str(keys.folder / "cert-cert.pub"),
    )
    assert [(str(one.file).rpartition("/")[2], one.line) for one in found] == [
        ("bad.pub", 1),
        ("bad.pub", 3),
        ("none.pub", None),
        ("ssh2.pub", None),
        ("absent", None),
        ("cert-cert.pub", 1),
    ]
    assert found[1].message.startswith("frobnicate: no option")
    assert found[2].message == "there is no public key in it"
    assert str(found[3].hint).startswith("convert it: ssh-keygen -i")
    assert found[4].message == "No such file or directory"
    assert "certificate" in found[5].message


def test_the_keys_of_an_agent_are_those_without_certificates(tmp_path):
    """
    Their comments become those of the lines, in one line.
    """
    certificate = (CaseKeys(tmp_path, "root").folder / "cert-cert.pub").read_text().split()[1]
    listed = [("a\nb", blob(1)), ("cert", base64.b64decode(certificate))]
    [found] = agent_public_keys(listed)
    assert (found.key.comment, found.is_in_agent, found.origin) == ("a b", True, "the agent")


def test_the_newest_public_key_of_ssh_is_found(tmp_path):
    """
    As ssh-copy-id takes it: id*.pub by time, without certificates.
    """
    assert newest_public_key_file(tmp_path) is None
    for age, name in enumerate(
        ["id_ed25519-cert.pub", "other.pub", "id_new.pub", "id_old.pub", "id_new"]
    ):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "id_gone.pub").symlink_to(tmp_path / "nowhere")
    assert newest_public_key_file(tmp_path) == tmp_path / "id_new.pub"


def test_the_home_may_be_written_as_a_tilde(private_home):
    """
    Also where no shell expands it.
    """
    folder = private_home / ".ssh"
    folder.mkdir(exist_ok=True)
    (folder / "id_x.pub").write_text(line(1))
    assert public_key_path("~/.ssh/id_x") == str(folder / "id_x.pub")
    assert len(find_public_keys(["~/.ssh/id_x"])) == 1
