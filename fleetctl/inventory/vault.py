"""
Ansible's vault: whole files and single values, formats 1.1 and 1.2.

Only the text format and its cipher; where passwords come from and what the plain text means is
not known here.

Source: ansible-core, `ansible.parsing.vault`: PBKDF2 with HMAC-SHA-256 and 10 000 rounds gives two
keys and the first counter; AES-256-CTR over PKCS#7, then HMAC-SHA-256 over the cipher text.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import NamedTuple

from fleetctl.model.secret import Secret

#: A vault id, or None for the default one, and its password.
VaultSecret = tuple[str | None, Secret]

_MAGIC = "$ANSIBLE_VAULT"
_CIPHER = "AES256"
_VERSIONS = ("1.1", "1.2")
_ROUNDS = 10_000
_KEY_BYTES = 32
_BLOCK_BYTES = 16
_SALT_BYTES = 32
_LINE_LENGTH = 80
_OPEN_WITH = "give its password: --vault-password-file FILE, or --vault-id {}@FILE"


class VaultError(ValueError):
    """
    A vaulted text cannot be opened.

    Attributes:
        line: Of the vaulted text, from 1.
        hint: What to do about it, or None.
    """

    def __init__(self, message: str, *, line: int = 1, hint: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.hint = hint


class _Envelope(NamedTuple):
    vault_id: str | None
    salt: bytes
    tag: bytes
    cipher_text: bytes


def is_vaulted(data: bytes) -> bool:
    """Tell whether a file begins as a vault does."""
    return data.startswith(_MAGIC.encode())


def decrypt(text: str, secrets: Sequence[VaultSecret]) -> bytes:
    """
    Open a vaulted text with the first password that fits, those of its vault id first.

    Raises:
        VaultError: The text is torn or of another format, or no password fits.
    """
    envelope = _open_envelope(text)
    name = envelope.vault_id or "default"
    hint = _OPEN_WITH.format(name)
    if not secrets:
        raise VaultError("this is vaulted, and there is no vault password", hint=hint)
    for _, secret in sorted(secrets, key=lambda each: (each[0] or "default") != name):
        key, mac_key, counter = _derive(secret, envelope.salt)
        tag = hmac.digest(mac_key, envelope.cipher_text, "sha256")
        if hmac.compare_digest(tag, envelope.tag):
            return _decipher(envelope.cipher_text, key, counter)
    tried = "the vault password does" if len(secrets) == 1 else "none of the vault passwords does"
    nothing = " not" if len(secrets) == 1 else ""
    raise VaultError(f'{tried}{nothing} fit vault id "{name}", or the text was altered', hint=hint)


def encrypt(data: bytes, secret: Secret, vault_id: str | None = None) -> str:
    """
    Return the data as a vaulted text that ends with a newline.

    Args:
        data: Any bytes.
        secret: The password.
        vault_id: Noted in the text, which is then of format 1.2.

    Raises:
        ValueError: The vault id is empty, or contains a semicolon or white space.
    """
    from cryptography.hazmat.primitives.padding import PKCS7

    if vault_id is not None and (";" in vault_id or vault_id.split() != [vault_id]):
        raise ValueError(f'a vault id is one word without ";", not "{vault_id}"')
    salt = os.urandom(_SALT_BYTES)
    key, mac_key, counter = _derive(secret, salt)
    padder = PKCS7(_BLOCK_BYTES * 8).padder()
    cipher_text = _apply_cipher(padder.update(data) + padder.finalize(), key, counter)
    tag = hmac.digest(mac_key, cipher_text, "sha256")
    inner = b"\n".join(binascii.hexlify(part) for part in (salt, tag, cipher_text))
    digits = binascii.hexlify(inner).decode()
    header = [_MAGIC, "1.1", _CIPHER]
    if vault_id is not None and vault_id != "default":
        header = [_MAGIC, "1.2", _CIPHER, vault_id]
    lines = [digits[at : at + _LINE_LENGTH] for at in range(0, len(digits), _LINE_LENGTH)]
    return "\n".join([";".join(header), *lines, ""])


def _open_envelope(text: str) -> _Envelope:
    lines = [line.strip() for line in text.strip().split("\n")]
    magic, *header = lines[0].split(";")
    if magic != _MAGIC or len(header) < 2:
        raise VaultError(f"a vaulted text begins with {_MAGIC};1.1;{_CIPHER}")
    version, cipher, *vault_id = (part.strip() for part in header)
    if version not in _VERSIONS or cipher != _CIPHER:
        raise VaultError(
            f"vaults of format {version} {cipher} are not read",
            hint="write it anew: ansible-vault rekey FILE",
        )
    for number, line in enumerate(lines[1:], 2):
        if line.strip("0123456789abcdefABCDEF"):
            raise VaultError("this is not a line of hexadecimal digits", line=number)
    torn = VaultError("the vaulted text is torn: its end is missing", line=len(lines))
    try:
        salt, tag, cipher_text = binascii.unhexlify("".join(lines[1:])).split(b"\n", 2)
        parts = [binascii.unhexlify(part) for part in (salt, tag, cipher_text)]
    except ValueError:
        raise torn from None
    if len(parts[1]) != hashlib.sha256().digest_size or not parts[2]:
        raise torn
    return _Envelope(vault_id[0] if vault_id else None, *parts)


def _derive(secret: Secret, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the key of the cipher, the key of the tag and the first counter."""
    length = 2 * _KEY_BYTES + _BLOCK_BYTES
    password = secret.reveal().encode()
    derived = hashlib.pbkdf2_hmac("sha256", password, salt, _ROUNDS, length)
    return derived[:_KEY_BYTES], derived[_KEY_BYTES : 2 * _KEY_BYTES], derived[2 * _KEY_BYTES :]


def _apply_cipher(data: bytes, key: bytes, counter: bytes) -> bytes:
    """Encrypt or decrypt: in counter mode both are the same."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    cipher = Cipher(AES(key), CTR(counter)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _decipher(cipher_text: bytes, key: bytes, counter: bytes) -> bytes:
    from cryptography.hazmat.primitives.padding import PKCS7

    unpadder = PKCS7(_BLOCK_BYTES * 8).unpadder()
    try:
        return unpadder.update(_apply_cipher(cipher_text, key, counter)) + unpadder.finalize()
    except ValueError:
        raise VaultError("the vaulted text was not written by ansible-vault: bad padding") from None
