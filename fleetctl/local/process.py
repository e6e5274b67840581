"""
A running command: its streams and its end, watched on the loop without a thread.

What its output is for, and when it has run long enough, is not decided here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from io import FileIO

from fleetctl.local.group import ProcessGroup
from fleetctl.local.start import Started
from fleetctl.model.events import Stream

#: Read or written in one go, before others on the loop have their turn.
_CHUNK_BYTES = 65536
#: Read at most so often without waiting, when the end of a stream is not waited for.
_LAST_READS = 16
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
        self._stdin = started.stdin
        self._unsent = memoryview(b"")
        self._arrived: list[tuple[Stream, bytes]] = []
        self._changed = asyncio.Event()
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

    def watch(self, stdin: bytes) -> None:
        """Begin to feed the command, to read its output and to wait for its end."""
        self._watch_end()
        for file in self._outputs:
            self._loop.add_reader(file.fileno(), self._read, file)
        if self._stdin is not None:
            self._unsent = memoryview(stdin + _end_of_input(self._stdin, stdin))
            self._loop.add_writer(self._stdin.fileno(), self._write, self._stdin)

    async def changed(self) -> None:
        """Wait until there is output to take, a stream has ended, or the command has."""
        await self._changed.wait()
        self._changed.clear()

    def take(self) -> list[tuple[Stream, bytes]]:
        """Return the output that came since the last time, in order."""
        arrived, self._arrived = self._arrived, []
        return arrived

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
        elif data is None:
            return False
        else:
            self._close_output(file)
        self._changed.set()
        return bool(data)

    def _close_output(self, file: FileIO) -> None:
        self._loop.remove_reader(file.fileno())
        file.close()
        del self._outputs[file]

    def _write(self, file: FileIO) -> None:
        try:
            sent = file.write(self._unsent[:_CHUNK_BYTES])
        except OSError:  # nobody reads it any more
            sent = len(self._unsent)
        self._unsent = self._unsent[sent or 0 :]
        if not self._unsent:
            self._close_stdin(file)

    def _close_stdin(self, file: FileIO) -> None:
        self._loop.remove_writer(file.fileno())
        file.close()
        self._stdin = None

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


def _end_of_input(file: FileIO, data: bytes) -> bytes:
    """
    Return what stands for end of file on a terminal; a pipe is closed instead.

    In canonical mode the character passes on the line so far, and is the end if there is none.
    Source: termios(3), VEOF.
    """
    if not file.isatty():
        return b""
    character: bytes = termios.tcgetattr(file)[6][termios.VEOF]
    return character if not data or data.endswith(b"\n") else character * 2
