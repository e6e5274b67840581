"""
Login shells without a network: a `Remote` that runs lines as sshd does, with ``SHELL -c LINE``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetctl.model.events import Stream
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, Operation
from fleetctl.model.result import ExecResult, Outcome
from tests.support.patience import TEST_LIMIT_S

#: Login shell -> what starts it.
LOGIN_SHELLS: Mapping[str, tuple[str, ...]] = {
    "sh": ("sh",),
    "dash": ("dash",),
    "bash": ("bash",),
    "ash": ("busybox", "ash"),
    "ksh": ("ksh",),
    "zsh": ("zsh",),
    "csh": ("csh",),
    "tcsh": ("tcsh",),
    "fish": ("fish",),
}
#: What is called sh on one system or another -> what it is.
POSIX_SHELLS: Mapping[str, tuple[str, ...]] = {
    "dash": ("dash",),
    "bash": ("bash", "--posix"),
    "busybox": ("busybox", "sh"),
    "ksh": ("ksh",),
    "zsh": ("zsh", "--emulate", "sh"),
}

#: A program that prints its arguments, each in hexadecimal digits.
SHOW_ARGUMENTS = """\
#!{python} -IS
import os, sys
for each in sys.argv[1:]:
    print("<" + os.fsencode(each).hex() + ">", end="")
"""


def write_program(path: Path, text: str) -> Path:
    """Write a file that can be run; ``{python}`` in it is the one that runs the tests."""
    path.write_text(text.replace("{python}", sys.executable))
    path.chmod(0o755)
    return path


def shown(*words: str) -> bytes:
    """Return what the program that shows its arguments writes about these."""
    return b"".join(b"<%s>" % os.fsencode(word).hex().encode() for word in words)


@dataclass
class ShellRemote:
    """
    A host whose accounts have a login shell, and nothing else of a host.

    Attributes:
        argv: What starts the shell.
        requests: What was asked for.
    """

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    requests: list[ExecRequest] = field(default_factory=list)
    host: Host = field(default_factory=lambda: Host("shell"))

    async def exec(self, request: ExecRequest) -> ExecResult:
        self.requests.append(request)
        child = await asyncio.create_subprocess_exec(
            *self.argv,
            "-c",
            os.fsencode(request.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environ,
        )
        conversation = ShellConversation(child)
        if request.dialogue is not None:
            await request.dialogue.hold(conversation)
        await conversation.write(request.stdin)
        conversation.write_eof()
        while (piece := await conversation.read()) is not None:
            conversation.keep(*piece)
        code = await child.wait()
        stdout, stderr = (bytes(conversation.kept[name]) for name in ("stdout", "stderr"))
        return ExecResult(
            exit_status=code if code >= 0 else None,
            exit_signal=signal.Signals(-code).name.removeprefix("SIG") if code < 0 else None,
            stdout=stdout,
            stderr=stderr,
            stdout_bytes=len(stdout),
            stderr_bytes=len(stderr),
        )


class ShellConversation:
    """The streams of a child process as a dialogue sees them."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.kept: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._child = child
        self._pieces: asyncio.Queue[tuple[Stream, bytes]] = asyncio.Queue()
        self._open = 2
        assert child.stdout is not None
        assert child.stderr is not None
        self._readers = [
            asyncio.ensure_future(self._read_all("stdout", child.stdout)),
            asyncio.ensure_future(self._read_all("stderr", child.stderr)),
        ]

    async def _read_all(self, stream: Stream, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self._pieces.put_nowait((stream, data))
        self._pieces.put_nowait((stream, b""))

    async def read(self) -> tuple[Stream, bytes] | None:
        while self._open:
            piece = await self._pieces.get()
            if piece[1]:
                return piece
            self._open -= 1
        return None

    def keep(self, stream: Stream, data: bytes) -> None:
        self.kept[stream] += data

    async def write(self, data: bytes) -> None:
        stdin = self._child.stdin
        assert stdin is not None
        if not stdin.is_closing():
            stdin.write(data)
            try:
                await stdin.drain()
            except ConnectionError:
                stdin.close()

    def write_eof(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        raise NotImplementedError


def perform(operation: Operation, remote: ShellRemote) -> Outcome:
    """Run an operation on a host that is a shell."""

    async def bounded() -> Outcome:
        async with asyncio.timeout(TEST_LIMIT_S):
            return await operation.run(remote, check=False)  # type: ignore[arg-type]

    return asyncio.run(bounded())


def login_shell(name: str, folder: Path, **environ: str) -> ShellRemote:
    """Return an account with that login shell and an empty home."""
    argv = LOGIN_SHELLS[name]
    program = shutil.which(argv[0])
    assert program is not None, f"{argv[0]} is not installed"
    shell = folder / name
    if not shell.exists():
        shell.symlink_to(program)
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "SHELL": str(shell), "TERM": "dumb"}
    return ShellRemote(argv, {**own, **environ})


def with_sh(name: str, folder: Path) -> ShellRemote:
    """Return an account on a system whose sh is that one; its login shell is the same."""
    argv = POSIX_SHELLS[name]
    program = shutil.which(argv[0])
    assert program is not None, f"{argv[0]} is not installed"
    programs = folder / f"bin-{name}"
    programs.mkdir(exist_ok=True)
    sh = programs / "sh"
    if not sh.exists():
        sh.write_text(f'#!/bin/dash\nexec {program} {" ".join(argv[1:])} "$@"\n')
        sh.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return ShellRemote(("sh",), {"PATH": path, "HOME": str(folder), "SHELL": str(sh)})
