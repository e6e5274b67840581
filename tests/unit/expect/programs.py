"""
Programs to talk to that are lists of moves: what they say, and what they must hear.
"""

from __future__ import annotations

import asyncio
from collections import deque

from fleetctl.expect.dialogue import ExpectDialogue
from fleetctl.expect.read import read_script
from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.testing import run_in_virtual_time


class Program:
    """
    A `fleetctl.model.dialogue.Conversation` with a program.

    A move is bytes that are said, a number of seconds that pass, or a `set` with the one text that
    must be typed before it goes on. After the last move it ends, or never with ``ends=False``.
    """

    def __init__(self, *moves, ends=True, stream="stdout"):
        self.moves = deque(moves)
        self.typed = b""
        self.kept = {"stdout": b"", "stderr": b""}
        self.eofs = 0
        self._ends = ends
        self._stream = stream
        self._heard = asyncio.Event()
        self._heard_bytes = 0
        self._due = None

    async def read(self):
        while self.moves:
            move = self.moves[0]
            if isinstance(move, bytes):
                self.moves.popleft()
                return self._stream, move
            if isinstance(move, set):
                (wanted,) = move
                while len(self.typed) < self._heard_bytes + len(wanted):
                    self._heard.clear()
                    await self._heard.wait()
                assert self.typed[self._heard_bytes :].startswith(wanted)
                self._heard_bytes += len(wanted)
            else:
                loop = asyncio.get_running_loop()
                self._due = self._due or loop.time() + move
                await asyncio.sleep(self._due - loop.time())
                self._due = None
            self.moves.popleft()
        if not self._ends:
            await asyncio.get_running_loop().create_future()
        return None

    def keep(self, stream, data):
        self.kept[stream] += data

    async def write(self, data):
        self.typed += data
        self._heard.set()

    def write_eof(self):
        self.eofs += 1

    def resize(self, columns, rows):
        raise AssertionError("nobody asked for that")


def script_of(text):
    """Return the script in a YAML text."""
    return read_script(text.encode(), "it.yml")


def play(text, *moves, values=None, secrets=None, recorder=None, **how):
    """Play a script with a program; return both, and the failure if it failed."""

    async def get_secret(source):
        return Secret(secrets[source]) if secrets and source in secrets else None

    async def main():
        program = Program(*moves, **how)
        dialogue = ExpectDialogue(
            script_of(text),
            values={"host": "web01", **(values or {})},
            get_secret=get_secret,
            recorder=recorder,
        )
        try:
            await dialogue.hold(program)
        except FleetError as error:
            return program, dialogue, error.failure
        return program, dialogue, dialogue.failure

    return run_in_virtual_time(main)
