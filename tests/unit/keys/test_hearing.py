"""
Programs whose output is an answer to us.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from fleetctl.keys.hearing import Quiet
from fleetctl.model.events import Stream
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.testing import ScriptedRemote


class Spoken:
    """A `Conversation` with a program that has these pieces to say."""

    def __init__(self, *pieces: tuple[Stream, bytes]) -> None:
        self.told = b""
        self.is_at_end = False
        self.kept: list[bytes] = []
        self._pieces = list(pieces)

    async def read(self) -> tuple[Stream, bytes] | None:
        return self._pieces.pop(0) if self._pieces else None

    def keep(self, stream: Stream, data: bytes) -> None:
        self.kept.append(data)

    async def write(self, data: bytes) -> None:
        self.told += data

    def write_eof(self) -> None:
        self.is_at_end = True

    def resize(self, columns: int, rows: int) -> None:
        raise AssertionError("it has no terminal")


class Talking(ScriptedRemote):
    """A host on which each command holds this conversation."""

    def __init__(self, spoken: Spoken) -> None:
        super().__init__({})
        self._spoken = spoken

    async def exec(self, request: ExecRequest) -> ExecResult:
        self.requests.append(request)
        if request.dialogue is not None:
            await request.dialogue.hold(self._spoken)
        return ExecResult(exit_status=3)


def test_what_a_program_says_is_in_the_result_and_nowhere_else():
    """
    Standard input is sent, then EOF; both streams are heard, up to the limit, and none is kept as
    output of the run.
    """
    spoken = Spoken(("stdout", b"abc"), ("stderr", b"no"), ("stdout", b"defgh"))
    request = ExecRequest("exec sh -s", stdin=b"program", max_output_bytes=5)
    result = asyncio.run(Quiet(Talking(spoken)).exec(request))
    assert (spoken.told, spoken.is_at_end, spoken.kept) == (b"program", True, [])
    assert (result.exit_status, result.stdout, result.stderr) == (3, b"abcde", b"no")
    assert (result.stdout_bytes, result.stderr_bytes, result.truncated) == (8, 2, True)


def test_a_subsystem_and_a_dialogue_are_left_alone():
    """
    They have their own way of being quiet.
    """
    remote = Talking(Spoken())
    subsystem = ExecRequest("sftp", is_subsystem=True)
    asyncio.run(Quiet(remote).exec(subsystem))
    assert remote.requests == [subsystem]
    assert replace(subsystem) == subsystem
