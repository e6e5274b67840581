"""
SSH packets of the cheap server: SSH data types, framing, encryption, key derivation.

Knows nothing of message numbers or of who sends what; that is `ssh_login`.

Source: RFC 4251 section 5 (types), RFC 4253 sections 6 and 7.2, RFC 4344 (CTR), RFC 5647 and
OpenSSH's PROTOCOL file (AES-GCM), PROTOCOL section 1.1 (encrypt-then-MAC).
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_PACKET_BYTES = 256 * 1024
MAC_BYTES = 32
TAG_BYTES = 16

KEY_BYTES = {
    "aes128-gcm@openssh.com": 16,
    "aes256-gcm@openssh.com": 32,
    "aes128-ctr": 16,
    "aes256-ctr": 32,
}
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")

_U32 = struct.Struct(">I")


class MalformedPacketError(Exception):
    """The peer broke the protocol; the text says how and ends the connection."""


def u32(number: int) -> bytes:
    """Pack an SSH uint32."""
    return _U32.pack(number)


def string(value: bytes) -> bytes:
    """Pack an SSH string."""
    return _U32.pack(len(value)) + value


def mpint(big_endian: bytes) -> bytes:
    """Pack an unsigned big-endian number as an SSH mpint."""
    digits = big_endian.lstrip(b"\0")
    return string(b"\0" + digits if digits and digits[0] & 0x80 else digits)


class Reader:
    """Reads SSH types from one payload, in order; MalformedPacketError where it ends too early."""

    def __init__(self, payload: bytes, position: int = 1) -> None:
        self._payload = payload
        self.position = position

    def raw(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        end = self.position + length
        if end > len(self._payload):
            raise MalformedPacketError("message is too short")
        value = self._payload[self.position : end]
        self.position = end
        return value

    def u32(self) -> int:
        """An SSH uint32."""
        return int.from_bytes(self.raw(4), "big")

    def string(self) -> bytes:
        """An SSH string."""
        return self.raw(self.u32())

    def is_true(self) -> bool:
        """An SSH boolean."""
        return self.raw(1) != b"\0"


class Direction(Protocol):
    """The packets of one direction between two NEWKEYS."""

    def seal(self, payload: bytes, sequence: int) -> bytes:
        """Frame and encrypt one payload."""

    def open(self, data: bytes, start: int, sequence: int) -> tuple[bytes, int] | None:
        """The payload of the packet at ``start`` and where it ends; None if bytes are missing."""


def _framed(payload: bytes, covered: int, block: int) -> bytes:
    """
    Length, padding length, payload and padding.

    Args:
        covered: How many of the 4 length bytes count towards the block size (0 if they travel
            in clear beside the ciphertext).
    """
    padding = block - (covered + 1 + len(payload)) % block
    if padding < 4:
        padding += block
    # Zeros are allowed where random bytes are recommended (RFC 4253, 6) and cost nothing.
    return _U32.pack(1 + len(payload) + padding) + bytes((padding,)) + payload + bytes(padding)


def _length(head: bytes) -> int:
    length = int(_U32.unpack_from(head)[0])
    if not 5 <= length <= MAX_PACKET_BYTES:
        raise MalformedPacketError(f"packet length {length}")
    return length


def _unpadded(body: bytes) -> bytes:
    end = len(body) - body[0]
    if end < 2:
        raise MalformedPacketError("packet without payload")
    return body[1:end]


class Clear:
    """Before the first NEWKEYS."""

    def seal(self, payload: bytes, sequence: int) -> bytes:
        """See `Direction`."""
        return _framed(payload, 4, 8)

    def open(self, data: bytes, start: int, sequence: int) -> tuple[bytes, int] | None:
        """See `Direction`."""
        if len(data) - start < 4:
            return None
        end = start + 4 + _length(data[start : start + 4])
        return (_unpadded(data[start + 4 : end]), end) if len(data) >= end else None


class Gcm:
    """AES-GCM: length in clear as associated data, a counter in the nonce."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._aead = AESGCM(key)
        self._fixed = iv[:4]
        self._counter = int.from_bytes(iv[4:12], "big")

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._counter.to_bytes(8, "big")
        self._counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        return nonce

    def seal(self, payload: bytes, sequence: int) -> bytes:
        """See `Direction`."""
        packet = _framed(payload, 0, 16)
        return packet[:4] + self._aead.encrypt(self._nonce(), packet[4:], packet[:4])

    def open(self, data: bytes, start: int, sequence: int) -> tuple[bytes, int] | None:
        """See `Direction`."""
        if len(data) - start < 4:
            return None
        head = data[start : start + 4]
        end = start + 4 + _length(head) + TAG_BYTES
        if len(data) < end:
            return None
        try:
            body = self._aead.decrypt(self._nonce(), data[start + 4 : end], head)
        except InvalidTag as error:
            raise MalformedPacketError("wrong GCM tag") from error
        return _unpadded(body), end


class Ctr:
    """AES-CTR with HMAC-SHA2-256 over the plain packet (RFC 4253)."""

    def __init__(self, crypt: Callable[[bytes], bytes], mac_key: bytes) -> None:
        self._crypt = crypt
        self._mac_key = mac_key
        # First block of a packet that has not arrived whole: CTR cannot decrypt it twice.
        self._first_block = b""

    def seal(self, payload: bytes, sequence: int) -> bytes:
        """See `Direction`."""
        packet = _framed(payload, 4, 16)
        mac = hmac.digest(self._mac_key, _U32.pack(sequence) + packet, "sha256")
        return self._crypt(packet) + mac

    def open(self, data: bytes, start: int, sequence: int) -> tuple[bytes, int] | None:
        """See `Direction`."""
        if not self._first_block:
            if len(data) - start < 16:
                return None
            self._first_block = self._crypt(data[start : start + 16])
        end = start + 4 + _length(self._first_block)
        if len(data) < end + MAC_BYTES:
            return None
        packet = self._first_block + self._crypt(data[start + 16 : end])
        self._first_block = b""
        expected = hmac.digest(self._mac_key, _U32.pack(sequence) + packet, "sha256")
        if not hmac.compare_digest(expected, data[end : end + MAC_BYTES]):
            raise MalformedPacketError("wrong MAC")
        return _unpadded(packet[4:]), end + MAC_BYTES


class CtrEtm:
    """AES-CTR with HMAC-SHA2-256 over the encrypted packet, length in clear."""

    def __init__(self, crypt: Callable[[bytes], bytes], mac_key: bytes) -> None:
        self._crypt = crypt
        self._mac_key = mac_key

    def seal(self, payload: bytes, sequence: int) -> bytes:
        """See `Direction`."""
        packet = _framed(payload, 0, 16)
        sealed = packet[:4] + self._crypt(packet[4:])
        return sealed + hmac.digest(self._mac_key, _U32.pack(sequence) + sealed, "sha256")

    def open(self, data: bytes, start: int, sequence: int) -> tuple[bytes, int] | None:
        """See `Direction`."""
        if len(data) - start < 4:
            return None
        end = start + 4 + _length(data[start : start + 4])
        if len(data) < end + MAC_BYTES:
            return None
        expected = hmac.digest(self._mac_key, _U32.pack(sequence) + data[start:end], "sha256")
        if not hmac.compare_digest(expected, data[end : end + MAC_BYTES]):
            raise MalformedPacketError("wrong MAC")
        return _unpadded(self._crypt(data[start + 4 : end])), end + MAC_BYTES


def derive_direction(
    secret: bytes, session_id: bytes, cipher: str, mac: str, *, from_client: bool
) -> Direction:
    """
    Make one direction's packets from the result of a key exchange.

    Args:
        secret: mpint K and the exchange hash H, concatenated.
        from_client: Whether the direction is client to server, which this side decrypts.
    """
    # SHA-256 gives 32 bytes, the longest key offered: no second round is needed.
    iv, key, mac_key = (
        sha256(secret + bytes((letter,)) + session_id).digest()
        for letter in (b"ACE" if from_client else b"BDF")
    )
    key = key[: KEY_BYTES[cipher]]
    if cipher.endswith("-gcm@openssh.com"):
        return Gcm(key, iv)
    aes = Cipher(algorithms.AES(key), modes.CTR(iv[:16]))
    crypt = (aes.decryptor() if from_client else aes.encryptor()).update
    return CtrEtm(crypt, mac_key) if "-etm" in mac else Ctr(crypt, mac_key)
