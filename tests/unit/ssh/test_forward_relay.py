"""
Two streams joined: data, ends and pressure go to the other side, and no further.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.ssh.forward_relay import join_streams
from fleetctl.ssh.wire import StreamClosed, StreamOwner
from tests.support.drive import run_async


class Stream:
    """Notes what is done to it; `owner` is told by the tests what comes."""

    def __init__(self, *, most: int = 10**9) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.owner: StreamOwner | None = None
        self.done: list[str] = []
        self.written = b""
        self.is_paused = True
        self._most = most

    def attach(self, owner: StreamOwner) -> None:
        self.owner = owner

    def write(self, data: bytes) -> None:
        self.written += data
        if len(self.written) > self._most:
            self.told.write_pressure(paused=True)

    def write_eof(self) -> None:
        self.done.append("eof")

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    @property
    def told(self) -> StreamOwner:
        assert self.owner is not None
        return self.owner


def test_each_way_ends_alone():
    """
    An end on one side is an end for the other side's reader, and nothing else.
    """

    async def main():
        one, other = Stream(), Stream()
        join_streams(one, other)
        assert not one.is_paused
        assert not other.is_paused
        one.told.bytes_received(b"question")
        one.told.stream_ended(None)
        other.told.bytes_received(b"answer")
        assert (other.written, other.done) == (b"question", ["eof"])
        assert (one.written, one.done) == (b"answer", [])
        other.told.stream_ended(None)
        assert one.done == ["eof"]

    run_async(main)


@pytest.mark.parametrize(
    ("error", "one_done", "other_done"),
    [(StreamClosed(), [], ["close"]), (ConnectionResetError(), ["abort"], ["abort"])],
)
def test_a_closed_stream_closes_the_other_and_a_broken_one_breaks_it(error, one_done, other_done):
    """
    After a plain close what was written is still sent; a reset is passed on as one.
    """

    async def main():
        one, other = Stream(), Stream()
        join_streams(one, other)
        one.told.stream_ended(error)
        assert (one.done, other.done) == (one_done, other_done)

    run_async(main)


def test_who_takes_no_more_stops_the_other_from_being_read():
    """
    As long as it lasts, and in one direction only.
    """

    async def main():
        one, other = Stream(), Stream()
        join_streams(one, other)
        other.told.write_pressure(paused=True)
        assert (one.is_paused, other.is_paused) == (True, False)
        other.told.write_pressure(paused=False)
        assert (one.is_paused, other.is_paused) == (False, False)

    run_async(main)


def test_what_came_early_may_be_too_much_already():
    """
    A client that sends much behind its request is not read before that is gone.
    """

    async def main():
        one, other = Stream(), Stream(most=10)
        join_streams(one, other, from_one=b"x" * 11)
        assert other.written == b"x" * 11
        assert (one.is_paused, other.is_paused) == (True, False)
        other.told.write_pressure(paused=False)
        assert not one.is_paused

    run_async(main)
