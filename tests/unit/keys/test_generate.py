"""
New key pairs, judged by OpenSSH's own tools.
"""

from __future__ import annotations

import subprocess

import pytest

from fleetctl.keys.generate import KeyWish, generate_key, save_key
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret


def keygen(*words):
    done = subprocess.run(["ssh-keygen", *words], capture_output=True, check=True, text=True)
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "bits", "label"),
    [
        ("ed25519", None, "256 (ED25519)"),
        ("rsa", None, "3072 (RSA)"),
        ("ecdsa", None, "256 (ECDSA)"),
        ("ecdsa", 384, "384 (ECDSA)"),
        ("ecdsa", 521, "521 (ECDSA)"),
    ],
)
@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_ssh_keygen_reads_what_was_made(tmp_path, kind, bits, label, passphrase):
    """
    The private file opens with its passphrase, and has the key of the public one.
    """
    made = generate_key(KeyWish(kind, bits, "a b"), Secret(passphrase), rounds=2)
    private, public = save_key(made, str(tmp_path / "id"))
    shown = keygen("-y", "-P", passphrase, "-f", private).split()[:2]
    assert made.public.render().decode().split() == [*shown, "a", "b"]
    size, fingerprint, *_, name = keygen("-l", "-f", public).split()
    assert f"{size} {name}" == label
    assert fingerprint == made.public.fingerprint


def test_a_wrong_passphrase_does_not_open_it(tmp_path):
    """
    The private file is encrypted, by ssh's own key derivation, in as many rounds as were asked for.
    """
    made = generate_key(KeyWish(), Secret("correct horse"), rounds=3)
    private, _ = save_key(made, str(tmp_path / "id"))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        keygen("-y", "-P", "wrong", "-f", private)
    assert "incorrect passphrase" in caught.value.stderr
    assert "correct horse" not in repr(made)
    assert "PRIVATE" not in repr(made)


def test_nobody_else_can_read_the_private_file(tmp_path):
    """
    0600, and 0644 for the public one, whatever the umask allows.
    """
    private, public = save_key(generate_key(KeyWish()), str(tmp_path / "id"))
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("id", "id.pub")] == [
        "0o600",
        "0o644",
    ]
    assert (private, public) == (str(tmp_path / "id"), str(tmp_path / "id.pub"))


@pytest.mark.parametrize("name", ["id", "id.pub"])
def test_a_key_that_is_there_is_not_overwritten(tmp_path, name):
    """
    Neither half, unless somebody insists; then both are new.
    """
    (tmp_path / name).write_text("precious")
    made = generate_key(KeyWish())
    with pytest.raises(UsageError) as caught:
        save_key(made, str(tmp_path / "id"))
    assert caught.value.problems[0].message == "the file is there already"
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"
    save_key(made, str(tmp_path / "id"), force=True)
    assert keygen("-y", "-f", str(tmp_path / "id")).split()[1] in (tmp_path / "id.pub").read_text()


def test_a_link_to_nowhere_is_not_followed(tmp_path):
    """
    A key does not appear where somebody else's link leads.
    """
    (tmp_path / "id").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        save_key(generate_key(KeyWish()), str(tmp_path / "id"))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("force", [False, True])
def test_what_cannot_be_written_leaves_nothing(tmp_path, force):
    """
    Both files, or neither: a private key without its public half is easily lost.
    """
    (tmp_path / "folder" / "id.pub").mkdir(parents=True)
    made = generate_key(KeyWish())
    with pytest.raises(UsageError):
        save_key(made, str(tmp_path / "folder" / "id"), force=force)
    with pytest.raises(UsageError, match="No such file"):
        save_key(made, str(tmp_path / "absent" / "id"), force=force)
    left = {file.name for file in (tmp_path / "folder").iterdir()}
    assert left == ({"id", "id.pub"} if force else {"id.pub"})


@pytest.mark.parametrize(
    ("kind", "bits", "flag"),
    [
        ("rsa", 2048, "--bits"),
        ("rsa", 20000, "--bits"),
        ("ecdsa", 255, "--bits"),
        ("ed25519", 512, "--bits"),
    ],
)
def test_weak_and_impossible_keys_are_refused(kind, bits, flag):
    """
    RSA from 3072 bits, and curves that there are.
    """
    with pytest.raises(UsageError) as caught:
        KeyWish(kind, bits)
    assert caught.value.problems[0].file == flag


def test_a_comment_is_one_line():
    """
    It would be another line of authorized_keys.
    """
    with pytest.raises(UsageError):
        KeyWish(comment="a\nssh-ed25519 AAAA")


def test_a_short_passphrase_is_refused():
    """
    As ssh-keygen does.
    """
    with pytest.raises(UsageError, match="5 characters"):
        generate_key(KeyWish(), Secret("abc"))


def test_the_usual_folder_is_made(tmp_path, monkeypatch):
    """
    A new account has no ``~/.ssh``; it is made as ssh-keygen makes it, and no other folder is.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    key = generate_key(KeyWish("ed25519", None, "a"))
    private, _ = save_key(key, "~/.ssh/id_ed25519")
    folder = tmp_path / ".ssh"
    assert private == str(folder / "id_ed25519")
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError, match="No such file"):
        save_key(key, str(tmp_path / "elsewhere" / "id_ed25519"))
