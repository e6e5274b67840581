"""
SFTP servers in memory, for what no real one does: lies, silence, answers out of order.

``PlayedRemote(play)`` is a `Remote` whose SFTP server is the function ``play``: it gets each packet
of the client, without its length, and returns what to send back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar, cast

from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult
from fleetctl.ssh.sftp import SftpClient, over_sftp
from fleetctl.ssh.sftp_packet import (
    VERSION,
    Attributes,
    Fields,
    Framer,
    Kind,
    Status,
    string,
    uint32,
    uint64,
)

#: What comes back for a packet; None ends the server, an error is what `exec` raises.
Played = bytes | None | FleetError
Play = Callable[[bytes], Played]

T = TypeVar("T")


def framed(kind: int, *fields: bytes) -> bytes:
    """Return a packet with its length."""
    body = bytes([kind]) + b"".join(fields)
    return uint32(len(body)) + body


def version(*extensions: str, number: int = VERSION) -> bytes:
    named = b"".join(string(name.encode()) + string(b"1") for name in extensions)
    return framed(Kind.VERSION, uint32(number), named)


def status(number: int, code: Status, message: str = "") -> bytes:
    return framed(
        Kind.STATUS, uint32(number), uint32(code), string(message.encode()), string(b"en")
    )


def answering(answer: Callable[[int, int, Fields], Played], *extensions: str) -> Play:
    """Return a server that gives its version, and answers by kind, number and the rest."""

    def play(packet: bytes) -> Played:
        if packet[0] == Kind.INIT:
            return version(*extensions)
        fields = Fields(packet, 1)
        return answer(packet[0], fields.uint32(), fields)

    return play


class PlayedConversation:
    """
    A `fleetctl.model.dialogue.Conversation` with a server that is played.

    Attributes:
        kept: What was kept as output.
        sent: Packets of the client.
        error: What the played server ended with.
    """

    def __init__(self, play: Play, *, pieces: int = 0, deaf: bool = False) -> None:
        """
        Args:
            pieces: Answers arrive in pieces of so many bytes; 0 as they are.
            deaf: It does not end with its input.
        """
        self.kept = b""
        self.sent: list[bytes] = []
        self.error: FleetError | None = None
        self.is_over = False
        self._play = play
        self._pieces = pieces
        self._deaf = deaf
        self._framer = Framer()
        self._unread: asyncio.Queue[tuple[Stream, bytes] | None] = asyncio.Queue()

    async def read(self) -> tuple[Stream, bytes] | None:
        if self.is_over and self._unread.empty():
            return None
        piece = await self._unread.get()
        self.is_over = self.is_over or piece is None
        return piece

    def keep(self, stream: Stream, data: bytes) -> None:
        self.kept += data

    async def write(self, data: bytes) -> None:
        for packet in self._framer.feed(data):
            self.sent.append(packet)
            played = self._play(packet)
            if isinstance(played, bytes):
                self.say(played)
            else:
                self.error = played
                self._unread.put_nowait(None)

    def say(self, data: bytes, stream: Stream = "stdout") -> None:
        """Send something to the client."""
        for piece in self._cut(data):
            self._unread.put_nowait((stream, piece))

    def _cut(self, data: bytes) -> Iterator[bytes]:
        size = self._pieces or max(len(data), 1)
        for at in range(0, len(data), size):
            yield data[at : at + size]

    def write_eof(self) -> None:
        if not self._deaf:
            self._unread.put_nowait(None)

    def resize(self, columns: int, rows: int) -> None:
        raise NotImplementedError


@dataclass
class PlayedRemote:
    """
    A host with nothing but an SFTP server that is played.

    Attributes:
        conversations: One for each session so far.
    """

    play: Play
    pieces: int = 0
    deaf: bool = False
    host: Host = field(default_factory=lambda: Host("played"))
    conversations: list[PlayedConversation] = field(default_factory=list)

    async def exec(self, request: ExecRequest) -> ExecResult:
        assert (request.command, request.is_subsystem) == ("sftp", True)
        assert request.dialogue is not None
        conversation = PlayedConversation(self.play, pieces=self.pieces, deaf=self.deaf)
        self.conversations.append(conversation)
        await request.dialogue.hold(conversation)
        if conversation.error is not None:
            raise conversation.error
        return ExecResult(exit_status=0)


async def over_played(
    remote: PlayedRemote, work: Callable[[SftpClient], Awaitable[T]], **options: float
) -> T:
    """Do work with a server that is played."""
    # It has what over_sftp needs of a Remote.
    return await over_sftp(cast("Remote", remote), work, **options)


@dataclass
class MemoryFiles:
    """
    Files in memory behind a server that keeps to the protocol: ``MemoryFiles().play``.

    Attributes:
        files: Path -> contents.
        most_bytes: It reads no more than so many at once, whatever is asked for.
        handles: Those that are open -> path.
    """

    files: dict[str, bytearray] = field(default_factory=dict)
    most_bytes: int = 1 << 20
    extensions: tuple[str, ...] = ()
    handles: dict[bytes, str] = field(default_factory=dict)
    opened: int = 0

    def play(self, packet: bytes) -> Played:
        return answering(self._answer, *self.extensions)(packet)

    def _answer(self, kind: int, number: int, fields: Fields) -> Played:
        if kind == Kind.EXTENDED:
            fields.string()
            limits = uint64(1 << 18) + uint64(50_000) + uint64(40_000) + uint64(0)
            return framed(Kind.EXTENDED_REPLY, uint32(number), limits)
        if kind == Kind.OPEN:
            path = fields.string().decode()
            self.opened += 1
            handle = b"handle %d" % self.opened
            self.handles[handle] = path
            self.files.setdefault(path, bytearray())
            return framed(Kind.HANDLE, uint32(number), string(handle))
        data = self.files[self.handles[handle := fields.string()]]
        if kind == Kind.CLOSE:
            del self.handles[handle]
        elif kind == Kind.FSTAT:
            return framed(Kind.ATTRS, uint32(number), Attributes(size=len(data)).render())
        elif kind == Kind.READ:
            offset, size = fields.uint64(), min(fields.uint32(), self.most_bytes)
            found = bytes(data[offset : offset + size])
            if not found:
                return status(number, Status.EOF)
            return framed(Kind.DATA, uint32(number), string(found))
        elif kind == Kind.WRITE:
            offset, new = fields.uint64(), fields.string()
            data[offset : offset + len(new)] = new
        return status(number, Status.OK)
