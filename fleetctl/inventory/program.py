"""
Running a program that prints an inventory, bounded in time and in what it may print.

The program gets no shell, no input, and a process group of its own, which is ended as a whole.
Whether it may run, and what its output means, is decided elsewhere (faults S20).
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fleetctl.model.errors import UsageError
from fleetctl.model.excerpt import beginning

_CHUNK_BYTES = 65536
_KEPT_STDERR_BYTES = 65536
_SHOWN_LINES = 5
_SHOWN_LENGTH = 200
_GRACE_S = 0.5
#: Escape sequences of terminals, then every other control character but the end of a line.
_CONTROL = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?|[^\n -~\xa0-\U0010ffff]"
)
#: What follows a word for a secret, as programs print it when they fail.
_SECRET = re.compile(
    r"(?i)(\b[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)[\w-]*"
    r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)|(://[^/\s:@]*:)[^@\s]*(?=@)"
)


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """
    What a program may use.

    Attributes:
        timeout_s: Until it must have ended, output included.
        max_output_bytes: Of stdout.
    """

    timeout_s: float = 30.0
    max_output_bytes: int = 64 * 1024 * 1024


class _Output(NamedTuple):
    stdout: bytes
    stderr: bytes
    problem: str | None


def run_program(path: Path, arguments: Sequence[str], file: str, limits: ProgramLimits) -> bytes:
    """
    Run a program and return what it printed on stdout; blocks until it has ended.

    Args:
        path: The program.
        arguments: Its arguments.
        file: Its name in messages.
        limits: When to end it.

    Raises:
        UsageError: It cannot be run, failed, took too long or printed too much; with the last
            lines of its stderr, cleaned.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 - the caller has decided that it may run
            [path.absolute(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        hint = "its first line names an interpreter that is not there"
        if not os.access(path, os.X_OK):
            hint = f"chmod u+x {file}"
        raise UsageError(
            f"the program cannot be run: {error.strerror or error}", file=file, hint=hint
        ) from None
    with child:
        try:
            output = _read(child, limits)
        except BaseException:
            _end_group(child)
            raise
        if output.problem:
            _end_group(child)
    problem = output.problem
    if problem is None and child.returncode:
        kind = "exit status" if child.returncode > 0 else "signal"
        problem = f"the program failed with {kind} {abs(child.returncode)}"
    if problem is not None:
        raise UsageError(
            f"{problem}{clean_stderr(output.stderr)}",
            file=file,
            hint=f"try it: {file} {' '.join(arguments)}",
        )
    return output.stdout


def clean_stderr(data: bytes) -> str:
    """
    Return the last lines as one line to append to a message, or nothing.

    Control characters are gone, and what looks like a secret is masked.
    """
    text = _CONTROL.sub("", data.decode(errors="replace").replace("\r", "\n"))
    masked = _SECRET.sub(lambda found: f"{found[1] or found[3]}[secret]", text)
    stripped = (line.strip() for line in masked.split("\n"))
    lines = [beginning(line, _SHOWN_LENGTH) for line in stripped if line]
    return f": {' | '.join(lines[-_SHOWN_LINES:])}" if lines else ""


def _read(child: subprocess.Popen[bytes], limits: ProgramLimits) -> _Output:
    """Read both streams until they end, and wait for the program."""
    deadline_s = time.monotonic() + limits.timeout_s
    assert child.stdout
    assert child.stderr
    stdout, stderr = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, buffer in ((child.stdout, stdout), (child.stderr, stderr)):
            selector.register(stream, selectors.EVENT_READ, buffer)
        while selector.get_map():
            left_s = deadline_s - time.monotonic()
            ready = selector.select(left_s) if left_s > 0 else []
            if not ready:
                problem = f"the program did not end within {limits.timeout_s:g} s"
                return _Output(b"", bytes(stderr), problem)
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
            if len(stdout) > limits.max_output_bytes:
                problem = f"the program prints more than {limits.max_output_bytes} bytes"
                return _Output(b"", bytes(stderr), problem)
            del stderr[:-_KEPT_STDERR_BYTES]
    try:
        child.wait(max(deadline_s - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        problem = f"the program did not end within {limits.timeout_s:g} s"
        return _Output(b"", bytes(stderr), problem)
    return _Output(bytes(stdout), bytes(stderr), None)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End the program and all that it has started, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
