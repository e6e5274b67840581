"""
Two streams joined: what comes from one goes to the other, byte for byte, both ways.

Each way ends on its own (half-close), and neither is read faster than the other takes it. What
breaks one breaks both. Source: RFC 4254 section 5.3.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from fleetctl.ssh.wire import StreamClosed, StreamOwner


class ForwardStream(Protocol):
    """What is joined; `ForwardSocket` and `ChannelWire` are such streams."""

    @property
    def finished(self) -> asyncio.Future[None]:
        """Set when it is closed."""
        ...

    def attach(self, owner: StreamOwner) -> None: ...

    def write(self, data: bytes) -> None: ...

    def write_eof(self) -> None:
        """Write no more; the stream closes itself when its own end was read as well."""
        ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        """Close after what was written has been sent."""
        ...

    def abort(self) -> None: ...


class _Way:
    """
    One of the two: the owner of its source.

    Attributes:
        is_full: The source takes no more, so the sink is not read.
    """

    def __init__(self, source: ForwardStream, sink: ForwardStream) -> None:
        self.is_full = False
        self._source = source
        self._sink = sink

    def bytes_received(self, data: bytes) -> None:
        self._sink.write(data)

    def stream_ended(self, error: BaseException | None) -> None:
        if error is None:
            self._sink.write_eof()
        elif isinstance(error, StreamClosed):
            self._sink.close()
        else:
            self._sink.abort()
            self._source.abort()

    def write_pressure(self, *, paused: bool) -> None:
        self.is_full = paused
        if paused:
            self._sink.pause_reading()
        else:
            self._sink.resume_reading()


def join_streams(one: ForwardStream, other: ForwardStream, *, from_one: bytes = b"") -> None:
    """
    Join two open streams that are paused.

    Args:
        from_one: What was read of the first already, and is for the other.
    """
    one.attach(_Way(one, other))
    back = _Way(other, one)
    other.attach(back)
    if from_one:
        other.write(from_one)
    if not back.is_full:
        one.resume_reading()
    other.resume_reading()
