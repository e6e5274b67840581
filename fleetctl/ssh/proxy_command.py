"""
ProxyCommand: a program of the user's that is the connection to a host.

Run as ssh runs it, by the user's shell as ``exec COMMAND``; where the shell would have nothing to
do, without one. The program talks to us over a socket, in a process group and session of its own,
and never outlives its connection. Source: ssh_config(5), ProxyCommand; OpenSSH's sshconnect.c,
ssh_proxy_connect.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning, last_bytes
from fleetctl.ssh.translate import has_too_many
from fleetctl.ssh.wire import SocketWire, StreamOwner

#: What is kept of what it writes to standard error: the end.
MAX_STDERR_BYTES = 4096
#: What is shown of it, in characters.
MAX_WORDS = 200
#: After its connection is closed the program has this long to end by itself; then it is asked to
#: (TERM), and after another such time it is killed.
END_GRACE_S = 0.3
#: A program that closes its stream is about to end; its status is worth waiting for so long.
STATUS_WAIT_S = 1.0
#: How often an end is looked for where the system cannot tell (no pidfd_open(2)).
POLL_S = 0.05

_COMMAND_NOT_FOUND = 127
#: Words that mean the same to every shell as to exec(3).
_PLAIN_WORDS = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_@%+:,./-]*(?: +[A-Za-z0-9_@%+=:,./-]+)*")
#: Another ssh that was turned away. Source: OpenSSH's kex.c, kex_exchange_identification.
_TURNED_AWAY = ("kex_exchange_identification", "banner exchange")


def command_argv(command: str, shell: str) -> list[str]:
    """
    Return the arguments that run a command as ssh does.

    >>> command_argv("nc gate 22", "/bin/sh")
    ['nc', 'gate', '22']
    >>> command_argv("nc gate 22 2>/dev/null", "/bin/sh")
    ['/bin/sh', '-c', 'exec nc gate 22 2>/dev/null']
    """
    command = command.strip()
    if _PLAIN_WORDS.fullmatch(command):
        return command.split()
    return [shell, "-c", f"exec {command}"]


class Proxy:
    """
    One running program.

    Attributes:
        ended: Set when the program has ended and nothing is left of it.
        status: Its exit status; negative for a signal, as in `subprocess`; None while it runs.
        was_ended: It did not end by itself, but because it was told to.
    """

    def __init__(self, argv: Sequence[str], stream: socket.socket) -> None:
        """
        Args:
            argv: The program and its arguments.
            stream: Its standard input and output; closed here.

        Raises:
            OSError: It cannot be run; nothing is left of it.
        """
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.status: int | None = None
        self.was_ended = False
        self._stderr = b""
        self._timer: asyncio.TimerHandle | None = None
        self._is_ending = False
        # Returns when the program was executed, within milliseconds: it is not worth a thread.
        # A session of its own: no signal of our terminal reaches it, and it cannot ask there.
        with stream:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                argv,
                stdin=stream.fileno(),
                stdout=stream.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert self._process.stderr is not None
        self._pipe: int = self._process.stderr.fileno()
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._read_stderr)
        self._pidfd = _open_pidfd(self._process.pid)
        if self._pidfd is not None:
            self._loop.add_reader(self._pidfd, self._ended_now)
        else:
            self._loop.call_later(POLL_S, self._look_again)

    def last_words(self) -> str:
        """Return the last line it wrote to standard error, or the empty string."""
        lines = [line for line in self._stderr.decode("utf-8", "replace").splitlines() if line]
        return beginning(lines[-1].strip(), MAX_WORDS) if lines else ""

    def has_said(self, words: Sequence[str]) -> bool:
        """Tell whether one of these, in lower case, is in what it wrote to standard error."""
        text = self._stderr.decode("utf-8", "replace").lower()
        return any(word in text for word in words)

    def end(self) -> None:
        """See to it that the program ends soon; its stream is closed."""
        if not self._is_ending:
            self._is_ending = True
            if self.status is None:
                self._timer = self._loop.call_later(END_GRACE_S, self._signal, signal.SIGTERM)

    def kill(self) -> None:
        """End the program now."""
        self._is_ending = True
        if self.status is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.was_ended = True
        # Not reaped yet, so the process group is still its own.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
        if number != signal.SIGKILL:
            self._timer = self._loop.call_later(END_GRACE_S, self._signal, signal.SIGKILL)

    def _read_stderr(self) -> None:
        try:
            data = os.read(self._pipe, 65536)
        except BlockingIOError:
            return
        self._stderr = last_bytes(self._stderr + data, MAX_STDERR_BYTES)
        if not data:
            self._loop.remove_reader(self._pipe)

    def _ended_now(self) -> None:
        # Not reaped yet: the group is its own, and whoever is left in it has nobody to talk to.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._look()

    def _look_again(self) -> None:
        self._look()
        if self.status is None:
            self._loop.call_later(POLL_S, self._look_again)

    def _look(self) -> None:
        self.status = self._process.poll()
        if self.status is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self._read_stderr()
        self._loop.remove_reader(self._pipe)
        assert self._process.stderr is not None
        self._process.stderr.close()
        if not self.ended.done():
            self.ended.set_result(None)


class ProxyWire:
    """A `fleetctl.ssh.wire.Wire` whose other end is a program; closing it ends the program."""

    def __init__(self, stream: SocketWire, proxy: Proxy) -> None:
        self._stream = stream
        self._proxy = proxy

    def attach(self, owner: StreamOwner) -> None:
        self._stream.attach(owner)

    def relax(self) -> None:
        self._stream.relax()

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def pause_reading(self) -> None:
        self._stream.pause_reading()

    def resume_reading(self) -> None:
        self._stream.resume_reading()

    def settimeout(self, timeout: float | None) -> None:
        """Nothing waits on this object, so there is nothing to limit."""

    def getpeername(self) -> object:
        return ("unknown", 0)

    def abort(self) -> None:
        """Drop the stream without sending what is buffered."""
        self._stream.abort()
        self._proxy.end()

    def close(self) -> None:
        """Close after what was written has been sent."""
        self._stream.close()
        self._proxy.end()


class ProxyRoute:
    """
    The way to one host by a program, a `fleetctl.ssh.connect.Route`.

    Attributes:
        program: What runs, in one word.
    """

    def __init__(self, command: str, argv: Sequence[str], running: set[Proxy]) -> None:
        self.program = command.split(None, 1)[0][:80] if command.strip() else ""
        self._argv = argv
        self._running = running
        self._proxy: Proxy | None = None

    async def reach(self, hostname: str, port: int) -> ProxyWire:
        """
        Start the program and return the stream to it; the command names host and port already.

        Raises:
            FleetError: ``connect.unreachable`` if it cannot be run.
        """
        ours: socket.socket | None = None
        try:
            ours, theirs = socket.socketpair()
            self._proxy = proxy = Proxy(self._argv, theirs)
        except OSError as error:
            if ours is not None:
                ours.close()
            reason = "not found" if isinstance(error, FileNotFoundError) else error.strerror
            raise FleetError(
                "connect.unreachable",
                f"ProxyCommand: {self._argv[0]}: {reason}",
                hint="check ProxyCommand, and that its program is on the PATH",
            ) from error
        self._running.add(proxy)
        proxy.ended.add_done_callback(lambda _: self._running.discard(proxy))
        try:
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            _, stream = await loop.create_connection(SocketWire, sock=ours)
        except BaseException:
            ours.close()
            proxy.end()
            raise
        return ProxyWire(stream, proxy)

    async def explain(self, error: FleetError) -> FleetError:
        """Say how the program ended, if the stream ended without a word from the host."""
        proxy = self._proxy
        if proxy is None or error.kind not in ("connect.dropped", "connect.reset"):
            return error
        await asyncio.wait((proxy.ended,), timeout=STATUS_WAIT_S)
        if not proxy.status or proxy.was_ended:
            return error  # nothing is wrong with it: the other side has closed
        if has_too_many([proxy.last_words()]) or proxy.has_said(_TURNED_AWAY):
            return FleetError(
                "connect.dropped",
                f"ProxyCommand {self.program}: {proxy.last_words()}",
                hint="too many connections at once: see MaxStartups and PerSourcePenalties there",
                retryable=True,
            )
        how = (
            f"was killed by signal {_signal_name(-proxy.status)}"
            if proxy.status < 0
            else f"ended with exit status {proxy.status}"
        )
        words = f": {proxy.last_words()}" if proxy.last_words() else ""
        return FleetError(
            "connect.unreachable",
            f"ProxyCommand {self.program} {how}{words}",
            hint="127 means that there is no such program"
            if proxy.status == _COMMAND_NOT_FOUND
            else "run the command by hand: it must speak SSH on its standard output",
            retryable=proxy.status != _COMMAND_NOT_FOUND,
        )


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that is readable once the child has ended; None if there are none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or before 5.3
        return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


class Proxies:
    """
    The programs of a process.

    Args:
        shell: The user's; runs commands that need one.
    """

    def __init__(self, *, shell: str) -> None:
        self._shell = shell
        self._running: set[Proxy] = set()

    def route(self, command: str) -> ProxyRoute:
        """Return the way to a host by this command, its tokens already replaced."""
        return ProxyRoute(command, command_argv(command, self._shell), self._running)

    async def aclose(self) -> None:
        """Wait until all programs have ended; those whose stream is still open are killed."""
        for proxy in tuple(self._running):
            proxy.end()
        if self._running:
            await asyncio.wait([p.ended for p in self._running], timeout=4 * END_GRACE_S)
        for proxy in tuple(self._running):
            proxy.kill()
        if self._running:
            await asyncio.wait([p.ended for p in self._running], timeout=END_GRACE_S)
