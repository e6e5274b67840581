"""
Output never waits for its reader inside the loop (F53, F54).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import termios

import pytest

from fleetctl.sinks.outlet import HIGH_WATER_BYTES, Outlets
from fleetctl.ssh.loop import new_event_loop, run_loop
from tests.support.patience import PATIENCE_S

# libuv opens a pipe for signals once per process; no test is to blame for it.
new_event_loop("uvloop").close()


@contextlib.contextmanager
def pipe():
    """A pipe: its end to read from, and a text stream that writes into it."""
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w", encoding="utf-8")
    try:
        yield reading, stream
    finally:
        with contextlib.suppress(OSError):
            os.close(reading)
        with contextlib.suppress(OSError):
            stream.close()


async def read_all(fd, size):
    """Read so many bytes without keeping the loop from its work."""
    data = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(data) < size:
            data += await asyncio.to_thread(os.read, fd, 65536)
    return data


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_F53_a_writer_does_not_wait_and_nothing_is_lost(loop):
    """
    F53: while nobody reads, output waits in memory and there is no room; then all of it comes, in
    order.
    """
    text = "".join(f"line {n}\n" for n in range(300_000))

    async def main():
        with pipe() as (reading, stream), pipe() as (_, err):
            outlets = Outlets(stream, err)
            with outlets.watched():
                outlets.stdout.write(text)
                outlets.stdout.flush()
                assert not outlets.has_room
                assert not outlets.is_stderr_behind
                waiting = asyncio.ensure_future(outlets.room())
                await asyncio.sleep(0)
                assert not waiting.done()
                data = await read_all(reading, len(text))
                await waiting
                await outlets.drained()
                assert outlets.has_room
                assert outlets.give_up() == 0
            assert data.decode() == text

    run_loop(main, choice=loop)


def test_what_fits_is_there_at_once():
    """
    A flush hands it to the operating system, as without a loop.
    """

    async def main():
        with pipe() as (reading, stream), pipe() as (_, err):
            outlets = Outlets(stream, err)
            outlets.stdout.write("before\n")
            with outlets.watched():
                outlets.stdout.buffer.write(b"one\n")
                outlets.stdout.buffer.flush()
                assert os.read(reading, 99) == b"before\none\n"
            outlets.stdout.write("after\n")
            assert os.read(reading, 99) == b"after\n"

    run_loop(main)


def test_F54_a_reader_who_left_is_told_by_the_next_write():
    """
    F54: who waits goes on, and writing raises BrokenPipeError from then on.
    """

    async def main():
        with pipe() as (reading, stream), pipe() as (_, err):
            outlets = Outlets(stream, err)
            with outlets.watched():
                outlets.stdout.write("x" * (2 * HIGH_WATER_BYTES))
                outlets.stdout.flush()
                waiting = asyncio.ensure_future(outlets.room())
                await asyncio.sleep(0)
                os.close(reading)
                async with asyncio.timeout(PATIENCE_S):
                    await waiting
                    await outlets.drained()
                assert isinstance(outlets.error, BrokenPipeError)
                for _ in range(2):
                    with pytest.raises(BrokenPipeError):
                        outlets.stdout.write("more\n")

    run_loop(main)


def test_two_streams_into_one_place_keep_their_order():
    """
    ``2>&1``: what was written first comes out first, although nobody read meanwhile.
    """

    async def main():
        with pipe() as (reading, stream):
            err = os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8")
            outlets = Outlets(stream, err)
            expected = ""
            with outlets.watched():
                for number in range(40_000):
                    to = outlets.stdout if number % 3 else outlets.stderr
                    expected += f"line {number}\n"
                    to.write(f"line {number}\n")
                    to.flush()
                assert outlets.is_stderr_behind
                data = await read_all(reading, len(expected))
            err.close()
            assert data.decode() == expected

    run_loop(main)


def test_F53_a_stopped_terminal_does_not_stop_the_loop():
    """
    F53: after Ctrl-S nothing is written and nothing waits; after Ctrl-Q it comes.
    """

    async def main():
        master, slave = os.openpty()
        with os.fdopen(slave, "w", encoding="utf-8") as stream:
            outlets = Outlets(stream, stream)
            with outlets.watched():
                termios.tcflow(slave, termios.TCOOFF)
                outlets.stdout.write("hello\n")
                outlets.stdout.flush()
                assert outlets.is_stderr_behind
                termios.tcflow(slave, termios.TCOON)
                async with asyncio.timeout(PATIENCE_S):
                    await outlets.drained()
                assert os.read(master, 99) == b"hello\r\n"
        os.close(master)

    run_loop(main)


def test_what_nobody_takes_can_be_given_up():
    """
    The bytes that were not written are counted, and nothing blocks afterwards.
    """

    async def main():
        with pipe() as (_, stream), pipe() as (_, err):
            size = fcntl.fcntl(stream.fileno(), fcntl.F_GETPIPE_SZ)
            outlets = Outlets(stream, err)
            with outlets.watched():
                outlets.stdout.write("x" * (size + 1000))
                outlets.stdout.flush()
                assert outlets.give_up() == 1000
                await outlets.drained()

    run_loop(main)


def test_files_and_fakes_are_written_to_as_they_are(tmp_path):
    """
    A file has no reader to wait for, and a stream without a descriptor is its own business.
    """
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        fake = io.StringIO()
        outlets = Outlets(file, fake)
        assert outlets.stdout is file
        assert outlets.stderr is fake
        assert outlets.has_room
        assert outlets.error is None
        assert outlets.give_up() == 0


def test_characters_that_the_stream_lacks_are_refused_as_by_it():
    """
    A locale without them: the writer is told at once and can write something else.
    """

    async def main():
        with pipe() as (reading, stream), pipe() as (_, err):
            stream.reconfigure(encoding="ascii", errors="strict")
            outlets = Outlets(stream, err)
            with outlets.watched():
                with pytest.raises(UnicodeEncodeError):
                    outlets.stdout.write("ü\n")
                outlets.stdout.write("u\n")
                outlets.stdout.flush()
                assert os.read(reading, 99) == b"u\n"

    run_loop(main)
