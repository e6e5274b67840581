"""
Our own streams on the loop: without blocking, and without a trace in those who share them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import tty
from collections.abc import Iterator

import pytest

from fleetctl.terminal.streams import Input, Output
from tests.support.drive import run_async, until


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a raw terminal."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, slave
    os.close(master)
    os.close(slave)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe; either may be closed by the test."""
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            continue


def is_blocking(fd: int) -> bool:
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


def test_what_is_typed_is_read_at_once(terminal):
    """
    A read waits on the loop, and the terminal of whoever started us stays a blocking one.
    """
    master, slave = terminal

    async def main():
        keys = Input(slave)
        reading = asyncio.ensure_future(keys.read())
        await asyncio.sleep(0.05)
        assert not reading.done()
        assert is_blocking(slave)
        os.write(master, b"x")
        assert await reading == b"x"
        keys.close()

    run_async(main)
    assert is_blocking(slave)


def test_a_read_that_was_given_up_leaves_what_comes_for_the_next(terminal):
    """
    Nothing is read ahead.
    """
    master, slave = terminal

    async def main():
        keys = Input(slave)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await keys.read()
        os.write(master, b"later")
        assert await keys.read() == b"later"
        keys.close()

    run_async(main)


@pytest.mark.parametrize("content", [b"", b"some text"])
def test_files_are_read_to_their_end(tmp_path, content):
    """
    A loop cannot wait for a file, which is always ready.
    """
    path = tmp_path / "file"
    path.write_bytes(content)

    async def main(fd):
        keys = Input(fd)
        found = b""
        while piece := await keys.read():
            found += piece
        keys.close()
        return found

    with path.open("rb") as stream:
        assert run_async(lambda: main(stream.fileno())) == content
    with open(os.devnull, "rb") as stream:
        assert run_async(lambda: main(stream.fileno())) == b""


def test_a_pipe_is_read_to_its_end(pipe):
    """
    The end is an empty piece.
    """
    reading, writing = pipe
    os.write(writing, b"all")
    os.close(writing)

    async def main():
        keys = Input(reading)
        found = [await keys.read(), await keys.read()]
        keys.close()
        return found

    assert run_async(main) == [b"all", b""]


@pytest.fixture
def sockets() -> Iterator[tuple[int, int]]:
    """Two sockets, as some programs start others with."""
    reading, writing = socket.socketpair()
    with reading, writing:
        yield reading.fileno(), writing.fileno()


@pytest.mark.parametrize("kind", ["terminal", "pipe", "sockets"])
def test_a_slow_reader_does_not_block_the_loop(request, kind):
    """
    A write waits for it, the loop goes on, and every byte arrives.
    """
    ends = request.getfixturevalue(kind)
    reading, writing = ends
    data = os.urandom(1_000_000)

    async def main():
        output = Output(writing)
        written = asyncio.ensure_future(output.write(data))
        await asyncio.sleep(0.1)
        assert not written.done()
        assert kind == "sockets" or is_blocking(writing)
        found = bytearray()
        os.set_blocking(reading, False)

        def take():
            found.extend(os.read(reading, 65536))

        asyncio.get_running_loop().add_reader(reading, take)
        await written
        await until(lambda: len(found) >= len(data))
        asyncio.get_running_loop().remove_reader(reading)
        output.close()
        return bytes(found)

    assert run_async(main) == data
    assert is_blocking(writing)


def test_files_are_written(tmp_path):
    """
    All of it, at once.
    """

    async def main(fd):
        output = Output(fd)
        await output.write(b"some ")
        await output.write(b"text")
        output.close()

    with (tmp_path / "file").open("wb") as stream:
        run_async(lambda: main(stream.fileno()))
    assert (tmp_path / "file").read_bytes() == b"some text"


def test_nobody_reads_any_more(pipe):
    """
    An error of the system, as whoever writes wants to know it.
    """
    reading, writing = pipe
    os.close(reading)

    async def main():
        output = Output(writing)
        try:
            await output.write(b"x")
        finally:
            output.close()

    with pytest.raises(BrokenPipeError):
        run_async(main)
