"""
Paramiko's protocol code, hosted on the asyncio loop. Owns every private name of Paramiko.

`paramiko.Transport.run` runs unmodified inside a greenlet. Where it would block in a read it
switches back to the loop; bytes that arrive switch it in again. What it writes is collected and
sent once per loop turn. Each private name used here has a contract test; design rules are cited as
"rule N".

Does not connect sockets, choose methods of authentication or judge host keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, TypeAlias

import paramiko
from greenlet import getcurrent, greenlet
from paramiko import transport as _transport_module
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_NAMES,
    MSG_UNIMPLEMENTED,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_OPEN,
    cMSG_CHANNEL_OPEN_FAILURE,
    cMSG_CHANNEL_OPEN_SUCCESS,
    cMSG_DISCONNECT,
    cMSG_GLOBAL_REQUEST,
    cMSG_KEXINIT,
    cMSG_UNIMPLEMENTED,
)
from paramiko.compress import ZlibCompressor
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer

from fleetctl.model.excerpt import first_bytes
from fleetctl.ssh.algorithms import Algorithms
from fleetctl.ssh.loop_channel import (
    CHANNEL_PACKET_BYTES,
    WINDOW_BYTES,
    ChannelOffer,
    IncomingReceiver,
    LoopChannel,
    LoopEvent,
    Receiver,
    add_fields,
)
from fleetctl.ssh.wire import Wire

#: Before authentication a peer gets at most this much of our attention.
MAX_BANNER_BYTES = 64 * 1024
MAX_BANNER_LINE_BYTES = 8 * 1024
MAX_PACKET_BYTES = 256 * 1024
#: While keys are exchanged. Nobody needs longer ones, and Paramiko reads the numbers in them in
#: quadratic time: seconds for 200 KB, with every host waiting. Source: RFC 4253 section 6.1.
MAX_KEX_PACKET_BYTES = 35_000
#: OpenSSH sends three. Source: RFC 8308 section 2.3.
MAX_EXTENSIONS = 64
MAX_EARLY_BYTES = 1024 * 1024
MAX_EARLY_PACKETS = 1000
#: Bytes that come one by one cost a turn of the loop each; a login takes some dozens.
MAX_EARLY_READS = 5000

#: After so many bytes of answers that a peer does not read, its questions are not read either.
MAX_UNREAD_BYTES = 256 * 1024

#: Messages that wait for new keys when a peer goes on asking; data waits elsewhere.
MAX_HELD = 20_000

#: What is kept of a peer's words about an ending.
MAX_REASON_BYTES = 512

#: Numbers of channels remembered beyond their end.
MAX_CHANNELS_SEEN = 4096

#: After this much in one go the reader lets others run.
TURN_PACKETS = 64
TURN_S = 0.005


#: Kinds of channels there are.
#: Source: RFC 4250 section 4.9.1; OpenSSH PROTOCOL sections 2.3 and 2.4.
CHANNEL_KINDS = frozenset(
    "session x11 forwarded-tcpip direct-tcpip auth-agent@openssh.com tun@openssh.com"
    " forwarded-streamlocal@openssh.com direct-streamlocal@openssh.com".split()
)

_FIRST_CONNECTION_MESSAGE = 50
#: Length, padding and MAC; most answers are a byte.
_PACKET_OVERHEAD_BYTES = 48
_DATA_MESSAGES = (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA)

BugReporter = Callable[[BaseException], None]

logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


#: The random part at the front of every KEXINIT. Source: RFC 4253 section 7.1.
COOKIE_BYTES = 16
MAX_AGREEMENTS = 256
#: Longer offers are not worth the memory; OpenSSH's is about 1 KiB.
MAX_REMEMBERED_BYTES = 8 * 1024

#: What Paramiko's `_parse_kex_init` sets, beside `kex_engine` and `remote_kex_init`.
AGREED_ATTRIBUTES = (
    "_remote_ext_info",
    "_remote_strict_kex",
    "agreed_on_strict_kex",
    "host_key_type",
    "local_cipher",
    "remote_cipher",
    "local_mac",
    "remote_mac",
    "local_compression",
    "remote_compression",
)


@functools.lru_cache(maxsize=64)
def render_offer(
    kex: tuple[str, ...],
    host_keys: tuple[str, ...],
    ciphers: tuple[str, ...],
    macs: tuple[str, ...],
    compression: tuple[str, ...],
) -> bytes:
    """
    Encode a client's KEXINIT behind its cookie; hosts with equal settings share it.

    Source: RFC 4253 section 7.1; RFC 8308 section 2.1 (ext-info-c); OpenSSH PROTOCOL section 1.10
    (strict key exchange).
    """
    m = Message()
    m.add_list([*kex, "ext-info-c", "kex-strict-c-v00@openssh.com"])
    m.add_list(list(host_keys))
    for names in (ciphers, macs, compression):
        m.add_list(list(names))  # client to server
        m.add_list(list(names))  # server to client
    m.add_string("")
    m.add_string("")
    m.add_boolean(False)  # no guessed packet follows
    m.add_int(0)
    offer: bytes = m.asbytes()
    return offer


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    What two offers of algorithms come to.

    Attributes:
        values: Attribute of the transport -> value.
        parsed_bytes: How much of the peer's KEXINIT belongs to it.
    """

    kex: str
    values: Mapping[str, object]
    parsed_bytes: int


#: The peer's offer without its cookie, ours, and whether strict key exchange was agreed on before
#: (it stays so if a later offer does not repeat it) -> what they come to.
Agreements: TypeAlias = dict[tuple[bytes, object, bool], Agreement]


class PeerMisbehaved(paramiko.SSHException):
    """
    The peer broke a limit or the protocol before it could be trusted.

    Attributes:
        kind: Failure kind.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ThreadChannel(paramiko.Channel):
    """Paramiko's channel for blocking users in threads; refuses to block the loop (rule 7)."""

    def _refuse_on_loop(self) -> None:
        transport = self.transport
        if isinstance(transport, LoopTransport):
            transport.refuse_on_loop()

    def _wait_for_event(self) -> None:
        self._refuse_on_loop()
        super()._wait_for_event()

    def _wait_for_send_window(self, size: int) -> int:
        if self.out_window_size == 0:
            self._refuse_on_loop()
        return int(super()._wait_for_send_window(size))

    def recv(self, nbytes: int) -> bytes:
        self._refuse_on_loop()
        return bytes(super().recv(nbytes))

    def recv_stderr(self, nbytes: int) -> bytes:
        self._refuse_on_loop()
        return bytes(super().recv_stderr(nbytes))

    def recv_exit_status(self) -> int:
        self._refuse_on_loop()
        return int(super().recv_exit_status())


class LoopPacketizer(Packetizer):
    """Paramiko's packet code on a buffer that the loop fills; see `LoopTransport`."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.host: LoopTransport | None = None
        self._buffer = b""
        self._position = 0
        self._banner_bytes = 0

    # -- filled by the transport

    def feed(self, data: bytes) -> None:
        if self._position < len(self._buffer):
            self._buffer = self._buffer[self._position :] + data
        else:
            self._buffer = data
        self._position = 0

    def drop_input(self) -> None:
        self._buffer, self._position = b"", 0

    @property
    def buffered(self) -> int:
        return len(self._buffer) - self._position

    # -- called by Paramiko

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        host = self.host
        assert host is not None
        if not 0 <= n <= (MAX_KEX_PACKET_BYTES if host.in_kex else MAX_PACKET_BYTES):
            raise PeerMisbehaved("kex.protocol", f"the peer announced a packet of {n} bytes")
        while len(self._buffer) - self._position < n:
            at_boundary = check_rekey and self._position == len(self._buffer)
            if at_boundary and self.need_rekey() and not host.in_kex:
                raise NeedRekeyException
            host.wait_for_bytes(n, wake_for_rekey=at_boundary)
        end = self._position + n
        data = self._buffer[self._position : end]
        self._position = end
        return data

    def readline(self, timeout: float) -> str:
        """Read one line of the identification exchange. Source: RFC 4253 section 4.2."""
        host = self.host
        assert host is not None
        while (end := self._buffer.find(b"\n", self._position)) < 0:
            if self.buffered > MAX_BANNER_LINE_BYTES:
                raise PeerMisbehaved("banner.too_long", "the peer's first line does not end")
            host.wait_for_bytes(self.buffered + 1, wake_for_rekey=False)
        line = self._buffer[self._position : end]
        self._position = end + 1
        self._banner_bytes += len(line) + 1
        if len(line) > MAX_BANNER_LINE_BYTES or self._banner_bytes > MAX_BANNER_BYTES:
            raise PeerMisbehaved(
                "banner.too_long", "the peer sends text without end before its version"
            )
        return line.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def read_message(self) -> tuple[int, Message]:
        host = self.host
        assert host is not None
        while True:
            host.count_packet()
            kind, m = super().read_message()
            if kind in MSG_NAMES or host._expected_packet:
                return kind, m
            # Rule 10: Paramiko's loop would look the number up in MSG_NAMES and die of a KeyError.
            host.send_unimplemented(m.seqno)

    def write_all(self, out: bytes) -> None:
        assert self.host is not None
        self.host.queue_output(out)

    def start_handshake(self, timeout: float) -> None:
        """No timer thread: every phase has a deadline on the loop."""

    def _trigger_rekey(self) -> None:
        super()._trigger_rekey()
        if self.host is not None:
            self.host.wake_for_rekey()


class BoundedDecompressor:
    """Paramiko's decompressor, but a small packet cannot become a large one."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    def __call__(self, data: bytes) -> bytes:
        payload = self._stream.decompress(data, MAX_PACKET_BYTES + 1)
        if len(payload) > MAX_PACKET_BYTES:
            raise PeerMisbehaved("kex.protocol", "a compressed packet of the peer is too long")
        return payload


def _reason(message: Message) -> str:
    """Return what the peer says to people next."""
    return first_bytes(message.get_string(), MAX_REASON_BYTES).decode("utf-8", "replace")


def _for_threads(name: str) -> Callable[..., Any]:
    """Return a blocking call of `paramiko.Transport` that refuses to block the loop (rule 7)."""
    stock = getattr(paramiko.Transport, name)

    @functools.wraps(stock)
    def call(transport: LoopTransport, *args: Any, **kwargs: Any) -> Any:
        transport.refuse_on_loop()
        return stock(transport, *args, **kwargs)

    return call


class LoopTransport(paramiko.Transport):
    """
    One SSH transport without a thread.

    Created and used on the loop's thread; blocking users may open channels on it from other
    threads.

    Attributes:
        banner_lines: What the peer sent before its version line.
        host_key_blob: The server's key of the first key exchange, as it came.
        host_key_signature: Its signature over the session id.
        on_host_keys: Told when the server announces its host keys, with the rest of the request;
            must not raise. Source: OpenSSH PROTOCOL section 2.5.
        disconnected: Code and text of the peer's SSH_MSG_DISCONNECT, if it sent one.
        peer_offer: The algorithms of a peer with which we have none in common.
        peer_kex_init: The peer's KEXINIT without its type, until the login.
        bug: An exception of our own code that ended the transport or a channel.
        stream_error: Why the byte stream ended, None for a plain end.
        first_received: Monotonic time of the first bytes, 0.0 before.
        last_received: Monotonic time of the latest bytes.
    """

    def __init__(
        self, wire: Wire, *, identification: str, agreements: Agreements | None = None
    ) -> None:
        """
        Args:
            identification: What follows ``SSH-2.0-`` in our version line.
            agreements: Shared by transports that are likely to agree on the same algorithms.
        """
        super().__init__(
            wire,
            default_window_size=WINDOW_BYTES,
            default_max_packet_size=CHANNEL_PACKET_BYTES,
            packetizer_class=LoopPacketizer,
        )
        self.local_version = f"SSH-2.0-{identification}"
        self.wire = wire
        self.loop = asyncio.get_running_loop()
        self.loop_thread = threading.get_ident()
        self.packetizer.host = self
        self.negotiated = LoopEvent(self.loop)
        self.banner_lines: list[str] = []
        self.host_key_blob: bytes | None = None
        self.host_key_signature = b""
        self.disconnected: tuple[int, str] | None = None
        self.is_forced = False
        self.peer_offer: Mapping[str, list[str]] = {}
        self.peer_kex_init = b""
        self.bug: BaseException | None = None
        self.first_received = 0.0
        self.last_received = 0.0
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self._greenlet: greenlet | None = None
        # What the greenlet waits for: nothing while it runs, then bytes or its next turn (rule 2).
        self._waiting: Literal["", "bytes", "turn"] = ""
        self._needed = 0
        self._rekey_wakes = False
        self._eof = False
        self.stream_error: BaseException | None = None
        self._early_bytes = 0
        self._early_packets = 0
        self._early_reads = 0
        self._turn_packets = 0
        self._turn_ends = 0.0
        self._out: deque[bytes] = deque()
        self._flush_scheduled = False
        self._flush_late = False
        self._held: deque[Message] = deque()
        self._kexinit_is_early = False
        self._write_paused = False
        self._unread_bytes = 0
        self._reading_held = False
        self._writable: asyncio.Future[None] | None = None
        # Given the reply to a global request, or None for a refusal and for the end.
        self._global_replies: deque[Callable[[bytes | None], None]] = deque()
        self.on_host_keys: Callable[[bytes], None] | None = None
        self._abandoned: set[int] = set()
        self._takers: dict[str, Callable[[ChannelOffer], None]] = {}
        self._agreements = agreements if agreements is not None else {}
        self._offer: object = None
        self._secret = b""
        self._secret_of: bytes | None = None
        self._handler_table[MSG_UNIMPLEMENTED] = self._parse_unimplemented
        wire.attach(self)

    def use_algorithms(self, algorithms: Algorithms, *, host_keys: tuple[str, ...]) -> None:
        """Offer these and nothing else, host keys in this order; before `negotiate`."""
        self._preferred_kex = tuple(name for name in algorithms.kex if name in self._kex_info)
        self._preferred_ciphers = algorithms.ciphers
        self._preferred_macs = algorithms.macs
        self._preferred_keys = host_keys
        self._preferred_pubkeys = algorithms.signatures
        self._preferred_compression = algorithms.compression
        self._offer = (algorithms, host_keys)

    def set_rekey_limit(self, size_bytes: int) -> None:
        """Negotiate new keys after this many bytes in either direction."""
        self.packetizer.REKEY_BYTES = size_bytes

    # -- starting, hosting, ending

    def negotiate(self) -> None:
        """Start the first key exchange; `negotiated` is set when it ended, well or not."""
        self.start_client(event=self.negotiated)

    def start(self) -> None:
        """Called by Paramiko's `start_client` instead of starting a thread."""
        self._greenlet = greenlet(self._hosted)
        # Rule 6: log context and other context variables are those of whoever connects.
        self._greenlet.gr_context = contextvars.copy_context()
        self._resume()

    def _hosted(self) -> None:
        try:
            paramiko.Transport.run(self)
        except BaseException as bug:
            # Rule 5: whatever escapes ends this transport only, and nobody waits for ever.
            self.report_bug(bug)
            self.saved_exception = bug
            if self in _transport_module._active_threads:
                _transport_module._active_threads.remove(self)
            for channel in list(self._channels.values()):
                channel._unlink()
            self.active = False
            self.packetizer.close()
            self.negotiated.set()
            if self.auth_handler is not None:
                self.auth_handler.abort()
            for event in list(self.channel_events.values()):
                event.set()
        finally:
            self._settle_end()

    def _settle_end(self) -> None:
        while self._global_replies:
            self._global_replies.popleft()(None)
        self._release_writers()
        if not self.ended.done():
            self.ended.set_result(None)

    def _resume(self) -> None:
        hosted = self._greenlet
        assert hosted is not None
        hosted.parent = getcurrent()
        self._waiting = ""
        self._turn_packets = 0
        self._turn_ends = monotonic() + TURN_S
        hosted.switch()

    def _switch_to_loop(self) -> None:
        hosted = self._greenlet
        assert hosted is not None
        assert hosted.parent is not None
        hosted.parent.switch()

    def wait_for_bytes(self, needed: int, *, wake_for_rekey: bool) -> None:
        """Return, inside the greenlet, when `needed` bytes may be there, or raise EOFError."""
        if self._eof:
            if isinstance(self.stream_error, PeerMisbehaved):
                raise self.stream_error
            raise EOFError
        self._needed = needed
        self._rekey_wakes = wake_for_rekey
        self._waiting = "bytes"
        self._switch_to_loop()

    def count_packet(self) -> None:
        """Called inside the greenlet before each packet: fairness and limits (rule 9)."""
        if not self.authenticated:
            self._early_packets += 1
            if self._early_packets > MAX_EARLY_PACKETS:
                raise PeerMisbehaved(
                    "kex.protocol", "the peer sends packets without end before login"
                )
        self._turn_packets += 1
        if (self._turn_packets > TURN_PACKETS or monotonic() > self._turn_ends) and (
            self.packetizer.buffered
        ):
            self._waiting = "turn"
            self.wire.pause_reading()
            self.loop.call_soon(self._next_turn)
            self._switch_to_loop()

    def _next_turn(self) -> None:
        if self._waiting == "turn":
            if not self._reading_held:
                self.wire.resume_reading()
            self._resume()

    def refuse_on_loop(self) -> None:
        """
        Rule 7: a blocking call on the loop's thread would stop every host.

        Raises:
            RuntimeError: This is the loop's thread.
        """
        if threading.get_ident() == self.loop_thread:
            raise RuntimeError("a blocking Paramiko call on the event loop's thread")

    def report_bug(self, bug: BaseException) -> None:
        if self.bug is None:
            self.bug = bug

    def stop_thread(self) -> None:
        """Called by Paramiko's `close` and at exit: end by delivering EOF (rule 4)."""
        if self.loop.is_closed():
            return
        if threading.get_ident() == self.loop_thread:
            self._end()
        else:
            self.loop.call_soon_threadsafe(self._end)

    def close(self) -> None:
        """End the transport; what was written is still sent. Safe from any thread, and twice."""
        self.stop_thread()

    def abort(self) -> None:
        """End at once, without sending what is still buffered; on the loop's thread."""
        self.packetizer.drop_input()
        self.stream_ended(None)
        self.wire.abort()

    def _end(self) -> None:
        if self._eof and not self.is_alive():
            self.wire.close()
            return
        if self.active and self.initial_kex_done and not self._eof and self.clear_to_send.is_set():
            m = Message()
            m.add_byte(cMSG_DISCONNECT)
            m.add_int(11)  # SSH_DISCONNECT_BY_APPLICATION, RFC 4253 section 11.1
            m.add_string("disconnected by user")
            m.add_string("")
            self.packetizer.send_message(m)
        self._flush()
        self.packetizer.drop_input()
        self.stream_ended(None)
        self.wire.close()

    def is_alive(self) -> bool:
        return self._greenlet is not None and not self._greenlet.dead

    def join(self, timeout: float | None = None) -> None:
        """There is no thread to wait for."""

    # -- StreamOwner

    def bytes_received(self, data: bytes) -> None:
        if self._eof:
            return
        self.last_received = monotonic()
        packetizer = self.packetizer
        packetizer.feed(data)
        if not self.authenticated:
            self.first_received = self.first_received or self.last_received
            self._early_bytes += len(data)
            self._early_reads += 1
            if self._early_bytes > MAX_EARLY_BYTES or self._early_reads > MAX_EARLY_READS:
                packetizer.drop_input()
                self.stream_ended(
                    PeerMisbehaved("kex.protocol", "the peer sends data without end before login")
                )
                return
        if self._waiting == "bytes" and packetizer.buffered >= self._needed:
            self._resume()

    def stream_ended(self, error: BaseException | None) -> None:
        if self._eof:
            return
        self._eof = True
        self.stream_error = error
        if self._waiting == "bytes":
            self._resume()

    def write_pressure(self, *, paused: bool) -> None:
        self._write_paused = paused
        if not paused:
            self._unread_bytes = 0
            if self._reading_held:
                self._reading_held = False
                self.wire.resume_reading()
            self._release_writers()

    # -- sending

    def queue_output(self, out: bytes) -> None:
        """Take bytes in the order of encryption; they leave once per loop turn (rule 3)."""
        if self._eof:
            raise EOFError
        self._out.append(out)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            if threading.get_ident() == self.loop_thread:
                self.loop.call_soon(self._flush)
            else:
                self.loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        if self._flush_late:
            self._flush_late = False
            self.loop.call_soon(self._flush)
            return
        # The flag goes first: bytes added from now on schedule a flush of their own.
        self._flush_scheduled = False
        chunks = []
        while self._out:
            chunks.append(self._out.popleft())
        if chunks:
            self.wire.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _hold_reading(self, answer: bytes) -> None:
        """
        Hear no more questions of a peer that asks without end and reads no answer.

        Data does not count: where it flows both ways, whoever stops reading may stop both.
        """
        if answer[0] in _DATA_MESSAGES or threading.get_ident() != self.loop_thread:
            return
        self._unread_bytes += len(answer) + _PACKET_OVERHEAD_BYTES
        if self._unread_bytes > MAX_UNREAD_BYTES and not self._reading_held:
            self._reading_held = True
            self.wire.pause_reading()

    @property
    def can_write(self) -> bool:
        """False while channel data should wait: the socket is full or keys are being exchanged."""
        return not self._write_paused and self.clear_to_send.is_set()

    async def writable(self) -> None:
        """Wait until channel data may be sent, or the transport has ended (rule 8)."""
        while self.active and not self.can_write:
            await asyncio.shield(self.next_writable())

    def next_writable(self) -> asyncio.Future[None]:
        """Return what is set when channel data may be sent again, or when the transport ends."""
        if self._writable is None:
            self._writable = self.loop.create_future()
        return self._writable

    def _release_writers(self) -> None:
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    def _send_message(self, data: Message) -> None:
        # Between our KEXINIT and the new keys only key exchange may be sent (RFC 4253 section 7.1);
        # the rest waits in order. The lock is held over check and send, so a rekey cannot begin
        # between.
        raw = data.asbytes()
        if self._write_paused:
            self._hold_reading(raw)
        if raw[0] < _FIRST_CONNECTION_MESSAGE or not self.initial_kex_done:
            self.packetizer.send_message(data)
            return
        with self.clear_to_send_lock:
            if self._held or not self.clear_to_send.is_set():
                if len(self._held) >= MAX_HELD and getcurrent() is self._greenlet:
                    raise PeerMisbehaved(
                        "kex.protocol", "the peer asks without end while keys are exchanged"
                    )
                self._held.append(data)
            else:
                self.packetizer.send_message(data)

    def _send_user_message(self, data: Message) -> None:
        """Never wait (rule 1): on the loop, stock code blocks every host (Paramiko #822)."""
        if self.active:
            # If the stream has ended, whoever waits is told by the end of `run`.
            with contextlib.suppress(EOFError):
                self._send_message(data)

    def _parse_newkeys(self, m: Message) -> None:
        # Whoever waits for the first keys asks for the login at once: one more loop turn, and our
        # NEWKEYS leaves with the request.
        self._flush_late = self._flush_scheduled and not self.initial_kex_done
        super()._parse_newkeys(m)
        self._secret, self._secret_of = b"", None
        with self.clear_to_send_lock:
            while self._held:
                self.packetizer.send_message(self._held.popleft())
        self._release_writers()

    def wake_for_rekey(self) -> None:
        """A sleeping reader must notice that new keys are due (rule 1). Any thread."""
        if threading.get_ident() == self.loop_thread:
            self.loop.call_soon(self._wake_for_rekey)
        else:
            self.loop.call_soon_threadsafe(self._wake_for_rekey)

    def _wake_for_rekey(self) -> None:
        if self._waiting == "bytes" and self._rekey_wakes and not self.in_kex:
            self._resume()

    def send(self, kind: bytes, *fields: bytes | str | int | bool) -> None:
        """Send a message made of these fields: strings, uint32 and booleans."""
        m = Message()
        m.add_byte(kind)
        add_fields(m, fields)
        self._send_message(m)

    def authentication_succeeded(self) -> None:
        """To be called while USERAUTH_SUCCESS is handled: delayed compression begins."""
        self._auth_trigger()
        self.peer_kex_init = b""
        self.wire.relax()

    def send_unimplemented(self, sequence_number: int) -> None:
        m = Message()
        m.add_byte(cMSG_UNIMPLEMENTED)
        m.add_int(sequence_number)
        self.packetizer.send_message(m)

    def request_global(self, name: str) -> asyncio.Future[bool]:
        """Send a global request; the future gives the answer, False when the transport ends."""
        reply: asyncio.Future[bool] = self.loop.create_future()

        def settle(answer: bytes | None) -> None:
            if not reply.done():
                reply.set_result(answer is not None)

        self._ask_globally(name, b"", settle)
        return reply

    def ask_global(
        self,
        name: str,
        payload: bytes,
        hear: Callable[[bytes | None], object] = lambda answer: None,
    ) -> asyncio.Future[bytes | None]:
        """
        Send a global request whose answer is more than yes.

        Args:
            hear: Told the answer before anything is read that the peer sent after it.

        Returns:
            A future of what the answer carries; None for no, and when the transport ends.
        """
        reply: asyncio.Future[bytes | None] = self.loop.create_future()

        def settle(answer: bytes | None) -> None:
            hear(answer)
            if not reply.done():
                reply.set_result(answer)

        self._ask_globally(name, payload, settle)
        return reply

    def _ask_globally(
        self, name: str, payload: bytes, settle: Callable[[bytes | None], None]
    ) -> None:
        m = Message()
        m.add_byte(cMSG_GLOBAL_REQUEST)
        m.add_string(name)
        m.add_boolean(True)
        m.add_bytes(payload)
        self._global_replies.append(settle)
        self._send_user_message(m)

    # -- channels

    def open_loop_channel(
        self, kind: str, receiver: Receiver, *fields: bytes | str | int | bool
    ) -> LoopChannel:
        """
        Ask for a channel; its `opened` is set when the answer came or the transport ended.

        Args:
            fields: What the kind of channel adds to the request. Source: RFC 4254 section 5.1.
        """
        with self.lock:
            chanid = self._next_channel()
            channel = LoopChannel(chanid, receiver, self.loop)
            self._channels.put(chanid, channel)
            self.channel_events[chanid] = channel.opened
            self._note_channel(chanid)
            channel._set_transport(self)
            channel._set_window(WINDOW_BYTES, CHANNEL_PACKET_BYTES)
        m = Message()
        m.add_byte(cMSG_CHANNEL_OPEN)
        m.add_string(kind)
        m.add_int(chanid)
        m.add_int(WINDOW_BYTES)
        m.add_int(CHANNEL_PACKET_BYTES)
        add_fields(m, fields)
        self._send_user_message(m)
        return channel

    def accept_channels(self, kind: str, accept: Callable[[], IncomingReceiver | None]) -> None:
        """
        Let the server open channels of this kind; all others are refused (S09).

        Args:
            accept: Returns what receives a new channel, or None to refuse it. Called on the loop's
                thread, inside the transport: it must not block.
        """

        def answer(offer: ChannelOffer) -> None:
            receiver = accept()
            if receiver is None:
                offer.refuse(4, "too many")  # SSH_OPEN_RESOURCE_SHORTAGE
            else:
                offer.accept(receiver)

        self.take_offers(kind, answer)

    def take_offers(self, kind: str, take: Callable[[ChannelOffer], None]) -> None:
        """
        Let the server ask for channels of this kind; see `accept_channels`.

        Args:
            take: Given each request; answers it, now or later. It must not block or raise.
        """
        self._takers[kind] = take

    def accept_offer(self, offer: ChannelOffer, receiver: IncomingReceiver) -> LoopChannel | None:
        """Open a channel the server asked for; None if the transport has ended."""
        if not self.active:
            return None
        with self.lock:
            chanid = self._next_channel()
            channel = LoopChannel(chanid, receiver, self.loop)
            self._channels.put(chanid, channel)
            self._note_channel(chanid)
            channel._set_transport(self)
            channel._set_window(WINDOW_BYTES, CHANNEL_PACKET_BYTES)
            channel._set_remote_channel(offer.remote_id, offer.window_bytes, offer.packet_bytes)
        receiver.channel = channel
        answer = Message()
        answer.add_byte(cMSG_CHANNEL_OPEN_SUCCESS)
        add_fields(answer, (offer.remote_id, chanid, WINDOW_BYTES, CHANNEL_PACKET_BYTES))
        self._send_user_message(answer)
        return channel

    def refuse_offer(self, offer: ChannelOffer, code: int, text: str) -> None:
        """Refuse a channel the server asked for."""
        answer = Message()
        answer.add_byte(cMSG_CHANNEL_OPEN_FAILURE)
        add_fields(answer, (offer.remote_id, code, text, "en"))
        self._send_user_message(answer)

    def _note_channel(self, chanid: int) -> None:
        """
        Remember a channel, for what the peer may still send on it when it is closed.

        Those closed longest ago are forgotten: a forwarding opens channels for weeks.
        """
        self.channels_seen.pop(chanid, None)
        self.channels_seen[chanid] = True
        for _ in range(8):  # more than one, to catch up with channels that stayed open
            if len(self.channels_seen) <= MAX_CHANNELS_SEEN:
                break
            oldest = next(iter(self.channels_seen))
            del self.channels_seen[oldest]
            if self._channels.get(oldest) is not None or oldest in self._abandoned:
                self.channels_seen[oldest] = True

    def send_user_message(self, data: Message) -> None:
        """Send, or hold back in order while keys are exchanged; never waits. Any thread."""
        self._send_user_message(data)

    def unlink_channel(self, chanid: int) -> None:
        self._unlink_channel(chanid)

    def forget_channel(self, channel: LoopChannel) -> None:
        """Stop waiting for an open: a success, late or just in time, is answered with CLOSE."""
        with self.lock:
            if self.channel_events.pop(channel.chanid, None) is not None:
                self._channels.delete(channel.chanid)
                self._abandoned.add(channel.chanid)
        channel.close()  # it may have been opened at the same moment

    def open_channel(self, *args: Any, **kwargs: Any) -> paramiko.Channel:
        """Paramiko's blocking call, for worker threads only."""
        self.refuse_on_loop()
        channel = super().open_channel(*args, **kwargs)
        channel.__class__ = ThreadChannel
        return channel

    def global_request(self, kind: str, data: Any = None, wait: bool = True) -> Any:
        """Paramiko's blocking call, for worker threads only when it waits."""
        if wait:
            self.refuse_on_loop()
        return super().global_request(kind, data, wait)

    def start_client(self, event: Any = None, timeout: float | None = None) -> None:
        """Paramiko's call, which waits if it is given no event."""
        if event is None:
            self.refuse_on_loop()
        super().start_client(event, timeout)

    accept = _for_threads("accept")
    renegotiate_keys = _for_threads("renegotiate_keys")
    auth_none = _for_threads("auth_none")
    auth_password = _for_threads("auth_password")
    auth_publickey = _for_threads("auth_publickey")
    auth_interactive = _for_threads("auth_interactive")
    auth_interactive_dumb = _for_threads("auth_interactive_dumb")

    # -- handlers that differ from Paramiko's

    # The RFC's name of what Paramiko knows only under its older one. Source: RFC 8731.
    _kex_info = {  # noqa: RUF012 - Paramiko's own shape; never changed
        **paramiko.Transport._kex_info,
        "curve25519-sha256": KexCurve25519,
    }

    # Delayed compression only, and bounded. Source: OpenSSH PROTOCOL section 1.2.
    _compression_info = {  # noqa: RUF012 - Paramiko's own shape; never changed
        "zlib@openssh.com": (ZlibCompressor, BoundedDecompressor),
        "none": (None, None),
    }

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host key algorithms in the order set; stock code adds certificates to them."""
        return tuple(self._preferred_keys)

    def _filter_algorithm(self, type_: str) -> tuple[str, ...]:
        """Return what `use_algorithms` set; nothing is disabled in any other way."""
        offered: tuple[str, ...] = getattr(self, f"_preferred_{type_}")
        return offered

    def _log(self, level: int, msg: object, *args: object) -> None:
        if self.logger.isEnabledFor(level):
            super()._log(level, msg, *args)

    def _check_banner(self) -> None:
        # Our KEXINIT does not depend on the peer's version: sending it now saves a round trip.
        self._send_kex_init()
        self._kexinit_is_early = True
        line = self.packetizer.readline(0)
        while not line.startswith("SSH-"):
            self.banner_lines.append(line)
            line = self.packetizer.readline(0)
        self.remote_version = line
        version = line.split("-", 2)[1] if line.count("-") >= 2 else ""
        if version not in ("2.0", "1.99"):
            raise PeerMisbehaved(
                "banner.ssh1", f"the peer speaks SSH {version or 'without a version'}"
            )

    def _send_kex_init(self) -> None:
        if self._kexinit_is_early:
            self._kexinit_is_early = False
            return
        with self.clear_to_send_lock:
            self.clear_to_send.clear()
        self.in_kex = True
        lists = render_offer(
            self.preferred_kex,
            self.preferred_keys,
            self.preferred_ciphers,
            self.preferred_macs,
            self.preferred_compression,
        )
        self.local_kex_init = cMSG_KEXINIT + os.urandom(COOKIE_BYTES) + lists
        self._latest_kex_init = self.local_kex_init
        self._send_message(Message(self.local_kex_init))

    def _parse_kex_init(self, m: Message) -> None:
        """
        Agree on algorithms; hosts that offer the same as one before are not worked out again.

        What is agreed on depends on the two offers alone, and those of a fleet are mostly equal.
        """
        self.peer_kex_init = raw = m.asbytes()
        offers = (raw[COOKIE_BYTES:], self._offer, self.agreed_on_strict_kex)
        agreed = self._agreements.get(offers)
        if agreed is None:
            try:
                super()._parse_kex_init(m)
            except paramiko.IncompatiblePeer:
                m.rewind()
                self.peer_offer = self._really_parse_kex_init(m)
                raise
            if len(self._agreements) < MAX_AGREEMENTS and len(raw) <= MAX_REMEMBERED_BYTES:
                parsed_bytes = len(m.get_so_far())
                theirs = self._kex_names(m)
                self._agreements[offers] = Agreement(
                    kex=next(name for name in self.preferred_kex if name in theirs),
                    values={name: getattr(self, name) for name in AGREED_ATTRIBUTES},
                    parsed_bytes=parsed_bytes,
                )
            return
        for name, value in agreed.values.items():
            setattr(self, name, value)
        if self.agreed_on_strict_kex and not self.initial_kex_done and m.seqno != 0:
            raise paramiko.MessageOrderError(
                "In strict-kex mode, but KEXINIT was not the first packet!"
            )
        self.kex_engine = self._kex_info[agreed.kex](self)
        self.remote_kex_init = cMSG_KEXINIT + raw[: agreed.parsed_bytes]

    def _kex_names(self, m: Message) -> list[str]:
        m.rewind()
        names: list[str] = self._really_parse_kex_init(m)["kex_algo_list"]
        return names

    def _compute_key(self, id: str, nbytes: int) -> bytes:  # noqa: A002 - Paramiko's name
        """Derive a key; the shared secret is encoded once. Source: RFC 4253 section 7.2."""
        if self._secret_of is not self.H:
            m = Message()
            self._add_K(m)
            m.add_bytes(self.H)
            self._secret, self._secret_of = m.asbytes(), self.H
        digest = self.kex_engine.hash_algo
        key: bytes = digest(self._secret + id.encode() + self.session_id).digest()
        while len(key) < nbytes:
            key += digest(self._secret + key).digest()
        return key[:nbytes]

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        if self.host_key_blob is not None and self.host_key_blob != host_key:
            raise PeerMisbehaved("hostkey.changed", "the host key changed while connected")
        super()._verify_key(host_key, sig)
        self.host_key_blob = host_key
        self.host_key_signature = self.host_key_signature or sig

    def _parse_ext_info(self, m: Message) -> None:
        # Paramiko counts to whatever number comes, up to four billion, with every host waiting.
        count = m.get_int()
        if count > MAX_EXTENSIONS:
            raise PeerMisbehaved("kex.protocol", f"the peer announced {count} extensions")
        m.rewind()
        super()._parse_ext_info(m)

    def _parse_disconnect(self, m: Message) -> None:
        code = m.get_int()
        self.disconnected = (code, _reason(m))

    def _parse_debug(self, m: Message) -> None:
        """
        Note whether our key runs one command only.

        Source: sshd 9.2, which tells the options of the key in authorized_keys after the login.
        """
        m.get_boolean()
        _, has_options, options = m.get_string()[:MAX_REASON_BYTES].partition(b" key options:")
        if has_options and b"command" in options.split():
            self.is_forced = True

    def _parse_unimplemented(self, m: Message) -> None:
        """The peer did not understand something we can do without."""

    def _parse_global_request(self, m: Message) -> None:
        """Take the host keys a server announces; stock code refuses everything else."""
        if m.get_string() == b"hostkeys-00@openssh.com" and not m.get_boolean():
            if self.on_host_keys is not None:
                self.on_host_keys(m.get_remainder())
            return
        m.rewind()
        super()._parse_global_request(m)

    def _parse_request_success(self, m: Message) -> None:
        if not self._settle_global_reply(m.get_remainder()):
            super()._parse_request_success(m)

    def _parse_request_failure(self, m: Message) -> None:
        if not self._settle_global_reply(None):
            super()._parse_request_failure(m)

    def _settle_global_reply(self, answer: bytes | None) -> bool:
        if not self._global_replies:
            return False
        self._global_replies.popleft()(answer)
        return True

    def _parse_channel_open(self, m: Message) -> None:
        """Let the server open what was agreed to. Source: RFC 4254 section 5.1."""
        kind = m.get_binary().decode("ascii", "replace")
        offer = ChannelOffer(self, m.get_int(), m.get_int(), m.get_int(), m)
        take = self._takers.get(kind)
        if take is not None:
            take(offer)
        elif kind in CHANNEL_KINDS:
            offer.refuse(1, "not asked for")  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
        else:
            offer.refuse(3, "unknown")  # SSH_OPEN_UNKNOWN_CHANNEL_TYPE

    def _parse_channel_open_success(self, m: Message) -> None:
        chanid = m.get_int()
        if chanid not in self._abandoned:
            channel = self._channels.get(chanid)
            if not (isinstance(channel, LoopChannel) and channel.active):  # answered already
                m.rewind()
                super()._parse_channel_open_success(m)
            return
        self._abandoned.discard(chanid)
        close = Message()
        close.add_byte(cMSG_CHANNEL_CLOSE)
        close.add_int(m.get_int())
        self._send_user_message(close)

    def _parse_channel_open_failure(self, m: Message) -> None:
        chanid = m.get_int()
        channel = self._channels.get(chanid)
        self._abandoned.discard(chanid)
        if not isinstance(channel, LoopChannel):
            m.rewind()
            super()._parse_channel_open_failure(m)
            return
        if channel.active:  # answered already
            return
        # Paramiko would note the reason on the transport, where another channel's caller finds it.
        reason = m.get_int()
        text = _reason(m)
        channel.open_refused = (reason, text)
        with self.lock:
            self._channels.delete(chanid)
            self.channel_events.pop(chanid, None)
        channel.opened.set()

    _channel_handler_table = {  # noqa: RUF012 - Paramiko's own shape; never changed
        MSG_CHANNEL_SUCCESS: lambda channel, m: channel._request_success(m),
        MSG_CHANNEL_FAILURE: lambda channel, m: channel._request_failed(m),
        MSG_CHANNEL_DATA: lambda channel, m: channel._feed(m),
        MSG_CHANNEL_EXTENDED_DATA: lambda channel, m: channel._feed_extended(m),
        MSG_CHANNEL_WINDOW_ADJUST: lambda channel, m: channel._window_adjust(m),
        MSG_CHANNEL_REQUEST: lambda channel, m: channel._handle_request(m),
        MSG_CHANNEL_EOF: lambda channel, m: channel._handle_eof(m),
        MSG_CHANNEL_CLOSE: lambda channel, m: channel._handle_close(m),
    }
