"""
The publickey method: which algorithm a key is offered with, and what is signed.

Source: RFC 4252 section 7, RFC 8308 section 3.1, RFC 8332, OpenSSH PROTOCOL.certkeys.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from paramiko.common import cMSG_USERAUTH_REQUEST

from fleetctl.model.settings import HostSettings
from fleetctl.ssh.algorithms import FIDO_SIGNATURES, SIGNATURES, resolve_list
from fleetctl.ssh.certificate import CERTIFIED_TYPES
from fleetctl.ssh.identity import signature_algorithms, ssh_string

PUBLICKEY = "publickey"
#: The same with the host's key in it, so that an agent can tell whom a signature is for, however
#: many forwardings it is away. Source: OpenSSH PROTOCOL section 3.1.
HOSTBOUND = "publickey-hostbound-v00@openssh.com"
HOSTBOUND_EXTENSION = "publickey-hostbound@openssh.com"

_CERTIFIED_RSA = "ssh-rsa-cert-v01@openssh.com"

#: What PubkeyAcceptedAlgorithms may name. Keys in hardware sign through an agent.
ALGORITHMS = (
    *(name for name in CERTIFIED_TYPES if name != _CERTIFIED_RSA),
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    *SIGNATURES,
    *FIDO_SIGNATURES,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """
    How a key is offered.

    Attributes:
        algorithm: Name in the request.
        signature: What the key signs with; differs for certificates.
    """

    algorithm: str
    signature: str


def offers_of(key_type: str) -> tuple[Offer, ...]:
    """Return the ways a key or certificate of this type can be offered, best first."""
    plain = CERTIFIED_TYPES.get(key_type)
    if plain is None:
        return tuple(Offer(name, name) for name in signature_algorithms(key_type))
    if key_type != _CERTIFIED_RSA:
        return (Offer(key_type, plain),)
    return tuple(
        Offer(f"{name}-cert-v01@openssh.com", name) for name in signature_algorithms(plain)
    )


def allowed_algorithms(settings: HostSettings) -> tuple[str, ...]:
    """Return what PubkeyAcceptedAlgorithms leaves of `ALGORITHMS`."""
    return resolve_list(settings.pubkey_accepted_algorithms, ALGORITHMS)


def choose_offer(
    key_type: str, allowed: Collection[str], server_sig_algs: bytes | None
) -> Offer | None:
    """
    Return how to offer a key to a server, or None if there is no algorithm in common.

    Args:
        server_sig_algs: The extension of that name; a server that sends none takes the best one.
    """
    names = server_sig_algs.decode("ascii", "replace").split(",") if server_sig_algs else None
    for offer in offers_of(key_type):
        is_for_rsa = offer.signature.startswith("rsa-")
        if offer.algorithm in allowed and (
            names is None or not is_for_rsa or offer.signature in names
        ):
            return offer
    return None


def signed_data(session_id: bytes, user: str, method: str, fields: Sequence[bytes | str]) -> bytes:
    """
    Return what the key signs: the session and the request. Source: RFC 4252 section 7.

    Args:
        fields: What the request has behind "there is a signature".
    """
    names = (user, "ssh-connection", method)
    return b"".join(
        (
            ssh_string(session_id),
            cMSG_USERAUTH_REQUEST,
            *(ssh_string(name.encode()) for name in names),
            b"\x01",
            *(ssh_string(each.encode() if isinstance(each, str) else each) for each in fields),
        )
    )
