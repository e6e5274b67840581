"""
Starting a command line under ``/bin/sh``, or the login shell, with pipes or with a terminal.
"""

from __future__ import annotations

import errno
import os
import pwd
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import FileIO

from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.operation import ExecRequest, Pty
from fleetctl.terminal.modes import apply_modes

#: Whatever the login shell of the account is, as Ansible does it. Source: ansible-core, connection
#: plugin ``local`` and the default of ``executable``.
SHELL = "/bin/sh"

#: A session leader without a terminal takes the one it opens. Source: tty_ioctl(4), TIOCSCTTY;
#: open(2), O_NOCTTY. The shell does it, because running Python between fork and exec is not safe
#: in a process with threads.
_TAKE_TERMINAL = ': <>"$0"; exec "$@"'

_HINTS = {
    errno.ENOENT: f"commands on this machine itself need {SHELL}",
    errno.EACCES: f"commands on this machine itself need {SHELL}",
    errno.E2BIG: "give a long script as standard input: --stdin FILE -- sh -s",
    errno.EAGAIN: "too many processes: see ulimit -u, or take fewer --forks",
    errno.EMFILE: "too many open files: ulimit -n 4096, or take fewer --forks",
}
_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True, slots=True)
class Started:
    """
    A process that runs the command, and our ends of its streams.

    Attributes:
        child: Leader of a session and a process group of its own.
        stdin: Where its input is written; None if it has its end of file already.
        outputs: Where its output is read: one file if both streams are a terminal.
        has_terminal: Its streams are one.

    The files do not block; whoever asked for them closes them.
    """

    child: subprocess.Popen[bytes]
    stdin: FileIO | None
    outputs: Mapping[FileIO, Stream]
    has_terminal: bool = False


def start(request: ExecRequest, environ: Mapping[str, str]) -> Started:
    """
    Start the command of a request in the current folder.

    Args:
        environ: The whole environment of the command.

    Raises:
        FleetError: ``exec.refused`` or ``pty.refused``; nothing was started.
    """
    _see_children_end()
    program = _program(request)
    if request.pty is not None:
        return _start_on_terminal(program, request.pty, environ)
    has_input = request.stdin or request.dialogue is not None
    child = _spawn(
        program,
        environ,
        stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdin, stdout, stderr = child.stdin, child.stdout, child.stderr
    # Without buffers, Popen's files are these.
    assert isinstance(stdout, FileIO)
    assert isinstance(stderr, FileIO)
    assert stdin is None or isinstance(stdin, FileIO)
    for file in (stdin, stdout, stderr):
        if file is not None:
            os.set_blocking(file.fileno(), False)
    return Started(child, stdin, {stdout: "stdout", stderr: "stderr"})


def _program(request: ExecRequest) -> list[str | bytes]:
    """Return program and arguments of a request."""
    if request.is_shell:
        # As a login shell, which all of them understand.
        return [_login_shell(), "-l"]
    return [SHELL, "-c", _encoded(request.command)]


def _login_shell() -> str:
    """Return the shell of whoever runs this; sh if none is set. Source: passwd(5)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or SHELL
    except KeyError:  # nobody in passwd, as in some containers
        return SHELL


def _start_on_terminal(
    program: Sequence[str | bytes], pty: Pty, environ: Mapping[str, str]
) -> Started:
    master, slave = _open_terminal(pty)
    files = [FileIO(master, "r")]
    try:
        files.append(FileIO(os.dup(master), "w"))
        os.set_blocking(master, False)
        child = _spawn(
            [SHELL, "-c", _TAKE_TERMINAL, os.ttyname(slave), *program],
            environ,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
    except BaseException:
        for file in files:
            file.close()
        raise
    finally:
        os.close(slave)
    return Started(child, files[1], {files[0]: "stdout"}, has_terminal=True)


def _open_terminal(pty: Pty) -> tuple[int, int]:
    """Return both ends of a terminal with the size and the modes that are asked for."""
    try:
        master, slave = os.openpty()
    except OSError as error:
        raise FleetError(
            "pty.refused",
            f"no pseudo-terminal is to be had: {error.strerror}",
            hint="see /proc/sys/kernel/pty/max",
            retryable=error.errno in _PASSING,
        ) from None
    attributes = apply_modes(termios.tcgetattr(slave), pty.modes)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    termios.tcsetwinsize(slave, (pty.rows, pty.columns))
    return master, slave


def _spawn(
    program: Sequence[str | bytes],
    environ: Mapping[str, str],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - running it is what was asked for
            program,
            bufsize=0,
            env=environ,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise FleetError(
            "exec.refused",
            f"{_text(program[0])} could not be started: {error.strerror or error}",
            hint=_HINTS.get(error.errno or 0),
            retryable=error.errno in _PASSING,
        ) from None
    except ValueError as error:  # a NUL, or a variable's name with = in it
        raise FleetError("exec.refused", f"the command cannot be started: {error}") from None


def _text(word: str | bytes) -> str:
    return word if isinstance(word, str) else word.decode("utf-8", "replace")


def _encoded(line: str) -> bytes:
    """Return the bytes that would be sent to any other host."""
    return line.encode("utf-8", "surrogateescape")


def _see_children_end() -> None:
    """
    Undo an ignored SIGCHLD that was inherited: the kernel would not tell how a child ended.

    Source: wait(2), NOTES.
    """
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        except ValueError:
            raise FleetError(
                "exec.refused",
                "SIGCHLD is ignored in this process: how a command ends could not be seen",
                hint="signal.signal(signal.SIGCHLD, signal.SIG_DFL) in its main thread",
            ) from None
