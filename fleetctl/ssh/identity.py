"""
Identities: what a key is to a login, and signing with keys that were read from files.

Reading the files is the business of `fleetctl.ssh.key_file`, agents that of `fleetctl.ssh.agent`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from fleetctl.ssh.blocking import in_thread

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class SessionBinding:
    """
    What proves to an agent which host a connection leads to.

    Attributes:
        host_key: The server's public key blob.
        session_id: As in RFC 4253 section 7.2.
        signature: The server's, over the session id, from the first key exchange.

    Source: OpenSSH PROTOCOL.agent section 1.
    """

    host_key: bytes
    session_id: bytes
    signature: bytes


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

    async def sign(
        self, data: bytes, algorithm: str, binding: SessionBinding | None = None
    ) -> bytes:
        """
        Return a signature blob made with this signature algorithm.

        Args:
            binding: The connection to log in on, for agents that want to know.
        """
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

    async def sign(
        self, data: bytes, algorithm: str, binding: SessionBinding | None = None
    ) -> bytes:
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
    """
    Return the algorithms a key of this type signs with, best first; SHA-1 is not among them.

    Source: RFC 8332 section 3.
    """
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def take_string(data: bytes) -> tuple[bytes, bytes]:
    """
    Return the string that `data` begins with, and what follows it.

    Raises:
        ValueError: It is cut short. Source: RFC 4251 section 5.
    """
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise ValueError("cut short")
    return data[4 : 4 + size], data[4 + size :]
