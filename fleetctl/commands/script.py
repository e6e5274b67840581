"""
The operation behind ``fleetctl script``: a script of this machine, run on a host, with nothing left
there.

It goes by standard input to a POSIX sh, which reads all of it before any of it runs: a cut transfer
runs nothing, and what the script itself reads is never the rest of its own text. A script for sh is
read by that sh; any other interpreter gets it as a file descriptor's name, ``/dev/fd/9``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fleetctl.commands.conditions import USUAL, Conditions
from fleetctl.commands.preparation import set_up, start_sh, why_not_started
from fleetctl.commands.proof import START, say
from fleetctl.commands.proved import Program, run_proved
from fleetctl.commands.quoting import fetch, fetched, run_fetched
from fleetctl.model.errors import Problem
from fleetctl.model.failure import Failure
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES, ExecRequest, Pty
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

#: It is held in the memory of a shell, and read byte by byte: about three seconds for so much.
MAX_SCRIPT_BYTES = 8 * 1024 * 1024

#: What ``#!`` names when the sh that reads the script can run it itself.
_PLAIN_SH = ((), ("/bin/sh",), ("/usr/bin/sh",), ("/usr/bin/env", "sh"))
#: What reads the script is found in the PATH of the login, not in that of the script.
_TAKE_PATH = "fleetctl_path=$1;shift"


@dataclass(frozen=True, slots=True)
class Script:
    """
    Run a script and judge its end as that of a command.

    Attributes:
        name: What it sees as ``$0``, if it is for sh.
        code: Its text, no NUL in it.
        arguments: Its arguments; no byte of them is read by a shell.
        stdin: What it reads, if it reads.
        conditions: Its environment, folder, umask and niceness.
        timeout_s: Limit for it, None for none.
        max_output_bytes: Kept per stream.
        pty: Ask for a pseudo-terminal.
    """

    name: str
    code: bytes
    arguments: tuple[str, ...] = ()
    stdin: bytes = b""
    conditions: Conditions = USUAL
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    pty: bool = False

    @property
    def kind(self) -> str:
        return "script"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Run it; with ``check`` nothing is sent.

        Raises:
            FleetError: As `Remote.exec`; ``exec.refused``: nothing was heard of the script.
        """
        if check:
            return Outcome(status="skipped")
        request = ExecRequest(
            command="",
            stdin=self.stdin,
            timeout_s=self.timeout_s,
            max_output_bytes=self.max_output_bytes,
            pty=Pty() if self.pty else None,
        )
        return await run_proved(remote, self._program, request, self._explain)

    def _program(self, token: str) -> Program:
        interpreter = interpreter_of(self.code)
        if interpreter in _PLAIN_SH:
            code, words = self.code, [self.name, *self.arguments]
            start = f"{say(token, START, both=True)};{run_fetched(token)}"
            run = f"{_TAKE_PATH};{fetch(token, len(code), start)}"
        else:
            code = self.code.removesuffix(b"\n")  # the here-document ends with one
            words = [self.name, *interpreter, "/dev/fd/9", *self.arguments]
            run = _run_by(interpreter, token, len(code))
        return Program(
            f"{set_up(self.conditions, token)}\n{start_sh(self.conditions, run, words)}", (code,)
        )

    def _explain(self, report: str) -> Failure:
        name = _program_of(interpreter_of(self.code))
        match report:
            case "interpreter":
                message = f"there is no {name} on the host, which the script's #! line names"
                return Failure("exec.refused", message, hint=f"install {name} there")
            case "dev-fd":
                return Failure(
                    "exec.refused",
                    f"the host has no /dev/fd, through which {name} would read the script",
                    hint="a script for sh (#!/bin/sh) needs none; any other can be copied there",
                )
            case _:
                return why_not_started(report, self.conditions)


def _run_by(interpreter: tuple[str, ...], token: str, size: int) -> str:
    """
    Return what makes sh run ``$@`` with the script open as its descriptor 9.

    Shells start a process of their own for a long here-document, or hold it in a file without a
    name; either is gone with the script.
    """
    needed = {interpreter[0], _program_of(interpreter)}
    checks = [
        f"command -v {each} >/dev/null 2>&1 || {{ {say(token, 'interpreter')}; exit 127; }}"
        for each in sorted(needed)
    ]
    checks.append(f"[ -e /dev/fd/9 ] 9</dev/null || {{ {say(token, 'dev-fd')}; exit 1; }}")
    ready = fetch(token, size, say(token, START, both=True))
    return "\n".join([_TAKE_PATH, *checks, ready, f'exec "$@" 9<<{token}', fetched(token), token])


def interpreter_of(code: bytes) -> tuple[str, ...]:
    """
    Return what the ``#!`` line names, as the kernel reads it: a program and at most one argument.

    Empty without such a line, for sh.

    Source: execve(2), Interpreter scripts.
    """
    if not code.startswith(b"#!"):
        return ()
    line = code[2:].partition(b"\n")[0].decode("utf-8", "surrogateescape").strip(" \t")
    return tuple(re.split("[ \t]+", line, maxsplit=1)) if line else ()


def _program_of(interpreter: tuple[str, ...]) -> str:
    """Return the program that runs the script in the end: the one ``env`` starts."""
    program, *rest = interpreter or ("sh",)
    if program.rpartition("/")[2] == "env" and rest:
        for word in rest[0].split():
            if not word.startswith("-") and "=" not in word:
                return word
    return program


def problems_of(code: bytes) -> list[Problem]:
    """Return why a file cannot be a script: nobody has to be contacted to see it."""
    first, _, _ = code.partition(b"\n")
    if not code.strip():
        return [Problem("the script is empty")]
    if len(code) > MAX_SCRIPT_BYTES:
        most = MAX_SCRIPT_BYTES // 1024**2
        return [
            Problem(
                f"{len(code)} bytes are too many for a script, {most} MiB may be sent",
                hint="give what it works on as its input: --stdin FILE",
            )
        ]
    if code.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [Problem("the script is UTF-16", line=1, hint="save it as UTF-8")]
    if code.startswith(b"\xef\xbb\xbf"):
        return [
            Problem(
                "the script begins with a byte order mark, which no shell understands",
                line=1,
                hint="take it away: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE",
            )
        ]
    if b"\0" in code:
        line = code[: code.index(b"\0")].count(b"\n") + 1
        return [Problem("the script is no text: it has NUL bytes", line=line)]
    if first.endswith(b"\r"):
        return [
            Problem(
                "the script has the line ends of Windows (CRLF), and the host would take each CR "
                "for a part of the line",
                line=1,
                hint="sed -i 's/\\r$//' FILE",
            )
        ]
    if first.startswith(b"#!") and not interpreter_of(code):
        return [Problem("the #! line names no program", line=1, hint="such as #!/bin/sh")]
    return []
