"""
Standard streams that never block the loop: what they do not take at once waits in memory.

A reader can be slow, or stop (``less``, Ctrl-S) for as long as it likes. Whoever makes output asks
`Outlets.has_room` and waits in `Outlets.room`, so that what waits here stays small.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

#: There is room as long as less than this is waiting.
HIGH_WATER_BYTES = 1024 * 1024
#: Written at once, before others on the loop have their turn.
BURST_BYTES = 256 * 1024


class Outlets:
    """
    Standard output and standard error of a run.

    Only pipes, sockets and terminals can keep a writer waiting for long; a stream that is none, or
    has no descriptor, is written to as it is. If both end in the same place, what is written comes
    out in order.

    Attributes:
        stdout: What to write to in place of the stream that was given. Outside of `watched` it
            blocks as that does. Inside, a write that fails is told by the next one.
        stderr: The same for the other.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO) -> None:
        self._given = (stdout, stderr)
        self._out = _queue_for(stdout)
        self._err = _queue_for(stderr)
        if self._out is not None and self._err is not None and self._out.has_file_of(self._err):
            self._err = self._out
        self.stdout = stdout if self._out is None else _text_stream(stdout, self._out)
        self.stderr = stderr if self._err is None else _text_stream(stderr, self._err)

    @property
    def has_room(self) -> bool:
        """Whether more should be written now."""
        return all(len(queue.waiting) < HIGH_WATER_BYTES for queue in self._queues)

    @property
    def is_stderr_behind(self) -> bool:
        """Whether something is waiting for standard error: a drawing would come too late."""
        return self._err is not None and bool(self._err.waiting)

    @property
    def error(self) -> OSError | None:
        """Why nothing can be written to standard output any more, if that is so."""
        return self._out.error if self._out is not None else None

    async def room(self) -> None:
        """Wait until there is room, or nothing can be written any more."""
        for queue in self._queues:
            await queue.shrunk_below(HIGH_WATER_BYTES)

    async def drained(self) -> None:
        """Wait until everything was taken, or nothing can be written any more."""
        for queue in self._queues:
            await queue.shrunk_below(1)

    def give_up(self) -> int:
        """Forget what was not taken; return how many bytes that were for standard output."""
        lost = self._out.forget() if self._out is not None else 0
        if self._err is not None:
            self._err.forget()
        return lost

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let the running loop do the writing meanwhile; what is still waiting then is lost."""
        loop = asyncio.get_running_loop()
        for stream in self._given:
            with suppress(OSError, ValueError):  # told by the first write
                stream.flush()
        for queue in self._queues:
            queue.start(loop)
        try:
            yield
        finally:
            for queue in self._queues:
                queue.stop()

    @property
    def _queues(self) -> list[_Queue]:
        both = [queue for queue in (self._out, self._err) if queue is not None]
        return both[:1] if self._out is self._err else both


class _Queue:
    """What waits for one file to take it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.waiting = bytearray()
        self.error: OSError | None = None
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_watching = False
        self._waiters: list[asyncio.Future[None]] = []

    def has_file_of(self, other: _Queue) -> bool:
        return os.path.sameopenfile(self.fd, other.fd)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def stop(self) -> None:
        self._unwatch()
        self.forget()
        self._loop = None

    def put(self, data: bytes) -> None:
        """
        Take data to write; nothing of it is written before `flush`, unless it is much.

        Raises:
            OSError: Nothing can be written any more; said again at each call.
        """
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror)
        self.waiting += data
        if self._loop is None or len(self.waiting) >= BURST_BYTES:
            self.flush()

    def flush(self) -> None:
        """
        Write what the file takes now; the rest goes out as it takes more.

        Raises:
            OSError: As `put`, and for what was written now.
        """
        if self._loop is None:
            self._write_blocking()
        elif not self._is_watching:
            self._write_on()
        if self.error is not None:
            raise OSError(self.error.errno, self.error.strerror)

    async def shrunk_below(self, size: int) -> None:
        """Wait until less than this is waiting."""
        while len(self.waiting) >= size and self.error is None and self._loop is not None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            if not self._is_watching:
                self._watch()
            await waiter

    def forget(self) -> int:
        lost = len(self.waiting)
        self.waiting.clear()
        self._wake()
        return lost

    def _write_blocking(self) -> None:
        while self.waiting and self.error is None:
            try:
                del self.waiting[: os.write(self.fd, self.waiting[:BURST_BYTES])]
            except BlockingIOError:  # somebody else has made the file so
                self._poll.poll()
            except OSError as error:
                self._fail(error)

    def _write_on(self) -> None:
        """Write one burst at most, in pieces that do not block once the file has any room."""
        written = 0
        while self.waiting and written < BURST_BYTES and self._poll.poll(0):
            try:
                size = os.write(self.fd, self.waiting[: select.PIPE_BUF])
            except BlockingIOError:
                break
            except OSError as error:
                self._fail(error)
                return
            del self.waiting[:size]
            written += size
        if self.waiting:
            self._watch()
        else:
            self._unwatch()
        self._wake()

    def _fail(self, error: OSError) -> None:
        self.error = error
        self._unwatch()
        self.forget()

    def _watch(self) -> None:
        if not self._is_watching and self._loop is not None:
            self._is_watching = True
            self._loop.add_writer(self.fd, self._write_on)

    def _unwatch(self) -> None:
        if self._is_watching and self._loop is not None:
            self._is_watching = False
            self._loop.remove_writer(self.fd)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class _Bytes(io.BufferedIOBase):
    """The bytes of a stream on their way into a queue."""

    def __init__(self, original: TextIO, queue: _Queue) -> None:
        super().__init__()
        self._original = original
        self._queue = queue

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        """Queue bytes; see `_Queue.put`."""
        content = data if isinstance(data, bytes) else bytes(memoryview(cast("bytearray", data)))
        self._queue.put(content)
        return len(content)

    def flush(self) -> None:
        """Write what can be written; see `_Queue.flush`."""
        self._queue.flush()

    def fileno(self) -> int:
        return self._original.fileno()

    def isatty(self) -> bool:
        return self._original.isatty()

    def close(self) -> None:
        """The stream stays open: it is its owner's."""


def _text_stream(original: TextIO, queue: _Queue) -> TextIO:
    return io.TextIOWrapper(
        cast("io.BufferedWriter", _Bytes(original, queue)),
        encoding=original.encoding,
        errors=original.errors,
        newline="\n",
        write_through=True,
    )


def _queue_for(stream: TextIO) -> _Queue | None:
    """Return a queue if the stream can keep a writer waiting for a reader."""
    try:
        fd = stream.fileno()
        mode = os.fstat(fd).st_mode
    except (OSError, ValueError, AttributeError):
        return None  # no real stream, or a closed one
    can_wait = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)
    return _Queue(fd) if can_wait else None
