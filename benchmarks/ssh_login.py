"""
One connection to the cheap server: identification, key exchange, publickey login, exec.

A correct SSH-2 server for what a fleet tool does on a cold connection, and no more: no shell, no
pty, no subsystem, no forwarding. No command is ever run: the answer is computed from the request
by `ssh_channels.answer_command`. Everything sent because of one read leaves in one write.

Source: RFC 4252 (authentication), RFC 4253 (transport), RFC 4254 (channels), RFC 8308 (EXT_INFO).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from nacl import bindings
from nacl.exceptions import BadSignatureError
from ssh_channels import Counters, SessionChannels
from ssh_negotiation import MSG_KEXINIT, Agreement, HostKey, agree, exchange, kexinit
from ssh_packets import (
    Clear,
    Direction,
    MalformedPacketError,
    Reader,
    derive_direction,
    string,
    u32,
)

MSG_DISCONNECT, MSG_UNIMPLEMENTED = 1, 3
MSG_SERVICE_REQUEST, MSG_SERVICE_ACCEPT, MSG_EXT_INFO = 5, 6, 7
MSG_NEWKEYS, MSG_KEX_ECDH_INIT = 21, 30
MSG_USERAUTH_REQUEST, MSG_USERAUTH_FAILURE, MSG_USERAUTH_SUCCESS = 50, 51, 52
MSG_USERAUTH_PK_OK = 60
MSG_GLOBAL_REQUEST, MSG_REQUEST_FAILURE = 80, 82

KEX_MESSAGES = (MSG_KEXINIT, MSG_NEWKEYS, MSG_KEX_ECDH_INIT)
MAX_AUTH_TRIES = 6
KEY_TYPE = b"ssh-ed25519"


@dataclass(frozen=True)
class Identity:
    """What every connection of one server has in common."""

    identification: bytes
    host_key: HostKey
    user_key_blob: bytes
    counters: Counters


class Login(asyncio.Protocol):
    """Serves one connection, from its identification string to its end."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._transport: asyncio.WriteTransport | None = None
        self._unread = b""
        self._out: list[bytes] = []
        self._client_identification: bytes | None = None
        self._inbound: Direction = Clear()
        self._outbound: Direction = Clear()
        self._next_inbound: Direction | None = None
        self._received = 0
        self._sent = 0
        self._our_kexinit = b""
        self._client_kexinit = b""
        self._agreement: Agreement | None = None
        self._strict = False
        self._skip_next = False
        self._session_id = b""
        self._auth_service = False
        self._authenticated = False
        self._failures = 0
        self._channels = SessionChannels(self._send, identity.counters)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our identification; KEXINIT follows the client's, as with OpenSSH's sshd."""
        # uvloop's transports do not inherit from asyncio's, so isinstance cannot tell.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._identity.counters.connections += 1
        self._transport.write(self._identity.identification + b"\r\n")

    def data_received(self, data: bytes) -> None:
        """Handle every whole packet and send all answers at once."""
        data = self._unread + data
        position = 0
        assert self._transport is not None
        try:
            if self._client_identification is None:
                position = self._take_identification(data)
            if self._client_identification is not None:
                while opened := self._inbound.open(data, position, self._received):
                    payload, position = opened
                    self._received = (self._received + 1) & 0xFFFFFFFF
                    self._dispatch(payload)
        except MalformedPacketError as error:
            # Reason 2, protocol error (RFC 4253, 11.1).
            self._send(bytes((MSG_DISCONNECT,)) + u32(2) + string(str(error).encode()) + u32(0))
            self._flush()
            self._transport.close()
            return
        self._unread = data[position:]
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what refers back to us, so that nothing waits for the garbage collector."""
        self._transport = None
        del self._channels

    # Sending

    def _send(self, payload: bytes) -> None:
        self._out.append(self._outbound.seal(payload, self._sent))
        self._sent = (self._sent + 1) & 0xFFFFFFFF

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    # Identification and key exchange

    def _take_identification(self, data: bytes) -> int:
        end = data.find(b"\n", 0, 255)
        if end < 0:
            if len(data) >= 255:
                raise MalformedPacketError("identification line is longer than 255 bytes")
            return 0
        line = data[:end].removesuffix(b"\r")
        if not line.startswith(b"SSH-2.0-"):
            raise MalformedPacketError("not an SSH-2 client")
        self._client_identification = line
        self._send_kexinit()
        return end + 1

    def _send_kexinit(self) -> None:
        self._our_kexinit = kexinit()
        self._send(self._our_kexinit)

    def _take_kexinit(self, payload: bytes) -> None:
        if self._session_id:
            # The client started a rekey. All its earlier requests are answered by now, and none
            # follow until its NEWKEYS, so nothing has to be held back.
            self._send_kexinit()
        self._client_kexinit = payload
        self._agreement = agree(payload)
        self._skip_next = self._agreement.skip_guess
        if not self._session_id:
            self._strict = self._agreement.strict
            if self._strict and self._received != 1:
                raise MalformedPacketError("strict key exchange: KEXINIT was not the first packet")

    def _take_ecdh_init(self, payload: bytes) -> None:
        agreement = self._agreement
        if agreement is None or self._client_identification is None:
            raise MalformedPacketError("KEX_ECDH_INIT before KEXINIT")
        identity = self._identity
        head = b"".join(
            map(
                string,
                (
                    self._client_identification,
                    identity.identification,
                    self._client_kexinit,
                    self._our_kexinit,
                ),
            )
        )
        done = exchange(identity.host_key, head, Reader(payload).string())
        first = not self._session_id
        self._session_id = self._session_id or done.exchange_hash
        self._send(done.reply)
        self._send(bytes((MSG_NEWKEYS,)))
        secret = done.shared_secret + done.exchange_hash
        self._outbound = derive_direction(
            secret,
            self._session_id,
            agreement.cipher_to_client,
            agreement.mac_to_client,
            from_client=False,
        )
        self._next_inbound = derive_direction(
            secret,
            self._session_id,
            agreement.cipher_from_client,
            agreement.mac_from_client,
            from_client=True,
        )
        self._agreement = None
        if self._strict:
            self._sent = 0
        if first and agreement.ext_info:
            extension = string(b"server-sig-algs") + string(KEY_TYPE)
            self._send(bytes((MSG_EXT_INFO,)) + u32(1) + extension)

    def _take_newkeys(self, payload: bytes) -> None:
        if self._next_inbound is None:
            raise MalformedPacketError("NEWKEYS before the key exchange")
        self._inbound, self._next_inbound = self._next_inbound, None
        if self._strict:
            self._received = 0

    # Dispatch

    def _dispatch(self, payload: bytes) -> None:
        number = payload[0]
        if self._skip_next and number == MSG_KEX_ECDH_INIT:
            self._skip_next = False
            return
        handler = _HANDLERS.get(number)
        in_exchange = not self._session_id or self._next_inbound is not None
        if in_exchange and number not in (*KEX_MESSAGES, MSG_DISCONNECT):
            if self._strict or handler is not None:
                raise MalformedPacketError(f"message {number} during key exchange")
            return
        if number in (2, 4):  # IGNORE, DEBUG
            return
        is_early = number >= MSG_GLOBAL_REQUEST and not self._authenticated
        if handler is not None and not is_early:
            handler(self, payload)
        elif is_early or not self._channels.take(payload):
            # OpenSSH's sshd answers channel messages before authentication this way, too.
            last = (self._received - 1) & 0xFFFFFFFF
            self._send(bytes((MSG_UNIMPLEMENTED,)) + u32(last))

    def _take_disconnect(self, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.close()

    # Authentication

    def _take_service_request(self, payload: bytes) -> None:
        service = Reader(payload).string()
        if service != b"ssh-userauth":
            raise MalformedPacketError("service is not ssh-userauth")
        self._auth_service = True
        self._send(bytes((MSG_SERVICE_ACCEPT,)) + string(service))

    def _take_userauth_request(self, payload: bytes) -> None:
        if not self._auth_service:
            raise MalformedPacketError("authentication before its service was requested")
        if self._authenticated:
            return
        reader = Reader(payload)
        reader.string()
        if reader.string() == b"ssh-connection" and reader.string() == b"publickey":
            signed = reader.is_true()
            algorithm, blob = reader.string(), reader.string()
            if algorithm == KEY_TYPE and blob == self._identity.user_key_blob:
                if not signed:
                    reply = bytes((MSG_USERAUTH_PK_OK,))
                    self._send(reply + string(algorithm) + string(blob))
                    return
                covered = string(self._session_id) + payload[: reader.position]
                if self._is_signed(covered, reader.string()):
                    self._authenticated = True
                    self._identity.counters.logins += 1
                    self._send(bytes((MSG_USERAUTH_SUCCESS,)))
                    return
        self._failures += 1
        if self._failures > MAX_AUTH_TRIES:
            raise MalformedPacketError("too many authentication failures")
        self._send(bytes((MSG_USERAUTH_FAILURE,)) + string(b"publickey") + b"\0")

    def _is_signed(self, covered: bytes, signature: bytes) -> bool:
        reader = Reader(signature, 0)
        if reader.string() != KEY_TYPE:
            return False
        public = self._identity.user_key_blob[-bindings.crypto_sign_PUBLICKEYBYTES :]
        try:
            bindings.crypto_sign_open(reader.string() + covered, public)
        except (BadSignatureError, ValueError):
            return False
        return True

    def _take_global_request(self, payload: bytes) -> None:
        reader = Reader(payload)
        reader.string()
        if reader.is_true():
            self._send(bytes((MSG_REQUEST_FAILURE,)))


_HANDLERS: Mapping[int, Callable[[Login, bytes], None]] = {
    MSG_DISCONNECT: Login._take_disconnect,
    MSG_SERVICE_REQUEST: Login._take_service_request,
    MSG_KEXINIT: Login._take_kexinit,
    MSG_NEWKEYS: Login._take_newkeys,
    MSG_KEX_ECDH_INIT: Login._take_ecdh_init,
    MSG_USERAUTH_REQUEST: Login._take_userauth_request,
    MSG_GLOBAL_REQUEST: Login._take_global_request,
}
