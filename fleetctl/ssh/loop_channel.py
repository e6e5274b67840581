"""
Channels whose data goes to a receiver on the loop instead of pipes for blocking readers.

Overrides what `paramiko.Transport` calls on a channel; uses no private name of Paramiko itself.
Source: RFC 4254 section 5.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import paramiko
from paramiko.common import (
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_SUCCESS,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EOF,
    cMSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_WINDOW_ADJUST,
)
from paramiko.message import Message

WINDOW_BYTES = 2 * 1024 * 1024
CHANNEL_PACKET_BYTES = 32 * 1024

#: What a message costs beside its data, so that a full packet stays below the peer's limit.
CHANNEL_OVERHEAD_BYTES = 64

_EXTENDED_STDERR = 1

StreamName = Literal["stdout", "stderr"]


def add_fields(m: Message, fields: Iterable[bytes | str | int | bool]) -> None:
    """Append fields in the encodings of RFC 4251 section 5: boolean, uint32, string."""
    for field in fields:
        if isinstance(field, bool):
            m.add_boolean(field)
        elif isinstance(field, int):
            m.add_int(field)
        else:
            m.add_string(field)


class LoopEvent:
    """
    Looks like `threading.Event` to Paramiko; waiting for it is awaiting `future`.
    """

    __slots__ = ("_loop", "_thread", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self.future: asyncio.Future[None] = loop.create_future()

    def set(self) -> None:
        if threading.get_ident() == self._thread:
            self._settle()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def is_set(self) -> bool:
        return self.future.done()


class ChannelHost(Protocol):
    """What a channel needs of its transport."""

    def send_user_message(self, data: Message) -> None: ...

    def unlink_channel(self, chanid: int) -> None: ...

    def report_bug(self, bug: BaseException) -> None: ...


class Receiver(Protocol):
    """Who gets what arrives on a channel; called on the loop's thread."""

    def data_received(self, stream: StreamName, data: bytes) -> None: ...

    def eof_received(self) -> None: ...

    def request_received(self, name: str, message: Message) -> bool:
        """Handle a request of the server; True if it is understood."""
        ...

    def reply_received(self, *, success: bool) -> None:
        """The answer to the oldest of our requests that wanted one."""
        ...

    def window_opened(self) -> None: ...

    def channel_closed(self, *, lost: bool) -> None:
        """Nothing more will come; `lost` if the transport ended rather than the channel."""
        ...

    def failed(self, bug: BaseException) -> None:
        """One of the calls above raised; the channel is closed."""
        ...


class IncomingReceiver(Receiver, Protocol):
    """The receiver of a channel that the server opened; `channel` is set before anything comes."""

    channel: LoopChannel | None


class ChannelOffers(Protocol):
    """What a channel that the server wants to open needs of its transport."""

    def accept_offer(
        self, offer: ChannelOffer, receiver: IncomingReceiver
    ) -> LoopChannel | None: ...

    def refuse_offer(self, offer: ChannelOffer, code: int, text: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class ChannelOffer:
    """
    A channel that the server wants to open; answered once, at once or later.

    Attributes:
        transport: Where it came from.
        remote_id: The server's number of the channel; `window_bytes` and `packet_bytes` are its
            limits.
        fields: What the kind of channel adds to the request.

    Source: RFC 4254 section 5.1.
    """

    transport: ChannelOffers
    remote_id: int
    window_bytes: int
    packet_bytes: int
    fields: Message

    def accept(self, receiver: IncomingReceiver) -> LoopChannel | None:
        """Open it; None if the transport has ended meanwhile."""
        return self.transport.accept_offer(self, receiver)

    def refuse(self, code: int, text: str) -> None:
        """Refuse it with a reason code of the RFC."""
        self.transport.refuse_offer(self, code, text)


class LoopChannel(paramiko.Channel):
    """
    A channel that hands what arrives to a `Receiver` instead of pipes.

    Paramiko's constructor is not called: it builds pipes, locks and events that only blocking
    callers need. Source: RFC 4254 section 5.
    """

    def __init__(self, chanid: int, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        self.chanid = chanid
        self.remote_chanid = 0
        self.transport: ChannelHost | None = None
        self.active = False
        self.closed = False
        self.eof_sent = False
        self.eof_received = False
        self.in_window_sofar = 0
        self.in_window_threshold = 0
        self.out_window_size = 0
        self.out_max_packet_size = 0
        self.opened = LoopEvent(loop)
        self.open_refused: tuple[int, str] | None = None
        self._receiver = receiver
        self._reading_paused = False

    def __del__(self) -> None:
        """Nothing to close: whoever owns the channel closes it."""

    def __repr__(self) -> str:
        return f"<LoopChannel {self.chanid}>"

    # -- sending

    def request(
        self, name: str, *fields: bytes | str | int | bool, want_reply: bool = True
    ) -> None:
        """
        Send a channel request; its answer comes to `Receiver.reply_received`, in order.

        On a channel that is not open nothing is sent: the server would take it for another one's,
        or end the connection.
        """
        if not self.active or self.closed:
            return
        m = self._message(cMSG_CHANNEL_REQUEST)
        m.add_string(name)
        m.add_boolean(want_reply)
        add_fields(m, fields)
        self._send_to_peer(m)

    def write(self, data: memoryview) -> int:
        """Send as much as the peer's window takes, at most one packet; return how much that was."""
        size = min(
            len(data), self.out_window_size, self.out_max_packet_size - CHANNEL_OVERHEAD_BYTES
        )
        if size <= 0 or self.closed or self.eof_sent:
            return 0
        m = self._message(cMSG_CHANNEL_DATA)
        m.add_string(bytes(data[:size]))
        self.out_window_size -= size
        self._send_to_peer(m)
        return size

    def write_eof(self) -> None:
        if self.active and not self.eof_sent and not self.closed:
            self.eof_sent = True
            self._send_to_peer(self._message(cMSG_CHANNEL_EOF))

    def close(self) -> None:
        """Close our side; what still arrives is dropped."""
        if self.active and not self.closed:
            self._send_to_peer(self._message(cMSG_CHANNEL_CLOSE))
        self.closed = True

    def pause_reading(self) -> None:
        """Stop giving the peer window; it stops when the present one is used up."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._acknowledge(0)

    def _message(self, kind: bytes) -> Message:
        m = Message()
        m.add_byte(kind)
        m.add_int(self.remote_chanid)
        return m

    def _send_to_peer(self, m: Message) -> None:
        if self.transport is not None:
            self.transport.send_user_message(m)

    def _acknowledge(self, size: int) -> None:
        self.in_window_sofar += size
        if self._reading_paused or self.closed or self.in_window_sofar <= self.in_window_threshold:
            return
        m = self._message(cMSG_CHANNEL_WINDOW_ADJUST)
        m.add_int(self.in_window_sofar)
        self.in_window_sofar = 0
        self._send_to_peer(m)

    # -- called by the transport

    def _set_transport(self, transport: ChannelHost) -> None:
        self.transport = transport

    def _set_window(self, window_size: int, max_packet_size: int) -> None:
        self.in_window_threshold = window_size // 10

    def _set_remote_channel(self, chanid: int, window_size: int, max_packet_size: int) -> None:
        self.remote_chanid = chanid
        self.out_window_size = window_size
        self.out_max_packet_size = min(max_packet_size, CHANNEL_PACKET_BYTES)
        self.active = True

    def _deliver(self, call: Callable[[], object]) -> None:
        """Rule 5: what a receiver raises never reaches Paramiko's handlers."""
        try:
            call()
        except Exception as bug:  # noqa: BLE001 - rule 5
            if self.transport is not None:
                self.transport.report_bug(bug)
            self.close()
            # The server may not answer before the command has ended.
            self._receiver.failed(bug)

    def _feed(self, m: Message) -> None:
        data = m.get_binary()
        if not self.closed:
            self._deliver(lambda: self._receiver.data_received("stdout", data))
            self._acknowledge(len(data))

    def _feed_extended(self, m: Message) -> None:
        code = m.get_int()
        data = m.get_binary()
        if not self.closed:
            if code == _EXTENDED_STDERR:
                self._deliver(lambda: self._receiver.data_received("stderr", data))
            self._acknowledge(len(data))

    def _window_adjust(self, m: Message) -> None:
        self.out_window_size += m.get_int()
        self._deliver(self._receiver.window_opened)

    def _handle_request(self, m: Message) -> None:
        name = m.get_text()
        want_reply = m.get_boolean()
        understood = False

        def deliver() -> None:
            nonlocal understood
            understood = self._receiver.request_received(name, m)

        self._deliver(deliver)
        if want_reply and not self.closed:
            self._send_to_peer(
                self._message(bytes([MSG_CHANNEL_SUCCESS if understood else MSG_CHANNEL_FAILURE]))
            )

    def _request_success(self, m: Message) -> None:
        self._deliver(lambda: self._receiver.reply_received(success=True))

    def _request_failed(self, m: Message) -> None:
        self._deliver(lambda: self._receiver.reply_received(success=False))

    def _handle_eof(self, m: Message) -> None:
        self.eof_received = True
        self._deliver(self._receiver.eof_received)

    def _handle_close(self, m: Message) -> None:
        self.close()
        if self.transport is not None:
            self.transport.unlink_channel(self.chanid)
        self._deliver(lambda: self._receiver.channel_closed(lost=False))

    def _unlink(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.unlink_channel(self.chanid)
        self._deliver(lambda: self._receiver.channel_closed(lost=True))
        self.opened.set()
