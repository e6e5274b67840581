"""
Requests to an SFTP server and their answers: many in flight, each answered or failed.

Knows numbers and kinds of packets, and nothing of what they are for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning, first_bytes, last_bytes
from fleetctl.ssh.sftp_error import MAX_MESSAGE, SftpError, refused
from fleetctl.ssh.sftp_packet import (
    MAX_PACKET_BYTES,
    VERSION,
    Fields,
    Framer,
    Kind,
    Malformed,
    Status,
    path_text,
    string,
    uint32,
)

#: A request that has no answer by then has failed.
REQUEST_TIMEOUT_S = 30.0
#: Kept of what a server writes to its standard error, from its end.
MAX_STDERR_BYTES = 1024
#: Of all requests that wait to be sent, written together.
BURST_BYTES = 256 * 1024

_MAX_ID = 0xFFFFFFFF
#: Bytes of which no length is made that a packet may have.
_TEXT = frozenset(b"\t\n\r\x1b").union(range(0x20, 0x7F))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A request in flight.

    Attributes:
        answer: What stands behind the number of the answer; cancelled when nobody waits for it any
            more.
        name: For messages, such as ``open``.
        path: For messages.
        expects: The kind of an answer that is no refusal; `Kind.STATUS` if there is no other.
    """

    answer: asyncio.Future[Fields]
    name: str
    path: str
    expects: Kind


class Requests:
    """
    One conversation with an SFTP server.

    `open` comes first and `close` last; everything between may be done at the same time.

    Args:
        timeout_s: For each answer.

    Attributes:
        extensions: Of the server: name -> data, such as ``posix-rename@openssh.com`` -> ``1``.
        failure: Why no request can be answered any more, or None.
        is_broken: The server does not keep to the protocol.
    """

    def __init__(self, conversation: Conversation, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self.extensions: Mapping[str, bytes] = {}
        self.failure: FleetError | None = None
        self.is_broken = False
        self.timeout_s = timeout_s
        self._conversation = conversation
        self._framer = Framer()
        self._asked: dict[int, Asked] = {}
        self._next_id = 0
        self._unsent: list[bytes] = []
        self._has_unsent = asyncio.Event()
        self._version: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        self._stderr = b""
        self._first = b""  # bytes that came, for when they are not SFTP
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def open(self) -> None:
        """
        Agree on a version.

        Raises:
            SftpError: ``files.protocol``: what answers is no SFTP server, or an older one;
                ``files.timeout``, ``files.ended``.

        Source: draft-ietf-secsh-filexfer-02 section 4.
        """
        self._enqueue(bytes([Kind.INIT]) + uint32(VERSION))
        self._tasks = tuple(asyncio.ensure_future(pump) for pump in (self._hear(), self._speak()))
        try:
            async with asyncio.timeout(self.timeout_s):
                fields = await self._version
        except TimeoutError:
            self._fail(self._timed_out("INIT"))
            raise self._timed_out("INIT") from None
        try:
            self._agree(fields)
        except Malformed as wrong:
            raise self._fail(_no_sftp(str(wrong))) from None

    async def close(self) -> None:
        """Let go of the conversation; what is in flight has failed."""
        self._fail(SftpError("files.ended", "the SFTP session is over"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ask(
        self, kind: Kind, *body: bytes | memoryview, name: str, path: str, expects: Kind
    ) -> Asked:
        """
        Send a request, and return it to be waited for.

        Whoever does not want the answer any more cancels it; a handle that comes then is closed.

        Args:
            body: What stands behind the number, in parts.
            name: For messages.
            path: For messages.
            expects: See `Asked`.

        Raises:
            SftpError: There can be no answer.
        """
        if self.failure is not None:
            raise self.failure
        number = self._new_id()
        answer: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        asked = self._asked[number] = Asked(answer, name, path, expects)
        self._enqueue(bytes([kind]), uint32(number), *body)
        return asked

    async def wait(self, asked: Asked, parse: Callable[[Fields], T]) -> T:
        """
        Wait for an answer, for as long as one may take, and return what it says.

        Args:
            parse: Reads the answer; may raise `Malformed`, and then nothing more is answered.

        Raises:
            SftpError: It is a refusal; ``files.timeout``: it did not come; ``files.protocol``;
                ``files.ended``.
        """
        try:
            async with asyncio.timeout(self.timeout_s) as limit:
                fields = await asked.answer
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._timed_out(asked.name, asked.path) from None
        try:
            return parse(fields)
        except Malformed as wrong:
            raise self._fail(_broken(str(wrong))) from None

    def _timed_out(self, name: str, path: str = "") -> SftpError:
        message = f"{name}: no answer from the SFTP server within {self.timeout_s:g} s"
        return SftpError("files.timeout", message, path=path)

    def _new_id(self) -> int:
        while self._next_id in self._asked:
            self._next_id = (self._next_id + 1) & _MAX_ID
        number = self._next_id
        self._next_id = (number + 1) & _MAX_ID
        return number

    # -- out

    def _enqueue(self, *parts: bytes | memoryview) -> None:
        size = sum(map(len, parts))
        if size > MAX_PACKET_BYTES:
            raise ValueError("a packet is too long to be sent")
        self._unsent.append(b"".join((uint32(size), *parts)))
        self._has_unsent.set()

    async def _speak(self) -> None:
        """Write packets whole, one after the other, whoever stops waiting for their answers."""
        while True:
            await self._has_unsent.wait()
            self._has_unsent.clear()
            packets, self._unsent = self._unsent, []
            burst: list[bytes] = []
            size = 0
            for packet in packets:
                if burst and size + len(packet) > BURST_BYTES:
                    await self._conversation.write(b"".join(burst))
                    burst, size = [], 0
                burst.append(packet)
                size += len(packet)
            await self._conversation.write(burst[0] if len(burst) == 1 else b"".join(burst))

    # -- in

    async def _hear(self) -> None:
        try:
            while (piece := await self._conversation.read()) is not None:
                stream, data = piece
                if stream == "stderr":
                    self._stderr = last_bytes(self._stderr + data, MAX_STDERR_BYTES)
                    continue
                if not self._version.done():
                    self._first = first_bytes(self._first + data, MAX_MESSAGE)
                for packet in self._framer.feed(data):
                    self._take(packet)
        except Malformed as wrong:
            if self._version.done():
                self._fail(_broken(str(wrong)))
            else:
                is_text = _TEXT.issuperset(self._first[:4])
                self._fail(_no_sftp(_said(self._first) if is_text else str(wrong)))
            return
        said = _said(self._stderr) or ("" if self._version.done() else _said(self._first))
        message = "the SFTP server has ended" + (f"; it wrote: {said}" if said else "")
        self._fail(SftpError("files.ended", message))

    def _take(self, packet: bytes) -> None:
        kind = packet[0]
        if not self._version.done():
            if kind != Kind.VERSION:
                raise Malformed(f"a packet of kind {kind} came instead of the version")
            self._version.set_result(Fields(packet, 1))
            return
        fields = Fields(packet, 1)
        number = fields.uint32()
        asked = self._asked.get(number)
        if asked is None:
            raise Malformed(f"an answer came to request {number}, which was not asked")
        if kind not in (Kind.STATUS, asked.expects):
            raise Malformed(f"a packet of kind {kind} came as the answer to {asked.name}")
        error = _refusal(fields, asked) if kind == Kind.STATUS else None
        del self._asked[number]
        if asked.answer.cancelled():
            if kind == Kind.HANDLE:
                self._close_late(fields.string())
        elif error is None:
            asked.answer.set_result(fields)
        else:
            _set_exception(asked.answer, error)

    def _close_late(self, handle: bytes) -> None:
        """A file was opened that nobody waits for any more."""
        asked = self.ask(Kind.CLOSE, string(handle), name="close", path="", expects=Kind.STATUS)
        asked.answer.cancel()

    def _agree(self, fields: Fields) -> None:
        version = fields.uint32()
        if version != VERSION:
            raise Malformed(f"the server speaks version {version} of SFTP, and not {VERSION}")
        extensions = {}
        while fields.rest_bytes:
            name = path_text(fields.string())
            extensions[name] = fields.string()
        self.extensions = extensions

    def _fail(self, error: FleetError) -> FleetError:
        """Nothing more will be answered."""
        self.failure = self.failure or error
        self.is_broken = self.is_broken or error.kind == "files.protocol"
        for asked in self._asked.values():
            if not asked.answer.done():
                _set_exception(asked.answer, self.failure)
        self._asked.clear()
        if not self._version.done():
            _set_exception(self._version, self.failure)
        return self.failure


def _refusal(fields: Fields, asked: Asked) -> FleetError | None:
    status = fields.uint32()
    if status == Status.OK:
        if asked.expects != Kind.STATUS:
            raise Malformed(f"only a status came as the answer to {asked.name}")
        return None
    # Some old servers leave out the text.
    message = fields.string() if fields.rest_bytes else b""
    return refused(status, message, asked.name, asked.path)


def _set_exception(future: asyncio.Future[Fields], error: FleetError) -> None:
    future.set_exception(error)
    future.exception()  # of many in flight only the first is waited for


def _said(data: bytes) -> str:
    """Return what a program wrote as one line for people."""
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return beginning(" ".join(line.strip() for line in lines), MAX_MESSAGE)


def _no_sftp(said: str) -> SftpError:
    return SftpError(
        "files.protocol",
        f"what answers is no SFTP server of version {VERSION}: {said}",
        hint="does a start-up file of the account's shell write something? it must not",
    )


def _broken(wrong: str) -> SftpError:
    return SftpError("files.protocol", f"the SFTP server does not keep to the protocol: {wrong}")


def nothing(_: Fields) -> None:
    """Read nothing: of a status only what it means is of interest."""
