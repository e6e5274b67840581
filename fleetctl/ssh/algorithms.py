"""
Which algorithms are offered, in which order, and how a host's settings change that.

Order: what costs least CPU among the strong ones comes first (AES-GCM needs no separate MAC). Weak
algorithms are offered only where a host's settings name them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fleetctl.model.errors import FleetError
from fleetctl.model.settings import HostSettings

KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
WEAK_CIPHERS = ("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc")
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
WEAK_MACS = ("hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96")
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
#: The same with a certificate around them. Source: OpenSSH PROTOCOL.certkeys.
HOST_CERTIFICATES = tuple(f"{name}-cert-v01@openssh.com" for name in HOST_KEYS)
SIGNATURES = HOST_KEYS
#: Made by keys in hardware, through the agent.
FIDO_SIGNATURES = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What one connection offers, each in order of preference."""

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]
    signatures: tuple[str, ...]
    compression: tuple[str, ...]


def resolve_list(
    setting: Sequence[str], default: Sequence[str], weak: Sequence[str] = ()
) -> tuple[str, ...]:
    """
    Apply an ssh_config algorithm list to what is supported.

    ``+x`` appends, ``-x`` removes, ``^x`` moves to the front; patterns with ``*`` and ``?`` work
    for ``-``. Names that are not supported are left out; a plain list is taken as it stands.

    Source: ssh_config(5), Ciphers.
    """
    if not setting:
        return tuple(default)
    operator, names = setting[0][:1], list(setting)
    if operator not in "+-^":
        return tuple(name for name in names if name in (*default, *weak))
    names[0] = names[0][1:]
    if operator == "-":
        return tuple(n for n in default if not any(fnmatchcase(n, pattern) for pattern in names))
    known = [name for name in names if name in (*default, *weak)]
    if operator == "+":
        return tuple(dict.fromkeys((*default, *known)))
    return tuple(dict.fromkeys((*known, *default)))


@functools.lru_cache(maxsize=256)
def _resolve(
    kex: tuple[str, ...],
    ciphers: tuple[str, ...],
    macs: tuple[str, ...],
    host_keys: tuple[str, ...],
    signatures: tuple[str, ...],
    compression: tuple[str, ...],
) -> Algorithms:
    return Algorithms(
        kex=resolve_list(kex, KEX),
        ciphers=resolve_list(ciphers, CIPHERS, WEAK_CIPHERS),
        macs=resolve_list(macs, MACS, WEAK_MACS),
        host_keys=resolve_list(host_keys, (*HOST_CERTIFICATES, *HOST_KEYS)),
        signatures=resolve_list(signatures, SIGNATURES),
        compression=compression,
    )


def _for_login(chosen: Algorithms, settings: HostSettings) -> Sequence[str]:
    """Return what a login may use: certificates and FIDO keys sign by other names."""
    others = (*HOST_CERTIFICATES, *FIDO_SIGNATURES)
    return chosen.signatures or resolve_list(settings.pubkey_accepted_algorithms, others)


def algorithms_for(settings: HostSettings) -> Algorithms:
    """
    Return what a host's settings offer.

    Raises:
        FleetError: ``kex.no_common`` if a list names nothing that is supported.
    """
    accepted = settings.pubkey_accepted_algorithms
    chosen = _resolve(
        settings.kex_algorithms,
        settings.ciphers,
        settings.macs,
        settings.host_key_algorithms,
        accepted,
        ("zlib@openssh.com", "none") if settings.compression else ("none",),
    )
    for option, value, setting in (
        ("KexAlgorithms", chosen.kex, settings.kex_algorithms),
        ("Ciphers", chosen.ciphers, settings.ciphers),
        ("MACs", chosen.macs, settings.macs),
        ("HostKeyAlgorithms", chosen.host_keys, settings.host_key_algorithms),
        ("PubkeyAcceptedAlgorithms", _for_login(chosen, settings), accepted),
    ):
        if not value:
            raise FleetError(
                "kex.no_common",
                f"{option} {','.join(setting)} names no algorithm that is supported",
                hint=f"see `{option}` in {settings.origin.get(option, 'the settings')}",
            )
    return chosen
