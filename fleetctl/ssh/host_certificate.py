"""
Host certificates: reading one, and whether it counts for a name now.

Which authority is trusted for which host is `fleetctl.ssh.host_verdict`'s business.

Source: OpenSSH PROTOCOL.certkeys; sshkey.c, cert_parse and sshkey_cert_check_host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetctl.model.excerpt import beginning
from fleetctl.ssh.identity import fingerprint, ssh_string
from fleetctl.ssh.public_key import (
    CERTIFICATE_SUFFIX,
    BlobReader,
    MalformedKey,
    check_public_key,
    take_key_fields,
    verify_signature,
)

_USER, _HOST = 1, 2
#: Source: OpenSSH, SSHKEY_CERT_MAX_PRINCIPALS.
MAX_PRINCIPALS = 256
#: "For ever" in ``valid_before``.
FOREVER = 2**64 - 1

#: ``ssh-rsa`` is the name of a signature, too.
SHA1_SIGNATURE = "ssh-rsa"

#: How authorities may sign. Source: ssh_config(5), CASignatureAlgorithms.
AUTHORITY_SIGNATURES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """
    A certificate whose signature is right; who may sign, and for whom, has not been looked at.

    Attributes:
        plain_key: The certified key, as a plain public key blob.
        is_for_host: False for a user's certificate.
        principals: Names it is for; empty for any.
        valid_after: Seconds since 1970, inclusive.
        valid_before: Seconds since 1970, exclusive.
        critical_options: Their names; none is known for hosts.
        authority: Public key blob of whoever signed.
        signature_algorithm: How it was signed.
    """

    plain_key: bytes
    serial: int
    is_for_host: bool
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: tuple[str, ...]
    authority: bytes
    signature_algorithm: str

    def why_not(self, name: str, now_s: float, authority_signatures: Sequence[str]) -> str | None:
        """
        Return why the certificate does not count for a host of this name, or None if it does.

        Args:
            now_s: Seconds since 1970.
            authority_signatures: What CASignatureAlgorithms allows.
        """
        if not self.is_for_host:
            return "it is a user's certificate, not a host's"
        if now_s < self.valid_after:
            return f"it is not valid before {_render_time(self.valid_after)}"
        if now_s >= self.valid_before:
            return f"it expired on {_render_time(self.valid_before)}"
        if self.principals and name not in self.principals:
            return f"{name} is not among its principals"
        if self.critical_options:
            return f"it has the critical option {self.critical_options[0]}, which is not known"
        if self.signature_algorithm not in authority_signatures:
            return f"it was signed with {self.signature_algorithm}"
        return None

    @property
    def authority_fingerprint(self) -> str:
        return fingerprint(self.authority)


def is_certificate(key_type: str) -> bool:
    """Is this the type of a certificate, or an algorithm with one?"""
    return key_type.endswith(CERTIFICATE_SUFFIX)


def parse_certificate(blob: bytes) -> HostCertificate:
    """
    Read a certificate and check its signature.

    Raises:
        MalformedKey: It is not well-formed, or the authority did not sign it.
    """
    reader = BlobReader(blob)
    key_type = reader.text()
    if not is_certificate(key_type):
        raise MalformedKey(f"{beginning(key_type, 64)} is no type of certificates")
    plain_type = _plain_type(key_type)
    reader.string()  # the nonce
    fields_begin = reader.position
    take_key_fields(reader, plain_type)
    fields = blob[fields_begin : reader.position]
    serial, kind, key_id = reader.number(8), reader.number(), reader.string()
    if kind not in (_USER, _HOST):
        raise MalformedKey("it is for neither a user nor a host")
    principals = list(BlobReader(reader.string()).strings())
    if len(principals) > MAX_PRINCIPALS:
        raise MalformedKey("it has too many principals")
    valid_after, valid_before = reader.number(8), reader.number(8)
    critical_options = _option_names(reader.string())
    _option_names(reader.string())  # extensions mean nothing for hosts
    reader.string()
    authority = reader.string()
    check_public_key(authority)
    signed = blob[: reader.position]
    signature = reader.string()
    reader.expect_end()
    return HostCertificate(
        plain_key=ssh_string(plain_type.encode()) + fields,
        serial=serial,
        is_for_host=kind == _HOST,
        key_id=key_id.decode("utf-8", "replace"),
        principals=tuple(name.decode("utf-8", "surrogateescape") for name in principals),
        valid_after=valid_after,
        valid_before=valid_before,
        critical_options=critical_options,
        authority=authority,
        signature_algorithm=_signature_algorithm(authority, signature, signed),
    )


def _signature_algorithm(authority: bytes, signature: bytes, signed: bytes) -> str:
    """Check the signature. One with SHA-1 is worth nothing, whether it is right or not."""
    if BlobReader(signature).text() == SHA1_SIGNATURE:
        return SHA1_SIGNATURE
    return verify_signature(authority, signature, signed)


def plain_key_of(blob: bytes) -> bytes:
    """
    Return a plain key as it is, and the certified key of a certificate.

    Raises:
        MalformedKey: It is neither.
    """
    return parse_certificate(blob).plain_key if _has_certificate_type(blob) else blob


def _has_certificate_type(blob: bytes) -> bool:
    return is_certificate(BlobReader(blob).text())


def _plain_type(key_type: str) -> str:
    plain = key_type.removesuffix(CERTIFICATE_SUFFIX)
    # ``sk-ssh-ed25519-cert-v01@openssh.com`` has the suffix of the plain type in it.
    return f"{plain}@openssh.com" if plain.startswith("sk-") else plain


def _option_names(data: bytes) -> tuple[str, ...]:
    reader, names = BlobReader(data), []
    while not reader.is_at_end:
        names.append(reader.text())
        reader.string()
    return tuple(names)


def _render_time(seconds: int) -> str:
    if seconds >= FOREVER:
        return "the end of time"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"second {seconds} since 1970"
