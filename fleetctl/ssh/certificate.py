"""
User certificates: reading them, telling when they are of no use, and logging in with one.

The server judges a certificate; here only what would waste an attempt is found before.
Source: OpenSSH PROTOCOL.certkeys.
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.ssh.identity import Identity, SessionBinding, ssh_string, take_string

#: Certificate type -> type of the key in it.
CERTIFIED_TYPES = {
    "ssh-ed25519-cert-v01@openssh.com": "ssh-ed25519",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": "ecdsa-sha2-nistp521",
    "ssh-rsa-cert-v01@openssh.com": "ssh-rsa",
    "sk-ssh-ed25519-cert-v01@openssh.com": "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
}

#: Type of the key -> how many strings make its public half.
_KEY_FIELDS = {
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "ssh-rsa": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}

_FOR_USERS = 1
_FOR_EVER = 2**64 - 1
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class UserCertificate:
    """
    A certificate for logging in.

    Attributes:
        label: The file it is from, or the agent's comment.
        key_type: Such as ``ssh-ed25519-cert-v01@openssh.com``.
        blob: The certificate as it is sent.
        plain_blob: Public key blob of the key it certifies.
        key_id: Whom the authority meant; shown in the server's log.
        principals: Names it logs in as; empty if any.
        valid_after: Seconds since 1970; 0 for always.
        valid_before: Seconds since 1970; None for ever.
    """

    label: str
    key_type: str
    blob: bytes
    plain_blob: bytes
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int | None

    def problem_at(self, now: float) -> FleetError | None:
        """
        Return why it is of no use at that time, or None.

        Args:
            now: Seconds since 1970.
        """
        if self.valid_before is not None and now >= self.valid_before:
            reason = f"the certificate expired at {_render_time(self.valid_before)}"
            hint = "have it signed again"
        elif now < self.valid_after:
            reason = f"the certificate is not valid before {_render_time(self.valid_after)}"
            hint = "is the clock of this machine right?"
        else:
            return None
        return FleetError("auth.key_file", f"{self.label}: {reason}", hint=hint)


@dataclass(frozen=True, slots=True)
class CertifiedIdentity:
    """A certificate together with the key it is for, which a file or an agent holds."""

    certificate: UserCertificate
    signer: Identity

    @property
    def label(self) -> str:
        if self.certificate.label == self.signer.label:
            return self.signer.label
        return f"{self.signer.label}, certificate {self.certificate.label}"

    @property
    def key_type(self) -> str:
        return self.certificate.key_type

    @property
    def blob(self) -> bytes:
        return self.certificate.blob

    @property
    def asks_somebody(self) -> bool:
        return self.signer.asks_somebody

    async def sign(
        self, data: bytes, algorithm: str, binding: SessionBinding | None = None
    ) -> bytes:
        return await self.signer.sign(data, algorithm, binding)


def parse_certificate(blob: bytes, label: str) -> UserCertificate:
    """
    Return what a certificate says. Its signature is the server's to check.

    Raises:
        ValueError: It is none, is damaged, or is a host's; the text says which.
    """
    name, rest = take_string(blob)
    key_type = name.decode("ascii", "replace")
    plain_type = CERTIFIED_TYPES.get(key_type)
    if plain_type is None:
        raise ValueError(f"{beginning(key_type, 64)} is not a type of certificate that is known")
    _nonce, rest = take_string(rest)
    before = rest
    for _ in range(_KEY_FIELDS[plain_type]):
        _field, rest = take_string(rest)
    plain_blob = ssh_string(plain_type.encode()) + before[: len(before) - len(rest)]
    kind, rest = int.from_bytes(rest[8:12], "big"), rest[12:]  # behind the serial number
    key_id, rest = take_string(rest)
    packed, rest = take_string(rest)
    if len(rest) < 16:
        raise ValueError("cut short")
    if kind != _FOR_USERS:
        raise ValueError("this certificate is for a host, not for logging in")
    valid_before = int.from_bytes(rest[8:16], "big")
    return UserCertificate(
        label=label,
        key_type=key_type,
        blob=blob,
        plain_blob=plain_blob,
        key_id=key_id.decode("utf-8", "replace"),
        principals=tuple(_strings(packed)),
        valid_after=int.from_bytes(rest[:8], "big"),
        valid_before=None if valid_before == _FOR_EVER else valid_before,
    )


def plain_key(blob: bytes) -> bytes:
    """Return the key in a certificate, or the blob itself if it is none that can be read."""
    try:
        return parse_certificate(blob, "").plain_blob
    except ValueError:
        return blob


def read_certificate_file(path: str) -> UserCertificate:
    """
    Read a certificate as ``ssh-keygen -s`` writes it. Blocks.

    Raises:
        FleetError: ``auth.key_file`` with the reason; its cause is a FileNotFoundError if there is
            no such file.
    """
    try:
        with Path(path).open("rb") as file:
            fields = file.read(MAX_FILE_BYTES).split(None, 2)
    except OSError as error:
        raise FleetError(
            "auth.key_file",
            f"{path}: {error.strerror or error}",
            hint="check CertificateFile",
        ) from error
    try:
        if len(fields) < 2:
            raise ValueError("cut short")
        return parse_certificate(base64.b64decode(fields[1], validate=True), path)
    except ValueError as error:
        raise FleetError(
            "auth.key_file",
            f"{path}: not a certificate that can be used: {error}",
            hint=f"see what it is: ssh-keygen -L -f {shlex.quote(path)}",
        ) from error


def _strings(packed: bytes) -> list[str]:
    found = []
    while packed:
        name, packed = take_string(packed)
        found.append(name.decode("utf-8", "replace"))
    return found


def _render_time(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"
