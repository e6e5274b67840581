"""
A SOCKS client on a stream, from its first byte to its request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fleetctl.model.forward import Place
from fleetctl.ssh.forward_refusal import ForwardRefused
from fleetctl.ssh.forward_relay import ForwardStream
from fleetctl.ssh.socks import Outcome, SocksError, SocksRequest, SocksServer

#: A client has said what it wants by then.
REQUEST_S = 30.0


@dataclass(frozen=True, slots=True)
class SocksClient:
    """
    A client that waits for the answer to its request.

    Attributes:
        target: What it asked for.
        rest: What it sent behind its request.
    """

    request: SocksRequest
    rest: bytes
    server: SocksServer

    @property
    def target(self) -> Place:
        return Place(self.request.host, self.request.port)

    def answer(self, outcome: Outcome) -> bytes:
        """Return what tells it how its request ended."""
        return self.server.answer(self.request, outcome)


class _Listener:
    """Owns the stream until the request is there."""

    def __init__(self, stream: ForwardStream) -> None:
        self.server = SocksServer()
        self.request: asyncio.Future[SocksRequest] = asyncio.get_running_loop().create_future()
        self._stream = stream

    def bytes_received(self, data: bytes) -> None:
        if self.request.done():
            return
        try:
            request, answer = self.server.feed(data)
        except SocksError as error:
            self._stream.write(error.answer)
            self._fail(str(error))
            return
        self._stream.write(answer)
        if request is not None:
            self._stream.pause_reading()
            self.request.set_result(request)

    def stream_ended(self, error: BaseException | None) -> None:
        self._fail("the client left before it had said where to")

    def write_pressure(self, *, paused: bool) -> None:
        """Some bytes are all that is written."""

    def _fail(self, why: str) -> None:
        if not self.request.done():
            self.request.set_exception(ForwardRefused(f"SOCKS: {why}"))


async def wait_for_request(stream: ForwardStream) -> SocksClient:
    """
    Read a client's request; the stream is paused then.

    Raises:
        ForwardRefused: It does not speak SOCKS, asks for something else, or takes too long.
    """
    listener = _Listener(stream)
    stream.attach(listener)
    stream.resume_reading()
    try:
        async with asyncio.timeout(REQUEST_S):
            request = await listener.request
    except TimeoutError:
        message = f"SOCKS: the client did not say within {REQUEST_S:g} s where to"
        raise ForwardRefused(message) from None
    return SocksClient(request, listener.server.rest, listener.server)
