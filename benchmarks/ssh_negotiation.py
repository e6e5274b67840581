"""
Key exchange of the cheap server: what it offers, what is agreed on, the exchange itself.

Only curve25519 and one ed25519 host key: every peer speaks them, and one choice keeps the
cryptography equal for all.

Source: RFC 4253 sections 7 and 8, RFC 8731 (curve25519), PROTOCOL section 1.10 (strict kex).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256

from nacl import bindings
from nacl.exceptions import CryptoError
from ssh_packets import KEY_BYTES, MACS, MalformedPacketError, Reader, mpint, string

KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org")
HOST_KEY = "ssh-ed25519"
STRICT_SERVER = "kex-strict-s-v00@openssh.com"
STRICT_CLIENT = "kex-strict-c-v00@openssh.com"

MSG_KEXINIT = 20
MSG_KEX_ECDH_REPLY = 31


@dataclass(frozen=True)
class HostKey:
    """The server's ed25519 key: libsodium's 64-byte secret key, the public key's SSH blob."""

    secret: bytes
    blob: bytes


@dataclass(frozen=True)
class Agreement:
    """What one KEXINIT of the client and ours add up to."""

    cipher_from_client: str
    cipher_to_client: str
    mac_from_client: str
    mac_to_client: str
    strict: bool
    ext_info: bool
    skip_guess: bool


@dataclass(frozen=True)
class Exchanged:
    """Result of a key exchange: the exchange hash, mpint K, and the payload of our reply."""

    exchange_hash: bytes
    shared_secret: bytes
    reply: bytes


def kexinit() -> bytes:
    """Our KEXINIT payload, with a fresh cookie."""
    ciphers = ",".join(KEY_BYTES).encode()
    macs = ",".join(MACS).encode()
    lists = (
        ",".join((*KEX, STRICT_SERVER)).encode(),
        HOST_KEY.encode(),
        *(ciphers, ciphers, macs, macs, b"none", b"none", b"", b""),
    )
    head = bytes((MSG_KEXINIT,)) + os.urandom(16)
    return head + b"".join(map(string, lists)) + b"\0" + b"\0\0\0\0"


def _first_common(wanted: list[str], offered: tuple[str, ...], subject: str) -> str:
    for name in wanted:
        if name in offered:
            return name
    raise MalformedPacketError(f"no common {subject} in {','.join(wanted)}")


def agree(client_kexinit: bytes) -> Agreement:
    """
    Choose algorithms: the client's first that we offer.

    Raises:
        MalformedPacketError: There is none for some list.
    """
    reader = Reader(client_kexinit, 17)
    lists = [reader.string().decode("ascii", "replace").split(",") for _ in range(10)]
    guesses = reader.is_true()
    kex, host_keys, ciphers_in, ciphers_out, macs_in, macs_out = lists[:6]
    _first_common(kex, KEX, "key exchange")
    _first_common(host_keys, (HOST_KEY,), "host key algorithm")
    _first_common(lists[6], ("none",), "compression")
    _first_common(lists[7], ("none",), "compression")
    cipher_in = _first_common(ciphers_in, tuple(KEY_BYTES), "cipher")
    cipher_out = _first_common(ciphers_out, tuple(KEY_BYTES), "cipher")
    return Agreement(
        cipher_from_client=cipher_in,
        cipher_to_client=cipher_out,
        # AEAD ciphers bring their own tag; the MAC lists are not looked at (PROTOCOL, 1.6).
        mac_from_client="" if "gcm" in cipher_in else _first_common(macs_in, MACS, "MAC"),
        mac_to_client="" if "gcm" in cipher_out else _first_common(macs_out, MACS, "MAC"),
        strict=STRICT_CLIENT in kex,
        ext_info="ext-info-c" in kex,
        skip_guess=guesses and (kex[0] != KEX[0] or host_keys[0] != HOST_KEY),
    )


def exchange(host_key: HostKey, hashed_head: bytes, client_public: bytes) -> Exchanged:
    """
    Answer the client's KEX_ECDH_INIT.

    Args:
        hashed_head: Both identification strings and both KEXINIT payloads, as SSH strings.
        client_public: The client's 32-byte X25519 public key.

    Raises:
        MalformedPacketError: The public key has the wrong length or is a weak point.
    """
    if len(client_public) != bindings.crypto_scalarmult_BYTES:
        raise MalformedPacketError("X25519 public key is not 32 bytes")
    secret = os.urandom(bindings.crypto_scalarmult_SCALARBYTES)
    public = bindings.crypto_scalarmult_base(secret)
    try:
        shared = mpint(bindings.crypto_scalarmult(secret, client_public))
    except (CryptoError, RuntimeError) as error:
        raise MalformedPacketError("weak X25519 public key") from error
    hashed = hashed_head + string(host_key.blob) + string(client_public) + string(public) + shared
    exchange_hash = sha256(hashed).digest()
    signature = bindings.crypto_sign(exchange_hash, host_key.secret)[: bindings.crypto_sign_BYTES]
    reply = (
        bytes((MSG_KEX_ECDH_REPLY,))
        + string(host_key.blob)
        + string(public)
        + string(string(HOST_KEY.encode()) + string(signature))
    )
    return Exchanged(exchange_hash, shared, reply)
