"""
The contents of files over SFTP: pipelined, in order, with bounded memory.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fleetctl.ssh.sftp_error import SftpError
from fleetctl.ssh.sftp_packet import Fields, Kind, Malformed, Status, string, uint32, uint64
from fleetctl.ssh.sftp_requests import Asked, Requests, nothing

#: In flight of one file: the window of the channel.
WINDOW_BYTES = 2 * 1024 * 1024
#: What every server takes at once. Source: draft-ietf-secsh-filexfer-02 section 3.
SAFE_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a file that was asked for."""

    offset: int
    size: int
    asked: Asked

    def parse(self, fields: Fields) -> bytes:
        data = fields.string()
        if not 0 < len(data) <= self.size:
            raise Malformed(f"{self.size} bytes were asked for and {len(data)} came")
        return data


class Reading:
    """
    Yields a file up to its end, wherever that is, in order. Used once.

    Whoever does not want the rest just stops.

    Args:
        handle: Open for reading.
        path: For messages.
        piece_bytes: What the server reads at once; it may give less.
        size: Probable size of the whole file; this much is asked for in advance.

    Raises:
        SftpError: From each step: ``files.*``.
    """

    def __init__(
        self,
        requests: Requests,
        handle: bytes,
        *,
        path: str,
        piece_bytes: int,
        offset: int = 0,
        size: int = 0,
    ) -> None:
        self._requests = requests
        self._handle = handle
        self._path = path
        self._piece_bytes = piece_bytes
        self._ahead = offset
        self._size = size
        self._parts: deque[_Part] = deque()

    def __aiter__(self) -> Reading:
        return self

    async def __anext__(self) -> bytes:
        parts, most = self._parts, max(1, WINDOW_BYTES // self._piece_bytes)
        # Beyond the probable end there is nothing, most of the time.
        while len(parts) < most and (not parts or self._ahead < self._size):
            parts.append(self._ask(self._ahead, self._piece_bytes))
            self._ahead += self._piece_bytes
        part = parts[0]
        try:
            data = await self._requests.wait(part.asked, part.parse)
        except SftpError as error:
            if error.status == Status.EOF:
                raise StopAsyncIteration from None
            raise
        parts.popleft()
        if len(data) < part.size:
            parts.appendleft(self._ask(part.offset + len(data), part.size - len(data)))
        return data

    def _ask(self, offset: int, size: int) -> _Part:
        where = (string(self._handle), uint64(offset), uint32(size))
        asked = self._requests.ask(
            Kind.READ, *where, name="read", path=self._path, expects=Kind.DATA
        )
        return _Part(offset, size, asked)


class Writing:
    """
    Writes a file, piece after piece.

    Args:
        handle: Open for writing.
        path: For messages.
        piece_bytes: What the server takes at once.

    Attributes:
        offset: Where the next piece goes.
    """

    def __init__(
        self, requests: Requests, handle: bytes, *, path: str, piece_bytes: int, offset: int = 0
    ) -> None:
        self.offset = offset
        self._requests = requests
        self._handle = handle
        self._path = path
        self._piece_bytes = piece_bytes
        self._asked: deque[Asked] = deque()

    async def write(self, data: bytes) -> None:
        """
        Write these bytes; waits while a window of them is not answered.

        Raises:
            SftpError: ``files.*``, of these bytes or of earlier ones.
        """
        most = max(1, WINDOW_BYTES // self._piece_bytes)
        view = memoryview(data)
        while view:
            if len(self._asked) >= most:
                await self._answered()
            piece, view = view[: self._piece_bytes], view[self._piece_bytes :]
            where = (string(self._handle), uint64(self.offset), uint32(len(piece)))
            asked = self._requests.ask(
                Kind.WRITE, *where, piece, name="write", path=self._path, expects=Kind.STATUS
            )
            self._asked.append(asked)
            self.offset += len(piece)

    async def finish(self) -> None:
        """
        Wait until everything is written.

        Raises:
            SftpError: ``files.*``.
        """
        while self._asked:
            await self._answered()

    async def _answered(self) -> None:
        await self._requests.wait(self._asked[0], nothing)
        self._asked.popleft()
