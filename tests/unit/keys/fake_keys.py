"""
Real key pairs for hosts that are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fleetctl.keys.authorized_keys import AuthorizedKey
from fleetctl.model.secret import Secret
from fleetctl.ssh.key_line import read_key


@dataclass(frozen=True)
class FakeKey:
    """A real key pair: what stands in authorized_keys, and the private half."""

    public: AuthorizedKey
    private: Secret

    @property
    def blob(self) -> bytes:
        return self.public.blob

    @property
    def fingerprint(self) -> str:
        return self.public.fingerprint

    @property
    def line(self) -> bytes:
        """The line of a file, with its end."""
        return self.public.render() + b"\n"


def make_key(comment: str = "") -> FakeKey:
    """Make an ed25519 key."""
    key = Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key_type, blob, _ = read_key(line)
    return FakeKey(AuthorizedKey(key_type, blob, comment), Secret(private.decode()))
