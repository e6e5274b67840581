"""
Peers that speak SSH and lie in it; those that do not get so far are in `tests.support.peers`.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Callable, Mapping

from tests.support.packets import BANNER, ESCAPES, kexinit, packet, string
from tests.support.visitor import Visitor

_MSG_DISCONNECT, _MSG_IGNORE = 1, 2
_MSG_KEX_REPLY, _MSG_USERAUTH_SUCCESS = 31, 52

#: A long packet of a key exchange, and one far too long. Source: RFC 4253 section 6.1.
_LONG_BYTES = 32_000
_HUGE_BYTES = 200_000


def _success_before_keys(visitor: Visitor) -> None:
    """The client is told that it is logged in, before any key."""
    visitor.send(BANNER + packet(bytes([_MSG_USERAUTH_SUCCESS])))
    visitor.stall()


def _bad_padding(visitor: Visitor) -> None:
    """More padding than there is packet."""
    visitor.send(BANNER + struct.pack(">IB", 12, 255) + bytes(11))
    visitor.stall()


def _drip_packets(visitor: Visitor) -> None:
    """A whole and valid packet each 0.2 s, none of them a KEXINIT."""
    visitor.send(BANNER)
    visitor.drip(itertools.repeat(packet(bytes([_MSG_IGNORE]) + string(b""))))


def _storm_of_bytes(visitor: Visitor) -> None:
    """A long packet without its last bytes, each byte in a segment of its own."""
    visitor.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    visitor.send(BANNER + struct.pack(">I", _LONG_BYTES + 4))
    for _ in range(_LONG_BYTES - 100):
        visitor.send(b"x")
        if visitor.ended.is_set():
            return
    visitor.stall()


def _long_kexinit(visitor: Visitor) -> None:
    """Thousands of algorithms, none of which exists."""
    visitor.send(BANNER + kexinit(kex=b",".join(b"a%x" % n for n in range(_LONG_BYTES // 7))))
    visitor.stall()


def _long_reason(visitor: Visitor) -> None:
    """A DISCONNECT with a reason as long as a packet may be."""
    reason = struct.pack(">I", 2) + string(b"go away " + ESCAPES * (_LONG_BYTES // len(ESCAPES)))
    visitor.send(BANNER + packet(bytes([_MSG_DISCONNECT]) + reason + string(b"")))
    visitor.finish()


def _kex_reply(visitor: Visitor, offer: bytes, *fields: bytes) -> None:
    message = bytes([_MSG_KEX_REPLY]) + b"".join(map(string, fields))
    visitor.send(BANNER + offer + packet(message))
    visitor.stall()


def _huge_number(visitor: Visitor) -> None:
    """A Diffie-Hellman value of 1.6 million bits."""
    offer = kexinit(kex=b"diffie-hellman-group14-sha256")
    _kex_reply(visitor, offer, b"key", b"\x7f" * _HUGE_BYTES, b"signature")


def _huge_host_key(visitor: Visitor) -> None:
    """An RSA key of 1.6 million bits. Source: RFC 8731 section 3, RFC 4253 section 6.6."""
    key = string(b"ssh-rsa") + string(b"\1\0\1") + string(b"\x7f" * _HUGE_BYTES)
    offer = kexinit(host_key=b"rsa-sha2-512")
    _kex_reply(visitor, offer, key, b"\x09" + bytes(31), string(b"rsa-sha2-512") + string(b"x"))


def _forged_host_key(visitor: Visitor) -> None:
    """A key exchange whose signature nobody made. Source: RFC 8731 section 3."""
    key = string(b"ssh-ed25519") + string(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a" * 2))
    signature = string(b"ssh-ed25519") + string(b"s" * 64)
    _kex_reply(visitor, kexinit(), key, b"\x09" + bytes(31), signature)


#: Peers that speak SSH and lie in it; apart from those above, which are rows of the catalogue.
LIES: Mapping[str, Callable[[Visitor], None]] = {
    script.__name__.removeprefix("_"): script
    for script in (
        _success_before_keys,
        _bad_padding,
        _drip_packets,
        _storm_of_bytes,
        _long_kexinit,
        _long_reason,
        _huge_number,
        _huge_host_key,
        _forged_host_key,
    )
}
