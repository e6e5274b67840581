"""
The operation behind ``fleetctl run``: one command on one session channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleetctl.commands.conditions import USUAL, Conditions
from fleetctl.commands.judgement import judge
from fleetctl.commands.no_shell import without_shell
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES, ExecRequest, Pty
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

#: On this machine itself lines are for ``/bin/sh``. Source: `fleetctl.local.start`.
LOCAL_SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Command:
    """
    Run a command line, or a program with arguments, and judge its end.

    A line that is to run under usual conditions is sent byte for byte: network gear has no sh. So
    is one made of words that every shell takes as they are. All else is started under a POSIX sh,
    with proof that it was ours that ran (`fleetctl.commands.proved`).

    Attributes:
        line: The login shell of the host interprets it.
        words: Program and arguments in place of a line; no shell reads them.
        stdin: Bytes to send before EOF.
        conditions: Its environment, folder, umask and niceness.
        timeout_s: Limit for the command, None for none.
        max_output_bytes: Kept per stream.
        pty: Ask for a pseudo-terminal.
    """

    line: str = ""
    words: tuple[str, ...] = ()
    stdin: bytes = b""
    conditions: Conditions = USUAL
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    pty: bool = False

    @property
    def kind(self) -> str:
        return "command"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Run it; with ``check`` nothing is sent, because nobody knows what a command changes.

        Raises:
            FleetError: As `Remote.exec`; ``exec.refused``: nothing was heard of the command.
        """
        if check:
            return Outcome(status="skipped")
        line = self._sent_as_it_is()
        if line is None:
            return await self._run_proved(remote)
        return await without_shell(remote, judge(await remote.exec(self._request(line))))

    def _sent_as_it_is(self) -> str | None:
        if not self.conditions.is_usual:
            return None
        if not self.words:
            return self.line
        from fleetctl.commands.quoting import plain_line

        return plain_line(self.words)

    def _request(self, line: str) -> ExecRequest:
        return ExecRequest(
            command=line,
            stdin=self.stdin,
            timeout_s=self.timeout_s,
            max_output_bytes=self.max_output_bytes,
            pty=Pty() if self.pty else None,
        )

    async def _run_proved(self, remote: Remote) -> Outcome:
        from fleetctl.commands.preparation import run_line, run_words, set_up, why_not_started
        from fleetctl.commands.proved import Program, run_proved

        conditions = self.conditions
        shell = LOCAL_SHELL if remote.host.connection == "local" else None

        def program(token: str) -> Program:
            if self.words:
                run = run_words(conditions, token, self.words)
            else:
                run = run_line(conditions, token, self.line, shell=shell)
            return Program(f"{set_up(conditions, token)}\n{run}")

        return await run_proved(
            remote,
            program,
            self._request(""),
            lambda report: why_not_started(report, conditions),
        )


def command_of(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """
    Return line and words of a `Command`: one word is a line as written.

    Args:
        words: What the user wrote after ``--``; not empty.
    """
    return (words[0], ()) if len(words) == 1 else ("", tuple(words))
