"""
SSH packets before encryption, made by hand.
"""

from __future__ import annotations

import os
import struct

BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
ESCAPES = b"\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b31m"

_MSG_KEXINIT = 20


def packet(payload: bytes) -> bytes:
    """
    Return an unencrypted SSH packet.

    Source: RFC 4253 section 6.
    """
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)


def string(data: bytes) -> bytes:
    """Return an SSH ``string``. Source: RFC 4251 section 5."""
    return struct.pack(">I", len(data)) + data


def kexinit(
    *,
    kex: bytes = b"curve25519-sha256,curve25519-sha256@libssh.org",
    host_key: bytes = b"ssh-ed25519",
    cipher: bytes = b"aes128-ctr,aes256-gcm@openssh.com",
    mac: bytes = b"hmac-sha2-256",
) -> bytes:
    """
    Return a KEXINIT packet that offers exactly these algorithms.

    Source: RFC 4253 section 7.1.
    """
    lists = [kex, host_key, cipher, cipher, mac, mac, b"none", b"none", b"", b""]
    names = b"".join(string(names) for names in lists)
    return packet(bytes([_MSG_KEXINIT]) + os.urandom(16) + names + bytes(5))
