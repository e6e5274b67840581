"""
What to do on one host, as plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fleetctl.model.remote import Remote
    from fleetctl.model.result import Outcome

#: Bytes kept per stream and host unless told otherwise; half head, half tail.
DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """
    One command on one session channel.

    Attributes:
        command: Sent exactly as it is; the login shell of the host interprets it.
        is_subsystem: ``command`` is the name of a subsystem of the SSH server instead, such as
            ``sftp``; no shell sees it, and EOF is sent when it has answered.
        stdin: Bytes to send before EOF; EOF is sent at once when empty.
        env: Sent as ``env`` channel requests; sshd drops names it does not accept.
        timeout_s: Limit for the command, None for none.
        max_output_bytes: Kept per stream; head and tail are kept when there is more.
        pty: Ask for a pseudo-terminal (merges stderr into stdout).

    Source: RFC 4254 sections 6.2-6.5.
    """

    command: str
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    pty: bool = False
    is_subsystem: bool = False


@dataclass(frozen=True, slots=True)
class ShellScript:
    """
    The login shell on a session channel, fed with scripted stdin.

    Attributes:
        script: Bytes for the shell's standard input, EOF after them.
    """

    script: bytes
    pty: bool = False
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES


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
