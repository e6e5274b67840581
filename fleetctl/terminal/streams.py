"""
Our own standard streams on the loop: read and written without blocking it.

The streams are shared with whoever started us, and a stream that does not block breaks many a
program. So terminals and pipes are opened a second time, and what cannot be is set back at the end.
Source: open(2), where O_NONBLOCK is a flag of the open file description; libuv, uv_poll_init, which
sets it.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress

_CHUNK_BYTES = 65536


class Input:
    """
    Somewhere to read from.

    Args:
        fd: Stays open, and as it is.
    """

    def __init__(self, fd: int) -> None:
        self._descriptor = _Descriptor(fd, os.O_RDONLY)

    async def read(self) -> bytes:
        """Return what there is as soon as there is any; nothing at the end."""
        fd = self._descriptor.fd
        if not self._descriptor.is_watchable:
            return await asyncio.to_thread(os.read, fd, _CHUNK_BYTES)
        loop = asyncio.get_running_loop()
        while True:
            await _wait(loop.add_reader, loop.remove_reader, fd)
            try:
                return os.read(fd, _CHUNK_BYTES)
            except BlockingIOError:  # somebody else on the terminal was faster
                continue
            except OSError:  # EIO: the terminal is gone
                return b""

    def close(self) -> None:
        self._descriptor.close()


class Output:
    """
    Somewhere to write to; see `Input`.
    """

    def __init__(self, fd: int) -> None:
        self._descriptor = _Descriptor(fd, os.O_WRONLY)

    async def write(self, data: bytes) -> None:
        """
        Write all of it, as fast as it is taken.

        Raises:
            OSError: It cannot be written: nobody reads it any more, or the disk is full.
        """
        fd = self._descriptor.fd
        if not self._descriptor.is_watchable:
            await asyncio.to_thread(_write_all, fd, data)
            return
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest:
            await _wait(loop.add_writer, loop.remove_writer, fd)
            try:
                rest = rest[os.write(fd, rest[:_CHUNK_BYTES]) :]
            except BlockingIOError:
                continue

    def close(self) -> None:
        self._descriptor.close()


class _Descriptor:
    """
    One of our own for a stream, that does not block if the loop waits for it.

    Attributes:
        is_watchable: A loop can wait for it; not for files and the like, which are always ready.
    """

    def __init__(self, fd: int, flags: int) -> None:
        mode = os.fstat(fd).st_mode
        self.is_watchable = os.isatty(fd) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        own = _open_again(fd, flags) if self.is_watchable else None
        self.fd = os.dup(fd) if own is None else own
        self._was_blocking = own is None and os.get_blocking(fd)
        if self.is_watchable:
            os.set_blocking(self.fd, False)

    def close(self) -> None:
        if self._was_blocking:
            os.set_blocking(self.fd, True)
        os.close(self.fd)


def _open_again(fd: int, flags: int) -> int | None:
    """Return a descriptor with a description of its own, or None if there can be none."""
    paths = [f"/proc/self/fd/{fd}"]
    with suppress(OSError):  # no terminal, or one of another mount namespace
        paths.insert(0, os.ttyname(fd))
    for path in paths:
        try:
            return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # a socket, or of another user
            continue
    return None


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


async def _wait(add: Callable[..., object], remove: Callable[[int], object], fd: int) -> None:
    """Wait until a descriptor is ready."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    add(fd, _wake, ready)
    try:
        await ready
    finally:
        remove(fd)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
