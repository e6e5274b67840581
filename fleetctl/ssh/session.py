"""
One session channel: what arrives on it, and when it has ended.

A command has ended when the channel is closed, or a grace time after its exit status when a child
in the background keeps the stream open. Source: RFC 4254 sections 6.5 and 6.10, ADR 0005.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from paramiko.message import Message

from fleetctl.model.collector import Collector
from fleetctl.model.excerpt import first_bytes
from fleetctl.model.result import ExecResult
from fleetctl.ssh.loop_channel import LoopChannel, StreamName
from fleetctl.ssh.loop_transport import LoopTransport

#: After the exit status the channel is closed from here when nothing came for this long, or when
#: this much time is over in all.
DRAIN_S = 2.0
MAX_DRAIN_S = 10.0

#: Kept of a signal's name; the longest that is known has 4. Source: RFC 4254 section 6.10.
MAX_SIGNAL_NAME_BYTES = 32

#: Before the name of a variable, among the requests that wait for an answer.
_ENV = "env "

OutputCallback = Callable[[StreamName, bytes], "asyncio.Future[None] | None"]


class Session:
    """
    The receiver of one session channel.

    Attributes:
        ended: Set when nothing more will come, or the drain time is over.
        lost: The transport ended first.
        refused: The first request the server refused (``exec``, ``pty-req``), or None.
        answered: Set when the server has answered a request.
        accepted: The server said it started the command.
        bug: What the listener of `collect` raised, or None.
        refused_env: Variables the server did not take.
        gone: See `fleetctl.model.result.ExecResult`.
    """

    def __init__(self, transport: LoopTransport) -> None:
        self.transport = transport
        self.ended: asyncio.Future[None] = transport.loop.create_future()
        self.window = asyncio.Event()
        self.lost = False
        self.refused: str | None = None
        self.answered = asyncio.Event()
        self.accepted = False
        self.bug: BaseException | None = None
        self.exit_status: int | None = None
        self.exit_signal: str | None = None
        self.eof = False
        self.refused_env: list[str] = []
        self.gone: bool | None = None
        self._requests: deque[str] = deque()
        self._stdout = Collector(0)
        self._stderr = Collector(0)
        self._on_output: OutputCallback | None = None
        self._diverted: OutputCallback | None = None
        self._is_paused = False
        self._drain: asyncio.TimerHandle | None = None
        self._drain_ends = 0.0
        self.channel: LoopChannel = transport.open_loop_channel("session", self)

    def collect(self, max_output_bytes: int, on_output: OutputCallback | None) -> None:
        """Set what is kept, before the command is asked for."""
        self._stdout = Collector(max_output_bytes)
        self._stderr = Collector(max_output_bytes)
        self._on_output = on_output

    def divert(self, receive: OutputCallback | None) -> None:
        """Give what arrives to somebody else, who may `keep` it; None ends that."""
        self._diverted = receive

    def keep(self, stream: StreamName, data: bytes) -> None:
        """Collect these bytes as output."""
        (self._stdout if stream == "stdout" else self._stderr).add(data)
        if self._on_output is not None:
            room = self._on_output(stream, data)
            if room is not None and not self._is_paused:
                self.pause_reading()
                room.add_done_callback(lambda _: self.resume_reading())

    def pause_reading(self) -> None:
        """Stop giving the host window; nothing is waited for in vain meanwhile."""
        self._is_paused = True
        self.channel.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.channel.resume_reading()

    def set_env(self, name: str, value: str) -> None:
        """Ask for an environment variable; if refused, its name is noted in `refused_env`."""
        self._requests.append(_ENV + name)
        self.channel.request("env", name, value, want_reply=True)

    def request(self, name: str, *fields: bytes | str | int | bool) -> None:
        """Send a request whose answer is noted in `refused`."""
        self._requests.append(name)
        self.channel.request(name, *fields, want_reply=True)

    def close(self) -> None:
        if self._drain is not None:
            self._drain.cancel()
        self.channel.close()
        self._end()

    def result(self, duration_s: float) -> ExecResult:
        """Return what is known now."""
        return ExecResult(
            exit_status=self.exit_status,
            exit_signal=self.exit_signal,
            stdout=self._stdout.value(),
            stderr=self._stderr.value(),
            stdout_bytes=self._stdout.total,
            stderr_bytes=self._stderr.total,
            truncated=self._stdout.truncated or self._stderr.truncated,
            output_complete=self.eof and not self.lost,
            duration_s=duration_s,
            gone=self.gone,
            refused_env=tuple(self.refused_env),
        )

    @property
    def has_ending(self) -> bool:
        return self.exit_status is not None or self.exit_signal is not None

    def _end(self) -> None:
        self.answered.set()  # no answer will come
        self.window.set()  # nor more room
        if not self.ended.done():
            self.ended.set_result(None)

    # -- Receiver

    def data_received(self, stream: StreamName, data: bytes) -> None:
        if self._diverted is None:
            self.keep(stream, data)
        else:
            self._diverted(stream, data)
        if self._drain is not None:
            self._start_drain()

    def eof_received(self) -> None:
        self.eof = True

    def request_received(self, name: str, message: Message) -> bool:
        if name == "exit-status":
            self.exit_status = message.get_int()
        elif name == "exit-signal":
            name_of_signal = first_bytes(message.get_string(), MAX_SIGNAL_NAME_BYTES)
            self.exit_signal = name_of_signal.decode("utf-8", "replace")
        else:
            return False
        if self._drain is None:
            self._drain_ends = self.transport.loop.time() + MAX_DRAIN_S
            self._start_drain()
        return True

    def _start_drain(self) -> None:
        if self._drain is not None:
            self._drain.cancel()
        loop = self.transport.loop
        self._drain = loop.call_at(min(loop.time() + DRAIN_S, self._drain_ends), self._drained)

    def _drained(self) -> None:
        if self._is_paused:  # more may be there, and we do not take it
            self._drain_ends = self.transport.loop.time() + MAX_DRAIN_S
            self._start_drain()
        else:
            self.close()

    def reply_received(self, *, success: bool) -> None:
        if not self._requests:
            return  # nothing was asked
        name = self._requests.popleft()
        self.answered.set()
        if name.startswith(_ENV):
            if not success:
                self.refused_env.append(name.removeprefix(_ENV))
        elif success:
            self.accepted = self.accepted or name in ("exec", "shell", "subsystem")
        elif self.refused is None:
            self.refused = name
            self._end()

    def window_opened(self) -> None:
        self.window.set()

    def channel_closed(self, *, lost: bool) -> None:
        self.lost = lost and not self.has_ending
        # CLOSE without EOF ends the data just as well; one that answers ours says nothing about it.
        if not lost and not self.ended.done():
            self.eof = True
        if self._drain is not None:
            self._drain.cancel()
        self._end()

    def failed(self, bug: BaseException) -> None:
        self.bug = self.bug or bug
        self._end()
