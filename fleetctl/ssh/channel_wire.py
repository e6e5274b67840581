"""
The byte stream to a host behind a gateway, or of a forwarding: one channel of a transport.

Looks like a socket to whoever is above it. Flow control works both ways: a transport whose socket
is full, or whose peer gives no window, stops whoever writes; a reader that has paused stops the
window. Never sends on a channel after its CLOSE, which sshd answers by ending the whole connection
(ADR 0006). Source: RFC 4254 sections 5 and 7.2.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from paramiko.message import Message

from fleetctl.ssh.loop_channel import LoopChannel, StreamName
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.wire import StreamClosed, StreamOwner

#: Whoever writes is stopped above the one, and goes on below the other.
HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = 16 * 1024
#: Sent at most this much of one stream before others on the loop have their turn.
BURST_BYTES = 64 * 1024
#: A stream that is closed has this long for what is still to be sent.
CLOSE_GRACE_S = 1.0


class ChannelWire:
    """
    One channel as a `fleetctl.ssh.wire.Wire`; also the `Receiver` of that channel.

    Attributes:
        channel: Its `opened` is set when the peer has answered; None if the peer opens it and has
            not been answered.
        finished: Set when nothing more of the channel can come or be sent.
    """

    def __init__(self, transport: LoopTransport, *, lost: Callable[[], ConnectionError]) -> None:
        """
        Args:
            transport: Logged in and active.
            lost: Says how the transport ended, once it has.
        """
        self._transport = transport
        self._lost = lost
        self._owner: StreamOwner | None = None
        self._incoming: list[bytes] = []
        self._is_paused = False
        self._delivers_soon = False
        # How the stream ended for its reader: first the peer's EOF, then what closed the channel.
        self._ends: deque[Callable[[], BaseException | None]] = deque()
        self._had_eof = False
        self._outgoing: deque[memoryview] = deque()
        self._outgoing_bytes = 0
        self._is_held = False
        self._awaits_transport = False
        self._sends_soon = False
        self._is_closing = False
        # No more will be written; the channel is closed when the peer says so too.
        self._is_ending = False
        self._last_call: asyncio.TimerHandle | None = None
        self.finished: asyncio.Future[None] = transport.loop.create_future()
        self.channel: LoopChannel | None = None

    def open(self, kind: str, *fields: bytes | str | int | bool) -> LoopChannel:
        """
        Ask for a channel.

        Args:
            kind: Type of the channel, and `fields` what it adds to the request.
        """
        self.channel = self._transport.open_loop_channel(kind, self, *fields)
        return self.channel

    # -- for the owner

    def attach(self, owner: StreamOwner) -> None:
        """Hand over what came so far, and everything from now on."""
        self._owner = owner
        self._deliver_soon()

    def relax(self) -> None:
        """Acknowledgements are the gateway's business."""

    def write(self, data: bytes) -> None:
        if self._is_closing or self._is_ending or not data:
            return
        self._outgoing.append(memoryview(data))
        self._outgoing_bytes += len(data)
        if len(self._outgoing) == 1:
            self._push()
        if self._outgoing_bytes > HIGH_WATER_BYTES and not self._is_held:
            self._hold(paused=True)

    def write_eof(self) -> None:
        """
        Write no more; what was written is still sent, then EOF.

        The channel is closed once the peer's EOF was read as well. Source: RFC 4254 section 5.3.
        """
        self._is_ending = True
        self._push()

    def pause_reading(self) -> None:
        self._is_paused = True
        if self.channel is not None:
            self.channel.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        if self.channel is not None:
            self.channel.resume_reading()
        self._deliver_soon()

    def abort(self) -> None:
        """Close the channel without sending what is still to be sent."""
        self._is_closing = True
        self._owner = None
        self._incoming.clear()
        self._drop_outgoing()
        self._close_channel()

    # -- what Paramiko asks of a socket

    def settimeout(self, timeout: float | None) -> None:
        """Nothing waits on this object, so there is nothing to limit."""

    def getpeername(self) -> object:
        return ("unknown", 0)

    def close(self) -> None:
        """Close after what was written has been sent, or cannot be for `CLOSE_GRACE_S`."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._outgoing and self.channel is not None and not self.channel.closed:
            self._last_call = self._transport.loop.call_later(CLOSE_GRACE_S, self.abort)
        else:
            self._close_channel()

    def _close_channel(self) -> None:
        if self._last_call is not None:
            self._last_call.cancel()
        if self.channel is None:
            self._finish()
        elif self.channel.active or self.channel.closed:
            self.channel.close()
        else:
            # Nobody knows yet whether it will be opened.
            self._transport.forget_channel(self.channel)
            self._finish()

    def _finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    # -- sending

    def _push(self) -> None:
        """Send what may be sent now, and see to it that the rest follows."""
        self._sends_soon = False
        channel, sent = self.channel, 0
        if channel is None:
            return
        while self._outgoing and not channel.closed:
            if not self._transport.can_write:
                self._await_transport()
                break
            if sent >= BURST_BYTES:
                self._send_soon()
                break
            head = self._outgoing[0]
            size = channel.write(head)
            if not size:
                break  # `window_opened` goes on
            sent += size
            if size == len(head):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = head[size:]
        self._outgoing_bytes -= sent
        if channel.closed:
            self._drop_outgoing()
        if self._is_held and self._outgoing_bytes <= LOW_WATER_BYTES:
            self._hold(paused=False)
        if self._outgoing:
            return
        if self._is_ending:
            channel.write_eof()
        if self._is_closing or (self._is_ending and self._had_eof and not self._ends):
            self._close_channel()

    def _send_soon(self) -> None:
        if not self._sends_soon:
            self._sends_soon = True
            self._transport.loop.call_soon(self._push)

    def _await_transport(self) -> None:
        if not self._awaits_transport:
            self._awaits_transport = True
            self._transport.next_writable().add_done_callback(self._transport_is_writable)

    def _transport_is_writable(self, _: object) -> None:
        self._awaits_transport = False
        self._push()

    def _hold(self, *, paused: bool) -> None:
        self._is_held = paused
        if self._owner is not None:
            self._owner.write_pressure(paused=paused)

    def _drop_outgoing(self) -> None:
        self._outgoing.clear()
        self._outgoing_bytes = 0

    # -- Receiver; called while the gateway's packets are read

    def data_received(self, stream: StreamName, data: bytes) -> None:
        if stream == "stdout" and not self._is_closing:
            self._incoming.append(data)
            self._deliver_soon()

    def eof_received(self) -> None:
        self._had_eof = True
        self._ended(lambda: None)

    def request_received(self, name: str, message: Message) -> bool:
        return False

    def reply_received(self, *, success: bool) -> None:
        """Nothing is requested on these channels."""

    def window_opened(self) -> None:
        if self._outgoing:
            self._send_soon()

    def channel_closed(self, *, lost: bool) -> None:
        if lost:
            self._ended(self._lost)
        else:
            if not self._had_eof:
                self.eof_received()
            self._ended(StreamClosed)
        if self._last_call is not None:
            self._last_call.cancel()
        self._finish()

    def failed(self, bug: BaseException) -> None:
        self._ended(lambda: bug)

    # -- receiving

    def _ended(self, error: Callable[[], BaseException | None]) -> None:
        self._ends.append(error)
        self._deliver_soon()

    def _deliver_soon(self) -> None:
        """
        Give the owner what came, in a turn of its own.

        Not at once: this runs inside the gateway's greenlet, and the owner has one as well.
        """
        if not self._delivers_soon:
            self._delivers_soon = True
            self._transport.loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._delivers_soon = False
        if self._incoming and self._is_wanted():
            data = self._incoming[0] if len(self._incoming) == 1 else b"".join(self._incoming)
            self._incoming.clear()
            assert self._owner is not None
            self._owner.bytes_received(data)
        # The owner may have paused, or have closed this, on what it read.
        while self._ends and self._is_wanted():
            error = self._ends.popleft()()
            owner = self._owner
            assert owner is not None
            if error is not None:
                self._owner = None
            owner.stream_ended(error)
        if self._had_eof and not self._ends and self._is_ending:
            self._push()

    def _is_wanted(self) -> bool:
        return self._owner is not None and not self._is_paused
