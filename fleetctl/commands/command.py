"""
The operation behind ``fleetctl run``: one command line on one session channel.

Judges how the command ended. Does not know how it was sent or how the result is shown.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.model.failure import Failure, status_of
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES, ExecRequest, Pty
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, Outcome

#: What a POSIX shell says about a command it could not start.
#: Source: POSIX.1-2017, Shell Command Language, 2.8.2 Exit Status for Commands.
_HINTS = {
    126: "126 means that the command was found but could not be executed: check its mode and "
    "its #! line",
    127: "127 means that the host found no such command: check the spelling and the PATH of "
    "non-interactive logins there",
}


@dataclass(frozen=True, slots=True)
class Command:
    """
    Run a command line and judge its end: exit status 0 is ok, everything else failed.

    Attributes:
        line: Sent byte for byte (unless `env` is set); the login shell of the host interprets it.
        stdin: Bytes to send before EOF.
        env: Variables for the command. They are put before the line as ``export``, because sshd
            drops names that its AcceptEnv does not list; needs a POSIX login shell.
        timeout_s: Limit for the command, None for none.
        max_output_bytes: Kept per stream.
        pty: Ask for a pseudo-terminal.
    """

    line: str
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    pty: bool = False

    @property
    def kind(self) -> str:
        return "command"

    @property
    def request(self) -> ExecRequest:
        """What is sent to the host."""
        return ExecRequest(
            command=with_env(self.line, self.env),
            stdin=self.stdin,
            timeout_s=self.timeout_s,
            max_output_bytes=self.max_output_bytes,
            pty=Pty() if self.pty else None,
        )

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """Run it; with ``check`` nothing is sent, because nobody knows what a command changes."""
        if check:
            return Outcome(status="skipped")
        return judge(await remote.exec(self.request))


def command_line(words: Sequence[str]) -> str:
    """
    Return the line to send: one word is a line as written, several are quoted for POSIX sh.

    Args:
        words: What the user wrote after ``--``; not empty.
    """
    return words[0] if len(words) == 1 else shlex.join(words)


def with_env(line: str, env: Mapping[str, str]) -> str:
    """Return the line with its variables exported before it; the line itself if there are none."""
    if not env:
        return line
    assignments = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
    return f"export {assignments}; {line}"


def judge(result: ExecResult) -> Outcome:
    """Turn the end of a command into an outcome. A command that ran counts as a change."""
    failure = _failure(result)
    status = status_of(failure.kind) if failure else "ok"
    return Outcome(status=status, changed=True, result=result, failure=failure)


def _failure(result: ExecResult) -> Failure | None:
    if result.exit_signal is not None:
        return Failure("exec.signal", f"killed by signal {result.exit_signal}")
    if result.exit_status is None:
        return Failure(
            "session.no_status",
            "the command ended without an exit status",
            hint="the server closed the session itself: look for it in the log of sshd there",
        )
    if result.exit_status == 0:
        return None
    return Failure(
        "exec.nonzero", f"exit status {result.exit_status}", hint=_HINTS.get(result.exit_status)
    )
