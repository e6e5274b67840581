"""
RevokedHostKeys: which keys and certificates no host may show, as lists of keys or as KRLs.

A file that cannot be read or understood revokes everything: nobody can tell what it says.

Source: ssh_config(5), RevokedHostKeys; ssh-keygen(1), KEY REVOCATION LISTS; OpenSSH PROTOCOL.krl.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from fleetctl.ssh.host_certificate import HostCertificate, plain_key_of
from fleetctl.ssh.key_line import read_key
from fleetctl.ssh.public_key import BlobReader, MalformedKey

#: How a file of the binary kind begins.
KRL_MAGIC = b"SSHKRL\n\0"
_KRL_VERSION = 1
MAX_FILE_BYTES = 256 * 1024 * 1024


class _Section(IntEnum):
    CERTIFICATES = 1
    KEYS = 2
    SHA1 = 3
    SHA256 = 5
    EXTENSION = 255


class _CertificateSection(IntEnum):
    SERIALS = 0x20
    SERIAL_RANGE = 0x21
    SERIAL_BITMAP = 0x22
    KEY_IDS = 0x23
    EXTENSION = 0x39


@dataclass(slots=True)
class _RevokedCertificates:
    """What one authority took back; ranges are inclusive."""

    serials: set[int] = field(default_factory=set)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    key_ids: set[str] = field(default_factory=set)

    def has(self, certificate: HostCertificate) -> bool:
        if certificate.key_id in self.key_ids:
            return True
        # 0 is what an authority writes that does not number its certificates.
        serial = certificate.serial
        return serial != 0 and (
            serial in self.serials or any(low <= serial <= high for low, high in self.ranges)
        )


@dataclass(slots=True)
class RevocationList:
    """
    One file.

    Attributes:
        keys: Plain public key blobs.
        sha1: Raw digests of such blobs.
        sha256: The same.
        certificates: Blob of an authority, empty for any -> what is taken back of it.
    """

    file: str
    keys: set[bytes] = field(default_factory=set)
    sha1: set[bytes] = field(default_factory=set)
    sha256: set[bytes] = field(default_factory=set)
    certificates: dict[bytes, _RevokedCertificates] = field(default_factory=dict)

    def has_key(self, plain_key: bytes) -> bool:
        return (
            plain_key in self.keys
            or hashlib.sha256(plain_key).digest() in self.sha256
            or (bool(self.sha1) and hashlib.sha1(plain_key).digest() in self.sha1)  # noqa: S324
        )

    def has_certificate(self, certificate: HostCertificate) -> bool:
        """Is the certificate itself taken back, whatever is said of its key and its authority?"""
        of_authority = (self.certificates.get(blob) for blob in (certificate.authority, b""))
        return any(revoked is not None and revoked.has(certificate) for revoked in of_authority)


@dataclass(frozen=True, slots=True)
class RevokedHostKeys:
    """
    All files of one host's settings.

    Attributes:
        broken: ``file: why`` of each that cannot be used; then no key can be trusted.
    """

    lists: tuple[RevocationList, ...] = ()
    broken: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lists or self.broken)

    def why_revoked(self, plain_key: bytes, certificate: HostCertificate | None) -> str | None:
        """Return what forbids this key, with or without a certificate around it, or None."""
        if self.broken:
            return f"{self.broken[0]}; it may revoke this key"
        for revoked in self.lists:
            if revoked.has_key(plain_key):
                return f"{revoked.file} revokes this key"
            if certificate is not None and revoked.has_certificate(certificate):
                return f"{revoked.file} revokes its certificate"
            if certificate is not None and revoked.has_key(certificate.authority):
                return f"{revoked.file} revokes the authority {certificate.authority_fingerprint}"
        return None


def load_revoked_host_keys(files: Iterable[str]) -> RevokedHostKeys:
    """Read these files. Blocks; never raises for what is in them or for one that is missing."""
    lists, broken = [], []
    for file in files:
        try:
            with open(file, "rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise MalformedKey(f"more than {MAX_FILE_BYTES // 1024**2} MiB")
            is_krl = data.startswith(KRL_MAGIC)
            lists.append(_parse_krl(file, data) if is_krl else _parse_lines(file, data))
        except OSError as error:
            broken.append(f"{file} cannot be read: {error.strerror or error}")
        except MalformedKey as error:
            broken.append(f"{file} cannot be understood: {error}")
    return RevokedHostKeys(tuple(lists), tuple(broken))


def _parse_lines(file: str, data: bytes) -> RevocationList:
    revoked = RevocationList(file)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = raw.partition(b"\0")[0].lstrip(b" \t")
        if not line or line.startswith(b"#"):
            continue
        try:
            _, blob, _ = read_key(line)
            revoked.keys.add(plain_key_of(blob))
        except MalformedKey as error:
            raise MalformedKey(f"line {number}: {error}") from None
    return revoked


def _parse_krl(file: str, data: bytes) -> RevocationList:
    revoked, reader = RevocationList(file), BlobReader(data)
    reader.take(len(KRL_MAGIC))
    if (version := reader.number()) != _KRL_VERSION:
        raise MalformedKey(f"a KRL of format {version}")
    reader.take(3 * 8)  # its number, its date, no flags
    reader.string()
    reader.string()  # a comment
    while not reader.is_at_end:
        section, content = reader.number(1), BlobReader(reader.string())
        match section:
            case _Section.CERTIFICATES:
                _take_certificates(content, revoked)
            case _Section.KEYS:
                revoked.keys.update(plain_key_of(blob) for blob in content.strings())
            case _Section.SHA1:
                revoked.sha1.update(content.strings())
            case _Section.SHA256:
                revoked.sha256.update(content.strings())
            case _Section.EXTENSION:
                _take_extension(content)
            case _:
                raise MalformedKey(f"a section of type {section}")
    return revoked


def _take_certificates(reader: BlobReader, revoked: RevocationList) -> None:
    authority = reader.string()
    reader.string()
    found = revoked.certificates.setdefault(authority, _RevokedCertificates())
    while not reader.is_at_end:
        section, content = reader.number(1), BlobReader(reader.string())
        match section:
            case _CertificateSection.SERIALS:
                while not content.is_at_end:
                    found.serials.add(content.number(8))
            case _CertificateSection.SERIAL_RANGE:
                found.ranges.append((content.number(8), content.number(8)))
            case _CertificateSection.SERIAL_BITMAP:
                offset, bitmap = content.number(8), content.mpint()
                found.serials.update(offset + bit for bit in _bits(bitmap))
            case _CertificateSection.KEY_IDS:
                found.key_ids.update(name.decode("utf-8", "replace") for name in content.strings())
            case _CertificateSection.EXTENSION:
                _take_extension(content)
            case _:
                raise MalformedKey(f"a section of certificates of type {section:#x}")


def _bits(bitmap: int) -> Sequence[int]:
    return [bit for bit in range(bitmap.bit_length()) if bitmap >> bit & 1]


def _take_extension(reader: BlobReader) -> None:
    name = reader.text()
    if reader.number(1):
        raise MalformedKey(f"the critical extension {name[:64]} is not known")
    reader.string()
