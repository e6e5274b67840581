"""
Private key files: reading each once per process, in every usual format, and saying what is wrong.

Formats are told apart by their first line; which key is offered to whom is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shlex
import stat
from collections.abc import Callable

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.model.ports import SecretProvider
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.identity import FileIdentity, PrivateKey, ssh_string, take_string

#: How often a passphrase is asked for before a key counts as unusable.
PASSPHRASE_ATTEMPTS = 3
#: An RSA key of 16384 bits takes 13 KiB.
MAX_FILE_BYTES = 256 * 1024

_OPENSSH = b"BEGIN OPENSSH PRIVATE KEY"


class PassphraseNeeded(Exception):
    """The key is encrypted and no passphrase, or a wrong one, was given."""


def load_identity_file(path: str, passphrase: str | None) -> FileIdentity:
    """
    Read a private key in OpenSSH, PEM or PKCS#8 format.

    Blocks; an encrypted key takes a fraction of a second.

    Raises:
        PassphraseNeeded: It is encrypted and the passphrase is missing or wrong.
        FleetError: ``auth.key_file`` with the reason and what to type.
    """
    return parse_private_key(path, _read_private_file(path), passphrase)


def parse_private_key(path: str, data: bytes, passphrase: str | None = None) -> FileIdentity:
    """
    Return the private key in these bytes; blocks and raises as `load_identity_file`.

    Args:
        path: Where they come from, for the messages.
    """
    password = passphrase.encode(errors="surrogateescape") if passphrase else None
    load: Callable[..., object] = (
        serialization.load_ssh_private_key
        if _OPENSSH in data
        else serialization.load_pem_private_key
    )
    try:
        # The check of RSA numbers takes 130 ms and protects against foreign keys; this one is ours.
        key = load(data, password, unsafe_skip_rsa_key_validation=True)
    except TypeError as error:
        if passphrase and "not encrypted" in str(error):
            return parse_private_key(path, data)
        raise PassphraseNeeded from error
    except UnsupportedAlgorithm as error:
        raise _not_understood(path, data, error) from error
    except (ValueError, InvalidTag) as error:
        if _is_encrypted(data):
            raise PassphraseNeeded from error
        raise _not_understood(path, data, error) from error
    if not isinstance(key, PrivateKey):
        raise _of_a_type_not_used(path, type(key).__name__.partition("Private")[0].upper())
    try:
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        # SSH knows three of the curves there are. Source: RFC 5656 section 10.1.
        raise _of_a_type_not_used(path, "ECDSA", "on this curve ") from error
    key_type, encoded = public.split()[:2]
    return FileIdentity(
        label=path, key_type=key_type.decode(), blob=base64.b64decode(encoded), key=key
    )


def _of_a_type_not_used(path: str, name: str, detail: str = "") -> FleetError:
    return FleetError(
        "auth.key_file",
        f"{path}: {name} keys {detail}are not used in SSH any more",
        hint="make a new one: ssh-keygen -t ed25519",
    )


def _not_understood(path: str, data: bytes, error: Exception) -> FleetError:
    """Return what kind of file this is instead, and the line that makes a key file of it."""
    shown = shlex.quote(path)
    start = data.lstrip()[:64]
    reason: str | None = None
    hint = f"see what ssh-keygen makes of it: ssh-keygen -y -f {shown}"
    if isinstance(error, UnsupportedAlgorithm) and _holds_security_key(data):
        reason = "the private half of this key is in a hardware token, which only the agent can use"
        hint = f"ssh-add {shown}"
    elif start.startswith(b"PuTTY-User-Key-File"):
        reason = "a PuTTY key, not a private key that can be read"
        hint = f"puttygen {shown} -O private-openssh -o {shlex.quote(path + '.openssh')}"
    elif start.startswith(b"---- BEGIN SSH2"):
        reason = "a key in SSH2 format (RFC 4716), not a private key that can be read"
        hint = f"ssh-keygen -i -f {shown}"
    elif start.startswith((b"ssh-", b"ecdsa-sha2-", b"sk-")):
        reason = "this is a public key, not a private key"
        hint = "name the private key: the same without .pub"
    elif start.startswith(b"\x30\x82"):
        reason = "a key in DER format, not a private key that can be read"
        hint = f"openssl pkey -inform DER -in {shown} -out {shlex.quote(path + '.pem')}"
    elif isinstance(error, UnsupportedAlgorithm):
        reason = f"not a private key that can be read: {_first_line(error)}"
        hint = f"convert it: ssh-keygen -p -Z aes256-ctr -f {shown}"
    return FleetError(
        "auth.key_file",
        f"{path}: {reason or f'not a private key that can be read: {_first_line(error)}'}",
        hint=hint,
    )


def _first_line(error: Exception) -> str:
    return beginning((str(error) or type(error).__name__).splitlines()[0], 120)


def _decoded(data: bytes) -> bytes:
    """Return what an armoured file holds, or nothing."""
    body = b"".join(line for line in data.splitlines() if not line.startswith(b"-----"))
    try:
        return base64.b64decode(body)
    except ValueError:
        return b""


def _is_encrypted(data: bytes) -> bool:
    if b"ENCRYPTED" in data:
        return not data.lstrip().startswith(b"---- ")  # SSH2 files are no PEM files
    # openssh-key-v1: magic, then the cipher's name, which is "none" for a plain key.
    decoded = _decoded(data)
    return decoded.startswith(b"openssh-key-v1\0") and decoded[15:23] != ssh_string(b"none")


def _holds_security_key(data: bytes) -> bool:
    # The public half stands in the clear before the private one. Source: OpenSSH PROTOCOL.key.
    head = _decoded(data)[:512]
    return b"sk-ssh-ed25519@openssh.com" in head or b"sk-ecdsa-sha2-nistp256@openssh.com" in head


def _read_private_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            data = file.read(MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise FleetError(
            "auth.key_file",
            f"{path}: no such identity file",
            hint="check IdentityFile, or make one with `ssh-keygen -t ed25519`",
        ) from error
    except OSError as error:
        raise FleetError("auth.key_file", f"{path}: {error.strerror or error}") from error
    # As ssh does: files of others are their business. Source: OpenSSH sshkey_perm_ok.
    if info.st_uid == os.getuid() and stat.S_IMODE(info.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(info.st_mode):04o}"
        raise FleetError(
            "auth.key_file",
            f"{path}: UNPROTECTED PRIVATE KEY FILE: others may read it (mode {mode})",
            hint=f"chmod 600 {shlex.quote(path)}",
        )
    return data


def read_public_blob(path: str) -> bytes | None:
    """
    Return the public key that belongs to a private key file, without needing a passphrase.

    Looks for ``PATH.pub``, at PATH itself if that is a public key, and into the part of a private
    key in OpenSSH format that is never encrypted. Blocks. Source: OpenSSH PROTOCOL.key.
    """
    for candidate in (f"{path}.pub", path):
        try:
            with open(candidate, "rb") as file:
                data = file.read(MAX_FILE_BYTES)
        except OSError:
            continue
        try:
            if data.lstrip().startswith(b"-"):
                return _public_part(_decoded(data))
            return base64.b64decode(data.split(None, 2)[1]) or None
        except (ValueError, IndexError):
            continue
    return None


def _public_part(decoded: bytes) -> bytes | None:
    if not decoded.startswith(b"openssh-key-v1\0"):
        return None
    rest = decoded[15:]
    for _ in range(3):  # cipher, key derivation, its options
        _field, rest = take_string(rest)
    return take_string(rest[4:])[0]  # behind the number of keys, which is 1


def check_rsa_size(label: str, blob: bytes, required_bits: int) -> None:
    """
    Check the length of an RSA key against RequiredRSASize; other keys are fine.

    Args:
        blob: Public key blob.

    Raises:
        FleetError: ``auth.key_file``; it is too short.
    """
    try:
        key_type, rest = take_string(blob)
        if key_type != b"ssh-rsa":
            return
        _exponent, rest = take_string(rest)
        modulus, _ = take_string(rest)
    except ValueError:
        return
    bits = int.from_bytes(modulus, "big").bit_length()
    if bits < required_bits:
        raise FleetError(
            "auth.key_file",
            f"{label}: an RSA key of {bits} bits is too short (RequiredRSASize {required_bits})",
            hint="make a better one: ssh-keygen -t ed25519",
        )


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
