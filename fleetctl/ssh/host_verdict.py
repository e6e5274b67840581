"""
The verdict on a key that a host shows: what known_hosts, certificates and revocations say of it.

Decides nothing about what is done with an unknown key, and asks nobody.

Source: OpenSSH sshconnect.c, check_host_key and verify_host_key.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fleetctl.model.excerpt import beginning
from fleetctl.ssh.host_certificate import (
    AUTHORITY_SIGNATURES,
    HostCertificate,
    is_certificate,
    parse_certificate,
)
from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.known_hosts import KnownHosts, KnownKey, load_known_hosts
from fleetctl.ssh.public_key import CERTIFICATE_SUFFIX, MalformedKey, check_public_key, key_type_of

if TYPE_CHECKING:
    from fleetctl.ssh.revocation import RevokedHostKeys

Verdict = Literal["trusted", "unknown", "changed", "revoked"]


@dataclass(frozen=True, slots=True)
class ShownKey:
    """
    What a host showed in the key exchange, which it has proved to hold.

    Attributes:
        key_type: Of the plain key.
        blob: The plain key, out of the certificate if there is one.
    """

    key_type: str
    blob: bytes
    certificate: HostCertificate | None = None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


@dataclass(frozen=True, slots=True)
class HostKeyFiles:
    """What the files of a host's settings know about keys."""

    known: KnownHosts = field(default_factory=KnownHosts)
    revoked: RevokedHostKeys | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What the files say about a key.

    Attributes:
        known: The lines the verdict comes from, for messages: the one that trusts or revokes; the
            keys that are known instead, those of the same type first.
        reason: Why, where no line says it.
        notes: Why a certificate did not count.
    """

    verdict: Verdict
    known: tuple[KnownKey, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked of the files.

    Attributes:
        names: What the host is looked up under; the first decides, others can only confirm.
        principal: The name a certificate must be for.
        authority_signatures: How a certificate may be signed.
    """

    names: Sequence[str]
    principal: str
    authority_signatures: Sequence[str] = AUTHORITY_SIGNATURES


def load_host_key_files(known: Sequence[str], revoked: Sequence[str]) -> HostKeyFiles:
    """Read known_hosts files, the user's first, and revocation lists. Blocks; never raises."""
    if not revoked:
        return HostKeyFiles(load_known_hosts(known))
    from fleetctl.ssh.revocation import load_revoked_host_keys

    return HostKeyFiles(load_known_hosts(known), load_revoked_host_keys(revoked))


def read_shown_key(blob: bytes, algorithm: str) -> ShownKey:
    """
    Take apart what a host showed.

    Args:
        algorithm: The host key algorithm that was agreed on.

    Raises:
        MalformedKey: It is neither a key nor a certificate, or not of that algorithm.
    """
    key_type = key_type_of(blob)
    if key_type != blob_type_of(algorithm):
        raise MalformedKey(f"a key of type {beginning(key_type, 64)} is no {algorithm}")
    if is_certificate(key_type):
        certificate = parse_certificate(blob)
        plain = certificate.plain_key
        return ShownKey(key_type_of(plain), plain, certificate)
    return ShownKey(check_public_key(blob), blob)


def blob_type_of(algorithm: str) -> str:
    """Return the type that keys of a host key algorithm have; RSA has several algorithms."""
    if algorithm.startswith("rsa-sha2-"):
        return "ssh-rsa" + (CERTIFICATE_SUFFIX if is_certificate(algorithm) else "")
    return algorithm


def judge(files: HostKeyFiles, shown: ShownKey, question: Question, now_s: float) -> Judgement:
    """
    Say what the files know about the key, as ssh would.

    A key that is revoked for any of the names is refused, with or without the certificate around
    it; ssh looks at the plain name only if it does not know ``[host]:port``. A certificate that
    counts trusts its host; one that does not leaves its key to be judged like any other.
    """
    if files.revoked:
        reason = files.revoked.why_revoked(shown.blob, shown.certificate)
        if reason is not None:
            return Judgement("revoked", reason=reason)
    entries = [files.known.entries(name) for name in question.names]
    revoked = _revoked_by(entries, shown)
    if revoked is not None:
        return Judgement("revoked", (revoked,))
    notes: tuple[str, ...] = ()
    if shown.certificate is not None:
        by_certificate = _judge_certificate(shown.certificate, entries, question, now_s)
        if by_certificate.verdict == "trusted":
            return by_certificate
        notes = by_certificate.notes
    return _judge_plain(entries, shown, notes)


def _revoked_by(entries: Sequence[Sequence[KnownKey]], shown: ShownKey) -> KnownKey | None:
    authority = shown.certificate.authority if shown.certificate is not None else None
    for keys in entries:
        for key in keys:
            if key.marker == "@revoked" and key.blob in (shown.blob, authority):
                return key
    return None


def _judge_certificate(
    certificate: HostCertificate,
    entries: Sequence[Sequence[KnownKey]],
    question: Question,
    now_s: float,
) -> Judgement:
    for keys in entries:
        authority = next(
            (k for k in keys if k.marker == "@cert-authority" and k.blob == certificate.authority),
            None,
        )
        if authority is None:
            continue
        why_not = certificate.why_not(question.principal, now_s, question.authority_signatures)
        if why_not is None:
            return Judgement("trusted", (authority,))
        return Judgement("unknown", notes=(f"its certificate does not count: {why_not}",))
    if any(key.marker == "@cert-authority" for keys in entries for key in keys):
        shown = certificate.authority_fingerprint
        note = f"its certificate does not count: no line trusts the authority {shown} for it"
        return Judgement("unknown", notes=(note,))
    return Judgement("unknown")


def _judge_plain(
    entries: Sequence[Sequence[KnownKey]], shown: ShownKey, notes: tuple[str, ...]
) -> Judgement:
    known: list[KnownKey] = []
    for keys in entries:
        known = []
        for key in keys:
            if not key.marker:
                if key.blob == shown.blob:
                    return Judgement("trusted", (key,), notes=notes)
                known.append(key)
        if known:
            break
    by_type = tuple(sorted(known, key=lambda key: key.key_type != shown.key_type))
    is_first = bool(known) and any(key is known[0] for key in entries[0])
    return Judgement("changed" if is_first else "unknown", by_type, notes=notes)


def order_algorithms(
    offered: Sequence[str], files: HostKeyFiles, names: Sequence[str], *, as_set: bool
) -> tuple[str, ...]:
    """
    Put the host key algorithms first that the files can say something about.

    Certificates are offered where an authority is known for the host, or where one may be
    revoked; elsewhere they could not change the verdict.

    Args:
        offered: Plain algorithms and those of certificates.
        as_set: The settings list them, so that the order is somebody's choice.
    """
    if as_set:
        return tuple(offered)
    # The first key of each type; one that is revoked is no reason to ask for its type.
    known: dict[str, bytes] = {}
    revoked: set[bytes] = set()
    has_authority, has_revoked = False, bool(files.revoked)
    for position, name in enumerate(names):
        for key in files.known.entries(name):
            if key.marker == "@cert-authority":
                has_authority = True
            elif key.marker:
                has_revoked = True
                if position == 0:
                    revoked.add(key.blob)
            elif position == 0:
                known.setdefault(key.key_type, key.blob)
    return _order(
        tuple(offered),
        frozenset(kind for kind, blob in known.items() if blob not in revoked),
        has_authority=has_authority,
        has_revoked=has_revoked,
    )


@functools.lru_cache(maxsize=256)
def _order(
    offered: tuple[str, ...],
    types: frozenset[str],
    *,
    has_authority: bool,
    has_revoked: bool,
) -> tuple[str, ...]:
    def rank(algorithm: str) -> int:
        is_known = blob_type_of(algorithm.removesuffix(CERTIFICATE_SUFFIX)) in types
        if is_certificate(algorithm):
            return 0 if has_authority or is_known else 3
        return 1 if is_known else 2

    wants_certificates = has_authority or has_revoked
    wanted = [name for name in offered if wants_certificates or not is_certificate(name)]
    return tuple(sorted(wanted, key=rank))
