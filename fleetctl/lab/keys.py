"""
Key pairs made in this process.

Starting ssh-keygen once per host would cost more than starting the hosts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """
    One Ed25519 key.

    Attributes:
        private: The OpenSSH private key file, without passphrase.
        public: ``ssh-ed25519 AAAA…``, without comment.
    """

    private: bytes = field(repr=False)
    public: str


def generate_key() -> KeyPair:
    """Return a new random key."""
    key = Ed25519PrivateKey.generate()
    return KeyPair(
        private=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        public=key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )
