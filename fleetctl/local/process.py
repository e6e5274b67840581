"""
A running command: its streams and its end, watched on the loop without a thread.

What its output is for, and when it has run long enough, is not decided here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections import deque
from io import FileIO

from fleetctl.local.group import ProcessGroup
from fleetctl.local.start import Started
from fleetctl.model.events import Stream

#: Read or written in one go, before others on the loop have their turn.
_CHUNK_BYTES = 65536
#: Read at most so often without waiting, when the end of a stream is not waited for.
_LAST_READS = 16
#: Nothing more is read while more than this was not taken.
_HIGH_WATER_BYTES = 256 * 1024
#: Between two looks at the process where the kernel does not say that it has ended.
_LOOK_S = 0.02


class Process:
    """
    A command that was started, and all who are in its process group.

    Attributes:
        group: For signals.
    """

    def __init__(self, started: Started) -> None:
        self.group = ProcessGroup(started.child.pid)
        self._child = started.child
        self._outputs = dict(started.outputs)
        self._paused: set[FileIO] = set()
        self._stdin = started.stdin
        self._has_terminal = started.has_terminal
        self._unsent: deque[memoryview] = deque()
        self._last_sent = b""
        self._is_eof_sent = False
        self._arrived: deque[tuple[Stream, bytes]] = deque()
        self._arrived_bytes = 0
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pidfd: int | None = None
        self._look: asyncio.TimerHandle | None = None

    @property
    def exit_code(self) -> int | None:
        """The exit status, the negative number of a signal, or None while it runs."""
        return self._child.returncode

    @property
    def has_output(self) -> bool:
        """Whether anybody still has an output of the command open."""
        return bool(self._outputs)

    def watch(self) -> None:
        """Begin to read the command's output and to wait for its end."""
        self._watch_end()
        for file in self._outputs:
            self._loop.add_reader(file.fileno(), self._read, file)

    async def changed(self) -> None:
        """Wait until there is output to take, a stream has ended, or the command has."""
        await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        """Have who waits for a change look again."""
        self._changed.set()

    def take(self) -> list[tuple[Stream, bytes]]:
        """Return the output that came since the last time, in order."""
        arrived = list(self._arrived)
        self._arrived.clear()
        self._arrived_bytes = 0
        self._read_on()
        return arrived

    def take_first(self) -> tuple[Stream, bytes] | None:
        """Return the oldest piece of output that was not taken, or None if there is none."""
        if not self._arrived:
            return None
        stream, data = self._arrived.popleft()
        self._arrived_bytes -= len(data)
        if self._arrived_bytes <= _HIGH_WATER_BYTES:
            self._read_on()
        return stream, data

    def send(self, data: bytes) -> None:
        """Feed the command; dropped if it takes no input, or no more."""
        if data and self._stdin is not None and not self._is_eof_sent:
            self._last_sent = data[-1:]
            self._queue(data)

    def send_eof(self) -> None:
        """End its input when everything was sent; on a terminal that is typed."""
        if self._stdin is None or self._is_eof_sent:
            return
        self._is_eof_sent = True
        if self._has_terminal:
            self._queue(_end_of_input(self._stdin, self._last_sent))
        elif not self._unsent:
            self._close_stdin(self._stdin)

    async def sent(self) -> None:
        """Wait until everything was sent, or nobody will take it any more."""
        while self._unsent and self.exit_code is None:
            self._sent.clear()
            await self._sent.wait()

    def resize(self, columns: int, rows: int) -> None:
        """Give its terminal another size; whoever is in front on it gets SIGWINCH."""
        if self._has_terminal:
            for file in self._outputs:
                termios.tcsetwinsize(file, (rows, columns))

    def read_rest(self) -> None:
        """Read what is there already, without waiting for more."""
        for file in tuple(self._outputs):
            for _ in range(_LAST_READS):
                if file not in self._outputs or not self._read(file):
                    break

    def close(self) -> None:
        """Let go of everything; a command that still runs goes on without us."""
        if self._stdin is not None:
            self._close_stdin(self._stdin)
        for file in tuple(self._outputs):
            self._close_output(file)
        self._unwatch_end()

    # -- the streams

    def _read(self, file: FileIO) -> bool:
        """Take what can be read at once; return whether it was anything."""
        try:
            data = file.read(_CHUNK_BYTES)
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if data:
            self._arrived.append((self._outputs[file], data))
            self._arrived_bytes += len(data)
            if self._arrived_bytes > _HIGH_WATER_BYTES and file not in self._paused:
                self._paused.add(file)
                self._loop.remove_reader(file.fileno())
        elif data is None:
            return False
        else:
            self._close_output(file)
        self._changed.set()
        return bool(data)

    def _read_on(self) -> None:
        for file in self._paused:
            self._loop.add_reader(file.fileno(), self._read, file)
        self._paused.clear()

    def _close_output(self, file: FileIO) -> None:
        self._loop.remove_reader(file.fileno())
        self._paused.discard(file)
        file.close()
        del self._outputs[file]

    def _queue(self, data: bytes) -> None:
        assert self._stdin is not None
        if not self._unsent:
            self._loop.add_writer(self._stdin.fileno(), self._write, self._stdin)
        self._unsent.append(memoryview(data))

    def _write(self, file: FileIO) -> None:
        try:
            sent = file.write(self._unsent[0][:_CHUNK_BYTES]) or 0
        except OSError:  # nobody reads it any more
            self._close_stdin(file)
            return
        self._unsent[0] = self._unsent[0][sent:]
        if not self._unsent[0]:
            self._unsent.popleft()
        if self._unsent:
            return
        self._sent.set()
        self._loop.remove_writer(file.fileno())
        if self._is_eof_sent:
            self._close_stdin(file)

    def _close_stdin(self, file: FileIO) -> None:
        self._loop.remove_writer(file.fileno())
        file.close()
        self._stdin = None
        self._unsent.clear()
        self._sent.set()

    # -- the end

    def _watch_end(self) -> None:
        self._pidfd = _open_pidfd(self._child.pid)
        if self._pidfd is not None:
            self._loop.add_reader(self._pidfd, self._check_end)
        else:
            self._check_end()

    def _check_end(self) -> None:
        if self._child.poll() is not None:
            self._unwatch_end()
            self._changed.set()
            self._sent.set()
        elif self._pidfd is None:
            self._look = self._loop.call_later(_LOOK_S, self._check_end)

    def _unwatch_end(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._look is not None:
            self._look.cancel()


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that is readable once the process has ended. Source: pidfd_open(2)."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, a sandbox, or too many open files
        return None


def _end_of_input(file: FileIO, last: bytes) -> bytes:
    """
    Return what stands for end of file on a terminal, after input that ended with this byte.

    In canonical mode the character passes on the line so far, and is the end if there is none.
    Source: termios(3), VEOF.
    """
    character: bytes = termios.tcgetattr(file)[6][termios.VEOF]
    return character if last in (b"", b"\n") else character * 2
