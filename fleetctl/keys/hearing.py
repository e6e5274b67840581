"""
Running programs on a host whose output is an answer to us, and not output of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from fleetctl.model.dialogue import Conversation
from fleetctl.model.events import Stream
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.redaction import Redaction
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret


class Hearing:
    """
    A `fleetctl.model.dialogue.Dialogue` that says its piece and keeps what it hears: nothing of it
    counts as output of the run.

    Attributes:
        heard: Stream -> its first bytes.
        heard_bytes: Stream -> how many there were.
    """

    def __init__(self, piece: bytes = b"", *, max_bytes: int) -> None:
        """
        Args:
            piece: Standard input for the program, before EOF.
            max_bytes: Kept of each stream.
        """
        self.heard: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self.heard_bytes: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._piece = piece
        self._max_bytes = max_bytes

    async def hold(self, conversation: Conversation) -> None:
        """Send the piece and the end of the input, and listen until nothing more comes."""
        if self._piece:
            await conversation.write(self._piece)
        conversation.write_eof()
        while (said := await conversation.read()) is not None:
            stream, data = said
            self.heard[stream] += data[: max(self._max_bytes - len(self.heard[stream]), 0)]
            self.heard_bytes[stream] += len(data)


class Quiet:
    """
    A `fleetctl.model.remote.Remote` whose commands show nothing: what they write is in their
    results, and neither shown live nor recorded.

    Args:
        remote: Runs them.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    @property
    def host(self) -> Host:
        return self._remote.host

    async def exec(self, request: ExecRequest) -> ExecResult:
        """Run one command; one that is talked to, or is a subsystem, as any `Remote` does."""
        if request.dialogue is not None or request.is_subsystem:
            return await self._remote.exec(request)
        hearing = Hearing(request.stdin, max_bytes=request.max_output_bytes)
        result = await self._remote.exec(replace(request, stdin=b"", dialogue=hearing))
        heard, heard_bytes = hearing.heard, hearing.heard_bytes
        return replace(
            result,
            stdout=bytes(heard["stdout"]),
            stderr=bytes(heard["stderr"]),
            stdout_bytes=heard_bytes["stdout"],
            stderr_bytes=heard_bytes["stderr"],
            truncated=any(len(heard[stream]) < heard_bytes[stream] for stream in heard),
        )

    async def shell(self, script: ShellScript) -> ExecResult:
        return await self.exec(script.as_request())

    async def become_password(self, user: str) -> Secret | None:
        return await self._remote.become_password(user)

    async def secret(self, source: str) -> Secret | None:
        return await self._remote.secret(source)

    def redaction(self) -> Redaction | None:
        return self._remote.redaction()

    def login_with(self, login: Login) -> AbstractAsyncContextManager[Remote]:
        return self._remote.login_with(login)

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        return await self._remote.connect(findings)
