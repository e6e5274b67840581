"""
What to do on one host, as plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fleetctl.model.dialogue import Dialogue
    from fleetctl.model.remote import Remote
    from fleetctl.model.result import Outcome

#: Bytes kept per stream and host unless told otherwise; half head, half tail.
DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024


#: Terminal modes by opcode: ECHO (53) and ONLCR (72) off, so that output is what a program wrote.
#: Source: RFC 4254 section 8.
QUIET_MODES: Mapping[int, int] = {53: 0, 72: 0}


@dataclass(frozen=True, slots=True)
class Pty:
    """
    A pseudo-terminal to ask for.

    Attributes:
        term: Its type, for TERM.
        modes: Opcode -> value; those missing are the server's.

    Source: RFC 4254 section 6.2.
    """

    term: str = "dumb"
    columns: int = 80
    rows: int = 24
    modes: Mapping[int, int] = field(default_factory=lambda: QUIET_MODES)


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """
    One command on one session channel.

    Attributes:
        command: Sent exactly as it is; the login shell of the host interprets it.
        is_subsystem: ``command`` is the name of a subsystem of the SSH server instead, such as
            ``sftp``; no shell sees it. Without a dialogue EOF is sent when it has answered; with
            one, what it writes is never output.
        is_shell: The user's login shell is started instead, and ``command`` is empty.
        stdin: Bytes to send before EOF; EOF is sent at once when empty.
        env: Sent as ``env`` channel requests; sshd drops names it does not accept.
        timeout_s: Limit for the command, None for none.
        max_output_bytes: Kept per stream; head and tail are kept when there is more.
        pty: Ask for this pseudo-terminal (merges stderr into stdout).
        dialogue: Talks to the program first; ``stdin`` is sent when it is done.
        end_with: Returns a request that runs a command line with the rights that this command has,
            for ending it; None if those are the rights of the user who logged in.

    Source: RFC 4254 sections 6.2-6.5.
    """

    command: str
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    pty: Pty | None = None
    is_subsystem: bool = False
    is_shell: bool = False
    dialogue: Dialogue | None = None
    end_with: Callable[[str], ExecRequest] | None = None


@dataclass(frozen=True, slots=True)
class ShellScript:
    """
    The login shell on a session channel, fed with scripted stdin.

    Attributes:
        script: Bytes for the shell's standard input, EOF after them.
        env: Sent as ``env`` channel requests; sshd drops names it does not accept.
        dialogue: Talks to the shell first; ``script`` is sent when it is done.
    """

    script: bytes
    pty: Pty | None = None
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    env: Mapping[str, str] = field(default_factory=dict)
    dialogue: Dialogue | None = None

    def as_request(self) -> ExecRequest:
        """Return the request for the login shell that is fed with it."""
        return ExecRequest(
            "",
            is_shell=True,
            stdin=self.script,
            env=self.env,
            pty=self.pty,
            timeout_s=self.timeout_s,
            max_output_bytes=self.max_output_bytes,
            dialogue=self.dialogue,
        )


class Operation(Protocol):
    """
    What to do on one host. Implementations are frozen dataclasses of plain data, so that they can
    travel to a worker.
    """

    @property
    def kind(self) -> str:
        """A stable name such as ``command`` or ``ping``; the codec's key."""
        ...

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or with ``check`` only look.

        Raises:
            FleetError: What the host or the link did wrong; turned into a Failure by the engine.
        """
        ...
