"""
Private keys: loading each file once per process, and signing with it.

Does not decide which key is offered to whom.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fleetctl.model.errors import FleetError
from fleetctl.model.ports import SecretProvider
from fleetctl.ssh.blocking import in_thread

#: How often a passphrase is asked for before a key counts as unusable.
PASSPHRASE_ATTEMPTS = 3

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Identity(Protocol):
    """
    A key that can prove us to a host.

    Attributes:
        label: Where it comes from: the path of a file, or the agent's comment.
        key_type: As in the public key blob, such as ``ssh-rsa``.
        blob: Public key blob. Source: RFC 4253 section 6.6.
        asks_somebody: Signing may need a touch or a confirmation, so ask the server first.
    """

    @property
    def label(self) -> str: ...
    @property
    def key_type(self) -> str: ...
    @property
    def blob(self) -> bytes: ...
    @property
    def asks_somebody(self) -> bool: ...

    async def sign(self, data: bytes, algorithm: str) -> bytes:
        """Return a signature blob made with this signature algorithm."""
        ...


def fingerprint(blob: bytes) -> str:
    """Return ``SHA256:`` and the digest in unpadded base64, as ``ssh-keygen -l`` prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=")
    return "SHA256:" + digest.decode("ascii")


def ssh_string(data: bytes) -> bytes:
    """Encode a string. Source: RFC 4251 section 5."""
    return len(data).to_bytes(4, "big") + data


def ssh_mpint(number: int) -> bytes:
    """Encode a non-negative multiple precision integer. Source: RFC 4251 section 5."""
    return ssh_string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """A private key read from a file."""

    label: str
    key_type: str
    blob: bytes
    key: PrivateKey
    asks_somebody: bool = False

    async def sign(self, data: bytes, algorithm: str) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            raw = self.key.sign(data)  # 50 microseconds: a thread would cost more
        else:
            raw = await in_thread(_sign_slowly, self.key, data, algorithm)
        return ssh_string(algorithm.encode()) + ssh_string(raw)


def _sign_slowly(key: PrivateKey, data: bytes, algorithm: str) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        digest = hashes.SHA512() if algorithm == "rsa-sha2-512" else hashes.SHA256()
        return key.sign(data, padding.PKCS1v15(), digest)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    size = key.curve.key_size
    # RFC 5656 section 6.2.1: the digest follows the size of the curve.
    hash_of_curve = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hash_of_curve[size])))
    return ssh_mpint(r) + ssh_mpint(s)


def signature_algorithms(key_type: str) -> tuple[str, ...]:
    """Return the algorithms a key of this type signs with, best first; SHA-1 is not among them."""
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


class PassphraseNeeded(Exception):
    """The key is encrypted and no passphrase, or a wrong one, was given."""


def load_identity_file(path: str, passphrase: str | None) -> FileIdentity:
    """
    Read a private key in OpenSSH or PEM format. Blocks; an encrypted key takes a fraction of a
    second.

    Raises:
        PassphraseNeeded: It is encrypted and the passphrase is missing or wrong.
        FleetError: ``auth.key_file`` with the reason and what to type.
    """
    data = _read_private_file(path)
    password = passphrase.encode() if passphrase else None
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load: Callable[..., object] = (
        serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    )
    try:
        # The check of RSA numbers takes 130 ms and protects against foreign keys; this one is ours.
        key = load(data, password, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        if passphrase and "not encrypted" in str(error):
            return load_identity_file(path, None)
        raise PassphraseNeeded from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if _is_encrypted(data):
            raise PassphraseNeeded from error
        raise FleetError(
            "auth.key_file",
            f"{path}: not a private key that can be read: {_first_line(error)}",
            hint=f"ssh-keygen -y -f {path}",
        ) from error
    if not isinstance(key, PrivateKey):
        raise FleetError(
            "auth.key_file",
            f"{path}: keys of this type are not used any more",
            hint="ssh-keygen -t ed25519 makes a new one",
        )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    key_type, encoded = public.split()[:2]
    return FileIdentity(
        label=path, key_type=key_type.decode(), blob=base64.b64decode(encoded), key=key
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _is_encrypted(data: bytes) -> bool:
    if b"ENCRYPTED" in data:
        return True
    body = b"".join(line for line in data.splitlines() if not line.startswith(b"-----"))
    try:
        decoded = base64.b64decode(body)
    except ValueError:
        return False
    # openssh-key-v1: magic, then the cipher's name, which is "none" for a plain key.
    return decoded.startswith(b"openssh-key-v1\0") and decoded[15:23] != ssh_string(b"none")


def _read_private_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            data = file.read(256 * 1024)
    except FileNotFoundError as error:
        raise FleetError(
            "auth.key_file",
            f"{path}: no such identity file",
            hint="check IdentityFile, or make one with `ssh-keygen -t ed25519`",
        ) from error
    except OSError as error:
        raise FleetError("auth.key_file", f"{path}: {error.strerror or error}") from error
    if info.st_uid == os.getuid() and stat.S_IMODE(info.st_mode) & 0o077:
        raise FleetError(
            "auth.key_file",
            f"{path}: others may read this private key (mode {stat.S_IMODE(info.st_mode):04o})",
            hint=f"chmod 600 {path}",
        )
    return data


class IdentityStore:
    """Loads each identity file once per process and asks for each passphrase once."""

    def __init__(self, secrets: SecretProvider) -> None:
        self._secrets = secrets
        self._loading: dict[str, asyncio.Task[FileIdentity]] = {}

    async def load(self, path: str) -> FileIdentity:
        """
        Return the identity of a file.

        Raises:
            FleetError: ``auth.key_file``, the same for every host that names the file.
        """
        task = self._loading.get(path)
        if task is None:
            task = self._loading[path] = asyncio.ensure_future(self._load(path))
        return await asyncio.shield(task)

    async def _load(self, path: str) -> FileIdentity:
        try:
            return await in_thread(load_identity_file, path, None)
        except PassphraseNeeded:
            pass
        given = 0
        while given < PASSPHRASE_ATTEMPTS:
            passphrase = await self._secrets.passphrase(path, given)
            if passphrase is None:
                break
            given += 1
            try:
                return await in_thread(load_identity_file, path, passphrase.reveal())
            except PassphraseNeeded:
                continue
        if given:
            raise FleetError(
                "auth.key_file",
                f"{path}: wrong passphrase",
                hint=f"check it with `ssh-keygen -y -f {path}`",
            )
        raise FleetError(
            "auth.key_file",
            f"{path}: the key is encrypted and there is no passphrase for it",
            hint=f"give --identity-passphrase-file FILE, or `ssh-add {path}` and use the agent",
        )

    async def close(self) -> None:
        """End what is still being loaded."""
        for task in self._loading.values():
            task.cancel()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
