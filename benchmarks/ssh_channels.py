"""
Session channels of one connection to the cheap server, and the answers to its commands.

Takes message payloads, gives message payloads to a function; how they travel is `ssh_login`.

Source: RFC 4254.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ssh_packets import MalformedPacketError, Reader, string, u32

MSG_CHANNEL_OPEN, MSG_CHANNEL_OPEN_CONFIRMATION, MSG_CHANNEL_OPEN_FAILURE = 90, 91, 92
MSG_CHANNEL_WINDOW_ADJUST, MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA = 93, 94, 95
MSG_CHANNEL_EOF, MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST = 96, 97, 98
MSG_CHANNEL_SUCCESS, MSG_CHANNEL_FAILURE = 99, 100

WINDOW_BYTES = 2 * 1024 * 1024
PACKET_BYTES = 32 * 1024


@dataclass
class Counters:
    """What the whole server has done so far."""

    connections: int = 0
    logins: int = 0
    execs: int = 0


@dataclass(frozen=True)
class Answer:
    """What a command 'printed' and its exit status."""

    stdout: bytes
    exit_status: int


@dataclass
class Channel:
    """One session channel; ``pending`` is output that waits for window."""

    remote: int
    window: int
    max_packet: int
    pending: bytes = b""
    exit_status: int | None = None
    received: int = 0
    close_sent: bool = False


def answer_command(command: bytes) -> Answer:
    """
    The answer a POSIX shell would give to ``echo TEXT`` or ``exit N``; the text itself for others.

    The text is taken as written: no quoting, no expansion.
    """
    verb, _, rest = command.partition(b" ")
    if verb == b"exit" and rest.isdigit():
        return Answer(b"", int(rest) & 0xFF)
    return Answer((rest if verb == b"echo" else command) + b"\n", 0)


class SessionChannels:
    """All channels of one connection."""

    def __init__(self, send: Callable[[bytes], None], counters: Counters) -> None:
        self._send = send
        self._counters = counters
        self._channels: dict[int, Channel] = {}

    def take(self, payload: bytes) -> bool:
        """Handle one message; False if its number is not one of a channel."""
        handler = _HANDLERS.get(payload[0])
        if handler is None:
            return False
        handler(self, payload)
        return True

    def _take_open(self, payload: bytes) -> None:
        reader = Reader(payload)
        kind, remote, window, max_packet = (
            reader.string(),
            reader.u32(),
            reader.u32(),
            reader.u32(),
        )
        if kind != b"session":
            # Reason 3, unknown channel type (RFC 4254, 5.1).
            refusal = u32(remote) + u32(3) + string(b"session channels only") + string(b"")
            self._send(bytes((MSG_CHANNEL_OPEN_FAILURE,)) + refusal)
            return
        # The lowest free number, as sshd does: clients that pipeline count on 0 being first.
        local = 0
        while local in self._channels:
            local += 1
        self._channels[local] = Channel(remote, window, max_packet)
        confirmation = u32(remote) + u32(local) + u32(WINDOW_BYTES) + u32(PACKET_BYTES)
        self._send(bytes((MSG_CHANNEL_OPEN_CONFIRMATION,)) + confirmation)

    def _channel(self, reader: Reader) -> tuple[int, Channel]:
        local = reader.u32()
        try:
            return local, self._channels[local]
        except KeyError:
            raise MalformedPacketError(f"message for nonexistent channel {local}") from None

    def _take_window_adjust(self, payload: bytes) -> None:
        reader = Reader(payload)
        _, channel = self._channel(reader)
        channel.window += reader.u32()
        self._pump(channel)

    def _take_data(self, payload: bytes) -> None:
        _, channel = self._channel(Reader(payload))
        channel.received += len(payload) - 9
        if channel.received > WINDOW_BYTES // 2 and not channel.close_sent:
            adjustment = u32(channel.remote) + u32(channel.received)
            self._send(bytes((MSG_CHANNEL_WINDOW_ADJUST,)) + adjustment)
            channel.received = 0

    def _take_eof(self, payload: bytes) -> None:
        self._channel(Reader(payload))

    def _take_close(self, payload: bytes) -> None:
        local, channel = self._channel(Reader(payload))
        del self._channels[local]
        if not channel.close_sent:
            self._send(bytes((MSG_CHANNEL_CLOSE,)) + u32(channel.remote))

    def _take_request(self, payload: bytes) -> None:
        reader = Reader(payload)
        _, channel = self._channel(reader)
        kind, wants_reply = reader.string(), reader.is_true()
        is_exec = kind == b"exec" and channel.exit_status is None
        if wants_reply and not channel.close_sent:
            accepted = is_exec or kind == b"env"
            verdict = MSG_CHANNEL_SUCCESS if accepted else MSG_CHANNEL_FAILURE
            self._send(bytes((verdict,)) + u32(channel.remote))
        if is_exec:
            self._counters.execs += 1
            answer = answer_command(reader.string())
            channel.pending, channel.exit_status = answer.stdout, answer.exit_status
            self._pump(channel)

    def _pump(self, channel: Channel) -> None:
        """Send as much output as the window allows, and the ending once all is sent."""
        remote = u32(channel.remote)
        while channel.pending and channel.window:
            length = min(len(channel.pending), channel.window, channel.max_packet)
            self._send(bytes((MSG_CHANNEL_DATA,)) + remote + string(channel.pending[:length]))
            channel.pending = channel.pending[length:]
            channel.window -= length
        if channel.pending or channel.exit_status is None or channel.close_sent:
            return
        self._send(bytes((MSG_CHANNEL_EOF,)) + remote)
        status = string(b"exit-status") + b"\0" + u32(channel.exit_status)
        self._send(bytes((MSG_CHANNEL_REQUEST,)) + remote + status)
        self._send(bytes((MSG_CHANNEL_CLOSE,)) + remote)
        channel.close_sent = True


_HANDLERS: Mapping[int, Callable[[SessionChannels, bytes], None]] = {
    MSG_CHANNEL_OPEN: SessionChannels._take_open,
    MSG_CHANNEL_WINDOW_ADJUST: SessionChannels._take_window_adjust,
    MSG_CHANNEL_DATA: SessionChannels._take_data,
    MSG_CHANNEL_EXTENDED_DATA: SessionChannels._take_data,
    MSG_CHANNEL_EOF: SessionChannels._take_eof,
    MSG_CHANNEL_CLOSE: SessionChannels._take_close,
    MSG_CHANNEL_REQUEST: SessionChannels._take_request,
}
