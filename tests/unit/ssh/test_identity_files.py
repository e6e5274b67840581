"""
Key files that are no key we can use: each says what it is and the line that mends it (F28).
"""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fleetctl.model.errors import FleetError
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.key_file import (
    PassphraseNeeded,
    check_rsa_size,
    load_identity_file,
    read_public_blob,
)
from tests.support.keys import keygen
from tests.unit.ssh.keys import RSA, blob


def problem_of(path: Path | str, passphrase: str | None = None) -> tuple[str, str]:
    """Return the message behind the path, and the hint."""
    with pytest.raises(FleetError) as caught:
        load_identity_file(str(path), passphrase)
    assert caught.value.kind == "auth.key_file"
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: "), caught.value.failure.hint or ""


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def public_of(key: Path) -> bytes:
    return base64.b64decode(key.with_name(f"{key.name}.pub").read_text().split()[1])


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com"])
def test_F28_a_wrong_passphrase_is_told_from_a_broken_file(tmp_path, cipher):
    """
    F28: with each cipher that can be read, wrong asks again and right opens.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519", "-Z", cipher, passphrase="right")
    for wrong in (None, "wrong"):
        with pytest.raises(PassphraseNeeded):
            load_identity_file(str(key), wrong)
    assert load_identity_file(str(key), "right").key_type == "ssh-ed25519"


@pytest.mark.parametrize("cipher", ["chacha20-poly1305@openssh.com", "aes128-ctr", "3des-cbc"])
def test_F28_a_cipher_that_cannot_be_read_names_the_line_that_converts_it(tmp_path, cipher):
    """
    F28: the right passphrase is not called wrong; the hint works.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519", "-Z", cipher, passphrase="right")
    for passphrase in (None, "right"):
        message, hint = problem_of(key, passphrase)
        assert cipher in message
        assert hint == f"convert it: ssh-keygen -p -Z aes256-ctr -f {key}"
    convert = [*hint.removeprefix("convert it: ").split(), "-P", "right", "-N", "new"]
    subprocess.run(convert, check=True, capture_output=True, timeout=30)
    assert load_identity_file(str(key), "new").key_type == "ssh-ed25519"


def test_F28_old_key_types_are_named(tmp_path):
    """
    F28: DSA, Ed448 and curves that SSH does not know are keys, and of no use.
    """
    made: dict[str, dsa.DSAPrivateKey | ed448.Ed448PrivateKey | ec.EllipticCurvePrivateKey] = {
        "DSA keys are not used": dsa.generate_private_key(1024),
        "ED448 keys are not used": ed448.Ed448PrivateKey.generate(),
        "ECDSA keys on this curve are not used": ec.generate_private_key(ec.SECP256K1()),
    }
    for text, key in made.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        message, hint = problem_of(write(tmp_path / "key", pem))
        assert message.startswith(text)
        assert "ssh-keygen -t ed25519" in hint


def security_key() -> bytes:
    """Return the file ssh-keygen writes for a FIDO key: it holds a handle, not the key."""
    name = b"sk-ssh-ed25519@openssh.com"
    public = ssh_string(name) + ssh_string(b"p" * 32) + ssh_string(b"ssh:")
    private = (
        bytes(8) + public + b"\1" + ssh_string(b"handle") + ssh_string(b"") + ssh_string(b"me")
    )
    private += bytes(range(1, 1 + -len(private) % 8))
    content = (
        b"openssh-key-v1\0"
        + ssh_string(b"none") * 2
        + ssh_string(b"")
        + (1).to_bytes(4, "big")
        + ssh_string(public)
        + ssh_string(private)
    )
    lines = base64.encodebytes(content)
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n%s-----END OPENSSH PRIVATE KEY-----\n" % lines


@pytest.mark.parametrize(
    ("content", "text", "hint"),
    [
        (security_key(), "in a hardware token, which only the agent can use", "ssh-add "),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "a PuTTY key", "puttygen "),
        (b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", "RFC 4716", "ssh-keygen -i -f "),
        (b"ssh-ed25519 AAAA me\n", "this is a public key", "without .pub"),
        (b"\x30\x82\x04\xa3\x02\x01\x00", "DER format", "openssl pkey -inform DER -in "),
        (b"random\n", "not a private key that can be read", "ssh-keygen -y -f "),
    ],
    ids=["fido", "putty", "ssh2", "public", "der", "random"],
)
def test_F28_other_formats_are_named_with_what_to_do(tmp_path, content, text, hint):
    """
    F28: what the file is, and the command that makes a key file of it.
    """
    message, told = problem_of(write(tmp_path / "my key", content))
    assert text in message
    assert hint in told


def test_F28_hints_can_be_pasted(tmp_path):
    """
    F28: a path with blanks is quoted.
    """
    _, hint = problem_of(write(tmp_path / "my key", b"random\n"))
    assert hint.endswith(f" -f '{tmp_path}/my key'")


def test_F28_a_key_that_others_may_read_is_named_as_ssh_names_it(tmp_path):
    """
    F28: in the words that people search for.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    key.chmod(0o644)
    message, hint = problem_of(key)
    assert message == "UNPROTECTED PRIVATE KEY FILE: others may read it (mode 0644)"
    assert hint == f"chmod 600 {key}"


@pytest.mark.parametrize("options", ["-t ed25519", "-t rsa -b 2048", "-t ecdsa"])
def test_the_public_half_of_an_encrypted_key_is_read_without_a_passphrase(tmp_path, options):
    """
    From the .pub file, or from the part of an OpenSSH key file that is in the clear.
    """
    key = keygen(tmp_path / "key", *options.split(), passphrase="right")
    public = public_of(key)
    assert read_public_blob(str(key)) == public
    key.with_name("key.pub").unlink()
    assert read_public_blob(str(key)) == public


@pytest.mark.parametrize("content", [b"", b"x", b"ssh-ed25519 ===", b"-----BEGIN X-----\nAAAA\n"])
def test_a_file_without_a_public_half_has_none(tmp_path, content):
    """
    Whatever is wrong with the file is said when its private half is read.
    """
    assert read_public_blob(str(write(tmp_path / "key", content))) is None
    assert read_public_blob(str(tmp_path / "none")) is None


def test_S14_short_rsa_keys_are_refused():
    """
    S14: RequiredRSASize is a limit for RSA keys only.
    """
    check_rsa_size("key", blob(RSA), 1024)
    check_rsa_size("key", blob(), 16384)
    with pytest.raises(FleetError, match="an RSA key of 1024 bits is too short") as caught:
        check_rsa_size("key", blob(RSA), 2048)
    assert "RequiredRSASize 2048" in str(caught.value)
