"""
Agent forwarding: programs on the host may ask our agent to list its keys and to sign, no more.

Only where ForwardAgent asks for it. What could change the agent, or load a library into it
(CVE-2023-38408), is refused here, whatever the agent would do.
Source: draft-ietf-sshm-ssh-agent section 4, OpenSSH PROTOCOL.agent section 1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from paramiko.message import Message

from fleetctl.ssh.agent import (
    EXTENSION,
    FAILURE,
    MAX_ANSWER_BYTES,
    REQUEST_IDENTITIES,
    SIGN_REQUEST,
    SIGN_TIMEOUT_S,
    AgentFailed,
    AgentStream,
)
from fleetctl.ssh.identity import SessionBinding, ssh_string, take_string
from fleetctl.ssh.loop_channel import LoopChannel, StreamName

#: Kind of the channels a server opens, and the request that lets it.
CHANNEL_KIND = "auth-agent@openssh.com"
REQUEST_NAME = "auth-agent-req@openssh.com"

#: Programs on one host that use the agent at the same time.
MAX_CHANNELS = 32
MAX_REQUEST_BYTES = MAX_ANSWER_BYTES

_SESSION_BIND = b"session-bind@openssh.com"


class AgentForwarding:
    """
    The agent for the programs of one connection.

    Args:
        path: The agent's socket.
        binding: The connection, which the agent is told about.
    """

    def __init__(self, path: str, binding: SessionBinding | None) -> None:
        self._path = path
        self._binding = binding
        self._channels: set[AgentChannel] = set()

    def accept(self) -> AgentChannel | None:
        """Return what serves one more channel of the server, or None if there are too many."""
        if len(self._channels) >= MAX_CHANNELS:
            return None
        channel = AgentChannel(AgentStream(self._path), self._binding)
        self._channels.add(channel)
        channel.task.add_done_callback(lambda _: self._channels.discard(channel))
        return channel

    async def close(self) -> None:
        """End all channels."""
        tasks = [channel.task for channel in self._channels]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class AgentChannel:
    """
    The receiver of one channel: takes requests apart, asks the agent, sends the answers in order.

    Attributes:
        channel: Set by the transport when it has made the channel.
        task: Ends with the channel.
    """

    def __init__(self, stream: AgentStream, binding: SessionBinding | None) -> None:
        self.channel: LoopChannel | None = None
        self._stream = stream
        self._binding = binding
        self._buffer = bytearray()
        self._requests: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._is_ended = False  # no more requests will come
        self._is_closed = False  # nobody reads the answers
        self.task = asyncio.ensure_future(self._serve())

    async def _serve(self) -> None:
        try:
            if self._binding is not None:
                with suppress(AgentFailed):
                    await self._stream.bind(self._binding, is_forwarding=True)
            while self._requests or not self._is_ended:
                if self._requests:
                    await self._reply(ssh_string(await self._answer(self._requests.popleft())))
                    if not self._requests and self.channel is not None:
                        self.channel.resume_reading()
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._stream.close()
            if self.channel is not None:
                self.channel.close()

    async def _answer(self, request: bytes) -> bytes:
        if _is_harmless(request):
            with suppress(AgentFailed):
                return await self._stream.ask(request, SIGN_TIMEOUT_S)
        return bytes([FAILURE])

    async def _reply(self, answer: bytes) -> None:
        rest = memoryview(answer)
        while rest and self.channel is not None and not self._is_closed:
            sent = self.channel.write(rest)
            rest = rest[sent:]
            if not sent:
                self._wake.clear()
                await self._wake.wait()

    # -- Receiver

    def data_received(self, stream: StreamName, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 4:
            size = int.from_bytes(self._buffer[:4], "big")
            if not 0 < size <= MAX_REQUEST_BYTES:
                self._end()
                return
            if len(self._buffer) < 4 + size:
                break
            self._requests.append(bytes(self._buffer[4 : 4 + size]))
            del self._buffer[: 4 + size]
        if len(self._requests) > 1 and self.channel is not None:
            self.channel.pause_reading()
        self._wake.set()

    def eof_received(self) -> None:
        self._is_ended = True
        self._wake.set()

    def request_received(self, name: str, message: Message) -> bool:
        return False

    def reply_received(self, *, success: bool) -> None:
        """Nothing is asked on this channel."""

    def window_opened(self) -> None:
        self._wake.set()

    def channel_closed(self, *, lost: bool) -> None:
        self._end()

    def failed(self, bug: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        self._requests.clear()
        self._is_ended = self._is_closed = True
        self._wake.set()


def _is_harmless(request: bytes) -> bool:
    kind = request[0]
    if kind in (REQUEST_IDENTITIES, SIGN_REQUEST):
        return True
    try:
        return kind == EXTENSION and take_string(request[1:])[0] == _SESSION_BIND
    except ValueError:
        return False
