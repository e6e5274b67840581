"""
Running a program that prints a secret, bounded in time and in what it may print.

The program gets no input and no terminal, and a session of its own, which is ended as a whole.
Whether it may run is decided where its source was written.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.model.secret import Secret

TIMEOUT_S = 30.0
MAX_OUTPUT_BYTES = 64 * 1024
_SHOWN_LENGTH = 200
_GRACE_S = 0.5

#: What only a shell understands.
_SHELL_SYNTAX = re.compile(r"[|&;<>()$`\\*?\[\]#~!{}\n]")
#: Names that mean the same to every program and every shell.
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.:@+][A-Za-z0-9_.:@+-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def expand_tokens(text: str, tokens: Mapping[str, str]) -> str:
    """
    Replace ``%h`` and the like in a command; ``%%`` is a percent sign.

    Raises:
        FleetError: ``auth.no_method``: a token is not known, or its value could mean something to
            a program or a shell, as in CVE-2023-51385.
    """

    def expand(match: re.Match[str]) -> str:
        name = match[1]
        if name == "%":
            return "%"
        value = tokens.get(name)
        if value is None:
            raise FleetError(
                "auth.no_method",
                f"cmd: %{name} is not known",
                hint=f"there are {' '.join(f'%{each}' for each in tokens)} and %%",
            )
        if not _SAFE_NAME.fullmatch(value):
            raise FleetError(
                "auth.no_method",
                f"cmd: %{name} would be a name with characters that a program may misread",
                hint="rename the host, or give its password in another way",
            )
        return value

    return re.sub(r"%(.?)", expand, text)


def split_command(text: str) -> list[str]:
    """Return the arguments of a command; a shell is used only for what needs one."""
    words = shlex.split(text)
    if _SHELL_SYNTAX.search(text) or (words and "=" in words[0]):
        return ["/bin/sh", "-c", text]
    return words


async def run_command(text: str, *, timeout_s: float = TIMEOUT_S) -> Secret:
    """
    Run a command and return the first line it prints.

    Raises:
        FleetError: ``auth.no_method``: it cannot be run, failed, took too long, or printed nothing
            or too much. What it printed is not shown; the last line of its stderr is.
    """
    try:
        words = split_command(text)
    except ValueError as error:
        raise _failed("cmd", f"cannot be read: {error}") from None
    if not words:
        raise _failed("cmd", "is empty")
    program = os.path.basename(words[0])
    try:
        child = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, IndexError, TypeError) as error:
        raise _failed(
            program, f"cannot be run: {getattr(error, 'strerror', None) or error}"
        ) from None
    assert child.stdout
    assert child.stderr
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await asyncio.gather(
                _read(child.stdout, MAX_OUTPUT_BYTES), _read(child.stderr, MAX_OUTPUT_BYTES)
            )
            status = await child.wait()
    except TimeoutError:
        await _end(child)
        raise _failed(program, f"did not end within {timeout_s:g} s") from None
    except BaseException:
        await _end(child)
        raise
    if status != 0:
        raise _failed(program, f"ended with exit status {status}{_last_line(stderr)}")
    if len(stdout) > MAX_OUTPUT_BYTES:
        raise _failed(program, f"prints more than {MAX_OUTPUT_BYTES} bytes")
    line = stdout.partition(b"\n")[0].rstrip(b"\r")
    if not line:
        raise _failed(program, "prints nothing on its first line")
    try:
        return Secret(line.decode())
    except UnicodeDecodeError:
        raise _failed(program, "prints something that is not UTF-8") from None


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """Read to the end; keep at most one byte more than the limit."""
    kept = bytearray()
    while chunk := await stream.read(16 * 1024):
        kept += chunk[: limit + 1 - len(kept)]
    return bytes(kept)


async def _end(child: asyncio.subprocess.Process) -> None:
    """End the program and all that it has started, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await child.wait()


def _last_line(stderr: bytes) -> str:
    lines: Sequence[str] = stderr.decode(errors="replace").strip().splitlines()
    return f": {beginning(_CONTROL.sub(' ', lines[-1]), _SHOWN_LENGTH)}" if lines else ""


def _failed(program: str, problem: str) -> FleetError:
    return FleetError(
        "auth.no_method",
        f"cmd: {program} {problem}",
        hint="try the command by itself; it gets no terminal and no input here",
    )
