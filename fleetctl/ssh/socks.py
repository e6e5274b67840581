"""
The server's side of SOCKS 4, 4a and 5, as bytes in and bytes out; who connects is not known here.

CONNECT only, without authentication. Names are not looked up: whoever connects does that.
Source: the SOCKS 4 and 4a protocols (Ying-Da Lee); RFC 1928.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

#: A name or user of SOCKS 4 that is longer ends the conversation, as with OpenSSH's channels.c.
MAX_TEXT_BYTES = 1024

Outcome: TypeAlias = Literal[
    "connected", "failed", "prohibited", "network unreachable", "host unreachable", "refused"
]

#: Source: RFC 1928 section 6.
_REPLIES_5: dict[Outcome, int] = {
    "connected": 0,
    "failed": 1,
    "prohibited": 2,
    "network unreachable": 3,
    "host unreachable": 4,
    "refused": 5,
}
_NO_SUCH_COMMAND, _NO_SUCH_ADDRESS_TYPE = 7, 8
_CONNECT = 1
_NO_AUTHENTICATION, _NO_METHOD = 0, 0xFF
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GRANTED_4, _REJECTED_4 = 90, 91


class SocksError(Exception):
    """
    The client asks for what there is not, or does not speak SOCKS.

    Attributes:
        answer: To be sent before the connection is closed.
    """

    def __init__(self, message: str, answer: bytes = b"") -> None:
        super().__init__(message)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class SocksRequest:
    """
    A connection that is asked for.

    Attributes:
        version: 4 or 5.
        host: A name, not checked, or an address.
    """

    version: int
    host: str
    port: int


@dataclass(slots=True)
class SocksServer:
    """
    One client's conversation up to its request.

    Attributes:
        rest: What came behind the request, for the other end.
    """

    rest: bytes = b""
    _read: bytearray = field(default_factory=bytearray)
    _has_method: bool = False

    def feed(self, data: bytes) -> tuple[SocksRequest | None, bytes]:
        """
        Take bytes of the client.

        Returns:
            The request once it is complete, and bytes to be sent.

        Raises:
            SocksError: There will be no request.
        """
        self._read += data
        if not self._read:
            return None, b""
        match 5 if self._has_method else self._read[0]:
            case 4:
                return self._feed_4(), b""
            case 5:
                return self._feed_5()
            case _:
                raise SocksError("the client does not speak SOCKS")

    def answer(self, request: SocksRequest, outcome: Outcome) -> bytes:
        """Return the bytes that tell the client how its request ended."""
        if request.version == 4:
            return _reply_4(_GRANTED_4 if outcome == "connected" else _REJECTED_4)
        return _reply_5(_REPLIES_5[outcome])

    def _feed_4(self) -> SocksRequest | None:
        read = self._read
        if len(read) < 8:
            return None
        has_name = read[4:7] == b"\0\0\0" and read[7] != 0
        user_end = _end_of_text(read, 8)
        end = _end_of_text(read, user_end + 1) if has_name and user_end >= 0 else user_end
        if end < 0:
            return None
        if read[1] != _CONNECT:
            raise SocksError("only CONNECT is possible", _reply_4(_REJECTED_4))
        if has_name:
            host = _host_name(bytes(read[user_end + 1 : end]), _reply_4(_REJECTED_4))
        else:
            host = socket.inet_ntop(socket.AF_INET, bytes(read[4:8]))
        return self._complete(4, host, int.from_bytes(read[2:4], "big"), end + 1)

    def _feed_5(self) -> tuple[SocksRequest | None, bytes]:
        read = self._read
        greeting = b""
        if not self._has_method:
            if len(read) < 2 or len(read) < 2 + read[1]:
                return None, b""
            if _NO_AUTHENTICATION not in read[2 : 2 + read[1]]:
                raise SocksError("the client wants to authenticate itself", bytes([5, _NO_METHOD]))
            del read[: 2 + read[1]]
            self._has_method = True
            greeting = bytes([5, _NO_AUTHENTICATION])
        return self._request_5(read, greeting), greeting

    def _request_5(self, read: bytearray, greeting: bytes) -> SocksRequest | None:
        if len(read) < 5:
            return None
        version, command, reserved, kind = read[:4]
        if version != 5 or reserved != 0:
            raise SocksError("the client does not speak SOCKS 5", greeting + _reply_5(1))
        if command != _CONNECT:
            raise SocksError("only CONNECT is possible", greeting + _reply_5(_NO_SUCH_COMMAND))
        start, sizes = 4, {_IPV4: 4, _IPV6: 16, _NAME: read[4]}
        if kind not in sizes:
            raise SocksError("no such type of address", greeting + _reply_5(_NO_SUCH_ADDRESS_TYPE))
        start += kind == _NAME
        end = start + sizes[kind]
        if len(read) < end + 2:
            return None
        part = bytes(read[start:end])
        if kind == _NAME:
            host = _host_name(part, greeting + _reply_5(1))
        else:
            host = socket.inet_ntop(socket.AF_INET if kind == _IPV4 else socket.AF_INET6, part)
        return self._complete(5, host, int.from_bytes(read[end : end + 2], "big"), end + 2)

    def _complete(self, version: int, host: str, port: int, end: int) -> SocksRequest:
        self.rest = bytes(self._read[end:])
        self._read.clear()
        return SocksRequest(version, host, port)


def _end_of_text(read: bytearray, start: int) -> int:
    """Return where the NUL is, or -1 as long as none has come."""
    end = read.find(0, start, start + MAX_TEXT_BYTES + 1)
    if end < 0 and len(read) > start + MAX_TEXT_BYTES:
        raise SocksError("a text of the client does not end", _reply_4(_REJECTED_4))
    return end


def _host_name(text: bytes, refusal: bytes) -> str:
    if not text or b"\0" in text:
        raise SocksError("the client names no host", refusal)
    return text.decode("utf-8", "surrogateescape")


def _reply_4(code: int) -> bytes:
    return bytes([0, code]) + bytes(6)


def _reply_5(code: int) -> bytes:
    return bytes([5, code, 0, _IPV4]) + bytes(6)
