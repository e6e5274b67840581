"""
Private keys: encodings, files in every usual format, and what is wrong with a file.
"""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from fleetctl.model.challenge import Challenge
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.ssh.identity import (
    PrivateKey,
    fingerprint,
    signature_algorithms,
    ssh_mpint,
    ssh_string,
)
from fleetctl.ssh.key_file import (
    PASSPHRASE_ATTEMPTS,
    IdentityStore,
    PassphraseNeeded,
    load_identity_file,
)

KEYS: dict[str, PrivateKey] = {
    "ssh-ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ecdsa-sha2-nistp256": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-sha2-nistp384": ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-sha2-nistp521": ec.generate_private_key(ec.SECP521R1()),
    "ssh-rsa": rsa.generate_private_key(65537, 2048),
}
OPENSSH, PKCS8, PEM = (
    PrivateFormat.OpenSSH,
    PrivateFormat.PKCS8,
    PrivateFormat.TraditionalOpenSSL,
)


def write_key(path: Path, key_type: str, form: PrivateFormat, passphrase: str = "") -> str:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(KEYS[key_type].private_bytes(Encoding.PEM, form, encryption))
    path.chmod(0o600)
    return str(path)


def take_string(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:4], "big")
    return data[4 : 4 + size], data[4 + size :]


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0x0, "00 00 00 00"),
        (0x9A378F9B2E332A7, "00 00 00 08 09 a3 78 f9 b2 e3 32 a7"),
        (0x80, "00 00 00 02 00 80"),
        (0x7F, "00 00 00 01 7f"),
        (0xFF, "00 00 00 02 00 ff"),
    ],
)
def test_numbers_are_encoded_as_in_the_examples_of_rfc_4251(number, encoded):
    """
    The non-negative examples of RFC 4251 section 5, and the edges of a byte.
    """
    assert ssh_mpint(number) == bytes.fromhex(encoded)


def test_strings_are_encoded_as_in_the_example_of_rfc_4251():
    """
    The example of RFC 4251 section 5.
    """
    assert ssh_string(b"testing") == bytes.fromhex("00 00 00 07 74 65 73 74 69 6e 67")
    assert ssh_string(b"") == bytes(4)


def test_fingerprint_is_what_ssh_prints():
    """
    A key whose fingerprint was printed by `ssh-keygen -l` of OpenSSH 9.2.
    """
    key = "AAAAC3NzaC1lZDI1NTE5AAAAINoGoM7hW7DuLQ8ClLGjBdNxGPoPGnnHcuVL1O0RRPIX"
    assert fingerprint(base64.b64decode(key)) == (
        "SHA256:irC4b7vN0/VUNTfBdoh/A1w5Xs6MxtdzZBUYdb5HyCI"
    )


@pytest.mark.parametrize("form", [OPENSSH, PKCS8, PEM], ids=["openssh", "pkcs8", "pem"])
@pytest.mark.parametrize("key_type", KEYS)
def test_keys_of_every_type_and_format_are_read(tmp_path, key_type, form):
    """
    The usual formats of ed25519, ECDSA and RSA keys give their type and public part.
    """
    if key_type == "ssh-ed25519" and form is PEM:
        form = PKCS8  # OpenSSL has no older format for it
    path = write_key(tmp_path / "id", key_type, form)
    identity = load_identity_file(path, None)
    assert (identity.label, identity.key_type) == (path, key_type)
    assert take_string(identity.blob)[0] == key_type.encode()
    assert not identity.asks_somebody


@pytest.mark.parametrize("form", [OPENSSH, PKCS8, PEM], ids=["openssh", "pkcs8", "pem"])
def test_encrypted_keys_need_their_passphrase(tmp_path, form):
    """
    With the right passphrase a key is read; without one, or with a wrong one, it is asked for.
    """
    path = write_key(tmp_path / "id", "ecdsa-sha2-nistp256", form, "correct horse")
    assert load_identity_file(path, "correct horse").key_type == "ecdsa-sha2-nistp256"
    for wrong in (None, "", "battery staple"):
        with pytest.raises(PassphraseNeeded):
            load_identity_file(path, wrong)


@pytest.mark.parametrize("form", [OPENSSH, PKCS8], ids=["openssh", "pkcs8"])
def test_a_passphrase_for_a_plain_key_does_no_harm(tmp_path, form):
    """
    One passphrase may be given for several keys of which some have none.
    """
    path = write_key(tmp_path / "id", "ssh-ed25519", form)
    assert load_identity_file(path, "not needed").key_type == "ssh-ed25519"


@pytest.mark.parametrize("key_type", KEYS)
def test_signatures_verify(tmp_path, key_type):
    """
    What a key signs with each of its algorithms, its public part confirms. Source: RFC 4253, 8332.
    """
    identity = load_identity_file(write_key(tmp_path / "id", key_type, OPENSSH), None)
    for algorithm in signature_algorithms(key_type):
        signature = asyncio.run(identity.sign(b"data", algorithm))
        name, rest = take_string(signature)
        raw, rest = take_string(rest)
        assert (name.decode(), rest) == (algorithm, b"")
        verify(key_type, algorithm, raw)


def verify(key_type: str, algorithm: str, raw: bytes) -> None:
    key = KEYS[key_type]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        key.public_key().verify(raw, b"data")
    elif isinstance(key, rsa.RSAPrivateKey):
        digest = {"rsa-sha2-512": hashes.SHA512(), "rsa-sha2-256": hashes.SHA256()}[algorithm]
        key.public_key().verify(raw, b"data", padding.PKCS1v15(), digest)
    else:
        r, rest = take_string(raw)
        s, _ = take_string(rest)
        digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[
            key.curve.key_size
        ]
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        key.public_key().verify(der, b"data", ec.ECDSA(digest))


def test_rsa_keys_never_sign_with_sha_1():
    """
    S14: an RSA key uses SHA-2, the stronger first.
    """
    assert signature_algorithms("ssh-rsa") == ("rsa-sha2-512", "rsa-sha2-256")
    assert signature_algorithms("ssh-ed25519") == ("ssh-ed25519",)


def test_F28_a_missing_file_says_so(tmp_path):
    """
    F28: the path and what to do.
    """
    with pytest.raises(FleetError, match="no such identity file") as caught:
        load_identity_file(f"{tmp_path}/none", None)
    assert caught.value.kind == "auth.key_file"
    assert str(tmp_path) in str(caught.value)
    assert "ssh-keygen" in (caught.value.failure.hint or "")


@pytest.mark.parametrize("content", [b"", b"not a key\n", b"\0" * 500, b"ssh-ed25519 AAAA me\n"])
def test_F28_a_file_that_is_no_key_says_so(tmp_path, content):
    """
    F28: the wrong file is named, with one line of reason.
    """
    path = tmp_path / "id"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(FleetError) as caught:
        load_identity_file(str(path), None)
    assert caught.value.kind == "auth.key_file"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", ["OPENSSH PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"])
def test_F28_a_damaged_key_says_so(tmp_path, header):
    """
    F28: a file that begins like a key and goes wrong is no bug of ours.
    """
    path = tmp_path / "id"
    path.write_text(f"-----BEGIN {header}-----\nAAAA\n-----END {header}-----\n")
    path.chmod(0o600)
    with pytest.raises(FleetError) as caught:
        load_identity_file(str(path), None)
    assert caught.value.kind == "auth.key_file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_F28_a_key_that_others_may_read_is_not_used(tmp_path, mode):
    """
    F28: as ssh does; the mode and the command that mends it are shown.
    """
    path = write_key(tmp_path / "id", "ssh-ed25519", OPENSSH)
    os.chmod(path, mode)
    with pytest.raises(FleetError, match=f"mode {mode:04o}") as caught:
        load_identity_file(path, None)
    assert caught.value.failure.hint == f"chmod 600 {path}"


def test_F28_a_folder_is_not_a_key(tmp_path):
    """
    F28: whatever the system says about the path is passed on.
    """
    with pytest.raises(FleetError, match="Is a directory"):
        load_identity_file(str(tmp_path), None)


class Prompt:
    """Gives the passphrases it was made with, one per question."""

    def __init__(self, *answers: str) -> None:
        self.prepared = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def password(self, host: Host, user: str) -> Secret | None:
        raise AssertionError("no password is needed to read a key")

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        self.asked.append((path, attempt))
        return Secret(self.prepared.pop(0)) if self.prepared else None

    async def answers(self, host: Host, user: str, challenge: Challenge) -> None:
        raise AssertionError("no question is answered to read a key")


def test_F28_a_passphrase_is_asked_for_once_whatever_the_number_of_hosts(tmp_path):
    """
    F28: many hosts with one key share one question and one decrypted key.
    """
    path = write_key(tmp_path / "id", "ssh-ed25519", PKCS8, "right")
    prompt = Prompt("wrong", "right")

    async def main() -> int:
        store = IdentityStore(prompt)
        loaded = await asyncio.gather(*[store.load(path) for _ in range(20)])
        await store.close()
        return len({id(identity) for identity in loaded})

    assert asyncio.run(main()) == 1
    assert prompt.asked == [(path, 0), (path, 1)]


@pytest.mark.parametrize(
    ("answers", "text", "asked"),
    [
        ((), "there is no passphrase for it", 1),
        (("bad",), "wrong passphrase", 2),
        (("bad",) * 9, "wrong passphrase", PASSPHRASE_ATTEMPTS),
    ],
)
def test_F28_without_the_passphrase_every_host_gets_the_same_reason(tmp_path, answers, text, asked):
    """
    F28: asking is bounded, and the failure says whether there was no passphrase or a wrong one.
    """
    path = write_key(tmp_path / "id", "ssh-ed25519", PKCS8, "right")
    prompt = Prompt(*answers)

    async def main() -> set[str]:
        store = IdentityStore(prompt)
        both = await asyncio.gather(store.load(path), store.load(path), return_exceptions=True)
        await store.close()
        return {str(error) for error in both}

    (message,) = asyncio.run(main())
    assert text in message
    assert len(prompt.asked) == asked


def test_a_host_that_gives_up_does_not_stop_the_loading_for_others(tmp_path):
    """
    Cancelling one wait for a key leaves the others waiting.
    """
    path = write_key(tmp_path / "id", "ssh-ed25519", PKCS8, "right")

    async def main() -> str:
        store = IdentityStore(Prompt("right"))
        first = asyncio.ensure_future(store.load(path))
        second = asyncio.ensure_future(store.load(path))
        await asyncio.sleep(0)
        first.cancel()
        return (await second).key_type

    assert asyncio.run(main()) == "ssh-ed25519"
