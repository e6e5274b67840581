"""
Typing at fleetctl as people and scripts do: a child process, with pipes or with a terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.patience import PATIENCE_S

PROGRAM = (sys.executable, "-m", "fleetctl")
LIMIT_S = 2 * PATIENCE_S


@dataclass(frozen=True)
class Ended:
    """How a command ended. On a terminal, `out` has both streams as they were shown."""

    code: int
    out: str
    err: str = ""

    def events(self):
        """Return the events of ``--format ndjson``; fails if a line is none."""
        return [json.loads(line) for line in self.out.splitlines()]

    def results(self):
        """Return host -> result of ``--format json``."""
        return {host["host"]: host for host in json.loads(self.out)["hosts"]}


def fleetctl(*words, stdin=b"", env=None):
    """Run a command line with pipes; return how it ended."""
    done = subprocess.run(
        [*PROGRAM, *words],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
        env={**os.environ, **(env or {})},
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextlib.contextmanager
def started(*words, stdin=subprocess.DEVNULL) -> Iterator[Any]:
    """Start a command line with pipes, in a process group of its own; it is gone afterwards."""
    child = subprocess.Popen(
        [*PROGRAM, *words],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # or what was read ahead is lost to communicate()
        process_group=0,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


class Screen:
    """
    A terminal with fleetctl running on it.

    Attributes:
        shown: Everything so far.
        master: Our end of it.
        pid: The process on it.
    """

    def __init__(self, master: int, child: subprocess.Popen) -> None:
        self.shown = ""
        self.master = master
        self.pid = child.pid
        self._child = child

    def read_until(self, text, *, limit_s=LIMIT_S):
        """Read until the text has been shown."""
        until = time.monotonic() + limit_s
        while text not in self.shown:
            assert time.monotonic() < until, f"no {text!r} in {self.shown!r}"
            if not self._read(0.1):
                assert text in self.shown, f"no {text!r} in {self.shown!r}"

    def type(self, text):
        os.write(self.master, text.encode())

    def interrupt(self):
        """Press Ctrl-C."""
        self.type("\x03")

    def wait(self, *, limit_s=LIMIT_S):
        """Read to the end and return how it ended."""
        until = time.monotonic() + limit_s
        while self._read(0.1):
            assert time.monotonic() < until, f"it does not end: {self.shown!r}"
        code = self._child.wait(limit_s)
        return Ended(128 - code if code < 0 else code, self.shown)

    def _read(self, timeout_s):
        # Asked before: what it said last is not missed when it ends meanwhile.
        has_ended = self._child.poll() is not None
        if not select.select([self.master], [], [], timeout_s)[0]:
            return not has_ended
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


@contextlib.contextmanager
def on_terminal(*words, env=None, program=PROGRAM, prepare=lambda _fd: None) -> Iterator[Screen]:
    """
    Start a command line on a terminal of its own; it is gone afterwards.

    Args:
        program: What is started with these words.
        prepare: Changes the terminal first.
    """
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    prepare(slave)

    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    child = subprocess.Popen(
        [*program, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - no threads here
        env={**os.environ, "TERM": "xterm", **(env or {})},
    )
    os.close(slave)
    try:
        yield Screen(master, child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        os.close(master)
