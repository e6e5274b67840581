"""
What an SFTP server can be asked to do: files, folders, links.

Source: draft-ietf-secsh-filexfer-02 section 6; OpenSSH, PROTOCOL section 4.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from fleetctl.model.errors import FleetError
from fleetctl.ssh.sftp_error import SftpError
from fleetctl.ssh.sftp_packet import (
    MAX_PACKET_BYTES,
    Attributes,
    Entry,
    Fields,
    FileSystem,
    Kind,
    OpenFlags,
    Status,
    parse_attributes,
    parse_entries,
    parse_file_system,
    parse_handle,
    parse_path,
    path_bytes,
    path_text,
    string,
    uint32,
)
from fleetctl.ssh.sftp_requests import Requests, nothing
from fleetctl.ssh.sftp_transfer import SAFE_BYTES, Reading, Writing

#: Of a directory unless told otherwise, and what its names may be long together.
MAX_ENTRIES = 100_000
MAX_LISTING_BYTES = 64 * 1024 * 1024

#: Beside its data in a packet: kind, number, handle, offset and lengths.
_OVERHEAD_BYTES = 1024

FSYNC = "fsync@openssh.com"
HARDLINK = "hardlink@openssh.com"
LIMITS = "limits@openssh.com"
LSETSTAT = "lsetstat@openssh.com"
NAMES = "users-groups-by-id@openssh.com"
POSIX_RENAME = "posix-rename@openssh.com"
STATVFS = "statvfs@openssh.com"

T = TypeVar("T")

NO_ATTRIBUTES = Attributes()


@dataclass(frozen=True, slots=True)
class Handle:
    """A file that is open on the host; ``path`` is for messages."""

    data: bytes
    path: str


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What is read, and written, at once, in bytes."""

    read: int = SAFE_BYTES
    write: int = SAFE_BYTES


class SftpClient:
    """
    One SFTP session.

    Paths are as the server has them, relative ones counting from where it starts; bytes that are no
    UTF-8 are surrogate escapes. Methods may be called at the same time, and cancelled.

    Raises:
        SftpError: From every method, see there; ``files.unsupported`` of what the server lacks.
            What it refuses has the server's `status`.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._sizes: _Sizes | None = None

    @property
    def extensions(self) -> Mapping[str, bytes]:
        """What the server can do besides: name -> version."""
        return self._requests.extensions

    # -- looking

    async def stat(self, path: str) -> Attributes:
        """Return the attributes of what a path leads to."""
        return await self._ask(Kind.STAT, "stat", path, Kind.ATTRS, parse_attributes)

    async def lstat(self, path: str) -> Attributes:
        """Return the attributes of what lies at a path, a link's own if it is one."""
        return await self._ask(Kind.LSTAT, "lstat", path, Kind.ATTRS, parse_attributes)

    async def fstat(self, handle: Handle) -> Attributes:
        return await self._on(Kind.FSTAT, "fstat", handle, parse_attributes, Kind.ATTRS)

    async def realpath(self, path: str) -> str:
        """Return a path in full; whether what it names must exist is the server's choice."""
        return await self._ask(Kind.REALPATH, "realpath", path, Kind.NAME, parse_path)

    async def readlink(self, path: str) -> str:
        return await self._ask(Kind.READLINK, "readlink", path, Kind.NAME, parse_path)

    async def list_directory(self, path: str, *, max_entries: int = MAX_ENTRIES) -> list[Entry]:
        """
        Return what a directory has in it, in the server's order.

        Raises:
            SftpError: ``files.failed``: it has more than that.
        """
        found: list[Entry] = []
        count = size = 0
        data = await self._ask(Kind.OPENDIR, "opendir", path, Kind.HANDLE, parse_handle)
        async with self._closing(Handle(data, path)) as handle:
            while True:
                try:
                    entries = await self._on(
                        Kind.READDIR, "readdir", handle, parse_entries, Kind.NAME
                    )
                except SftpError as error:
                    if error.status == Status.EOF:
                        return found
                    raise
                size += sum(len(entry.name) + len(entry.long_name) for entry in entries)
                count += len(entries)
                found.extend(entry for entry in entries if entry.name not in (".", ".."))
                if count > max_entries + 2 or size > MAX_LISTING_BYTES:
                    message = f"readdir: the folder has more than {max_entries} entries"
                    raise SftpError("files.failed", message, path=path)

    async def file_system(self, path: str) -> FileSystem:
        """Return how full the file system is that a path lies on."""
        body = string(path_bytes(path))
        return await self._extended(STATVFS, path, body, parse_file_system, Kind.EXTENDED_REPLY)

    async def user_names(self, uids: Sequence[int]) -> dict[int, str]:
        """Return what the host calls these users; those without a name are left out."""

        def parse(fields: Fields) -> dict[int, str]:
            names = Fields(fields.string())
            found = {uid: path_text(names.string()) for uid in uids}
            return {uid: name for uid, name in found.items() if name}

        body = string(b"".join(map(uint32, uids))) + string(b"")
        return await self._extended(NAMES, "", body, parse, Kind.EXTENDED_REPLY)

    # -- changing

    async def set_attributes(self, path: str, attributes: Attributes) -> None:
        """Set those attributes that are not None; a link is followed."""
        await self._do(Kind.SETSTAT, "setstat", path, attributes.render())

    async def set_link_attributes(self, path: str, attributes: Attributes) -> None:
        """Do the same to what lies at the path itself."""
        body = string(path_bytes(path)) + attributes.render()
        await self._do_extended(LSETSTAT, path, body)

    async def set_handle_attributes(self, handle: Handle, attributes: Attributes) -> None:
        """Do the same to an open file."""
        await self._on(Kind.FSETSTAT, "fsetstat", handle, nothing, rest=attributes.render())

    async def make_directory(self, path: str, mode: int = 0o777) -> None:
        """Make a directory; the server takes its umask from the mode."""
        await self._do(Kind.MKDIR, "mkdir", path, Attributes(mode=mode).render())

    async def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        await self._do(Kind.RMDIR, "rmdir", path)

    async def remove(self, path: str) -> None:
        """Remove a file or a link."""
        await self._do(Kind.REMOVE, "remove", path)

    async def rename(self, old: str, new: str) -> None:
        """Rename what lies at a path; refused if there is something at the new one."""
        await self._do(Kind.RENAME, "rename", old, string(path_bytes(new)))

    async def posix_rename(self, old: str, new: str) -> None:
        """Rename at once, over what is there."""
        await self._do_extended(
            POSIX_RENAME, new, string(path_bytes(old)) + string(path_bytes(new))
        )

    async def hard_link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        await self._do_extended(HARDLINK, new, string(path_bytes(old)) + string(path_bytes(new)))

    async def symbolic_link(self, target: str, path: str) -> None:
        """
        Make a link.

        Source: OpenSSH, PROTOCOL section 4.1: target and path are the other way round than in the
        draft, and most servers followed.
        """
        await self._do(Kind.SYMLINK, "symlink", target, string(path_bytes(path)))

    # -- contents

    async def open(
        self, path: str, flags: OpenFlags, attributes: Attributes = NO_ATTRIBUTES
    ) -> Handle:
        """Open a file; a new one has these attributes from its beginning, less the umask."""
        rest = uint32(flags) + attributes.render()
        data = await self._ask(Kind.OPEN, "open", path, Kind.HANDLE, parse_handle, rest)
        return Handle(data, path)

    async def close(self, handle: Handle) -> None:
        """Close a file; what could not be written may be said only now."""
        await self._on(Kind.CLOSE, "close", handle, nothing)

    @asynccontextmanager
    async def opened(
        self, path: str, flags: OpenFlags, attributes: Attributes = NO_ATTRIBUTES
    ) -> AsyncIterator[Handle]:
        """Open a file for a block, and close it whatever happens."""
        async with self._closing(await self.open(path, flags, attributes)) as handle:
            yield handle

    async def fsync(self, handle: Handle) -> None:
        """Have what was written on the disk."""
        await self._do_extended(FSYNC, handle.path, string(handle.data))

    async def read(self, handle: Handle, *, offset: int = 0) -> Reading:
        """Return what yields the contents of a file from an offset to its end, in pieces."""
        size = 0
        try:
            size = (await self.fstat(handle)).size or 0
        except SftpError as error:
            if error.status is None:
                raise
            # The size only says how much to ask for in advance.
        sizes = await self._get_sizes(size - offset)
        return Reading(
            self._requests,
            handle.data,
            path=handle.path,
            piece_bytes=sizes.read,
            offset=offset,
            size=size,
        )

    async def read_file(self, path: str, *, max_bytes: int) -> bytes | None:
        """Return what a file has in it; None if that is more than so many bytes."""
        found = bytearray()
        async with self.opened(path, OpenFlags.READ) as handle:
            async for piece in await self.read(handle):
                found += piece
                if len(found) > max_bytes:
                    return None
        return bytes(found)

    async def write(self, handle: Handle, data: bytes, *, offset: int = 0) -> None:
        """Write bytes."""
        writing = await self._writing(handle, offset, len(data))
        await writing.write(data)
        await writing.finish()

    async def write_pieces(
        self, handle: Handle, pieces: AsyncIterable[bytes], *, offset: int = 0
    ) -> int:
        """Write pieces one after the other, and return how many bytes that were."""
        writing = await self._writing(handle, offset, None)
        async for piece in pieces:
            await writing.write(piece)
        await writing.finish()
        return writing.offset - offset

    async def _writing(self, handle: Handle, offset: int, size: int | None) -> Writing:
        sizes = await self._get_sizes(size)
        piece_bytes = sizes.write
        return Writing(
            self._requests, handle.data, path=handle.path, piece_bytes=piece_bytes, offset=offset
        )

    async def _get_sizes(self, size: int | None) -> _Sizes:
        """Return what is read and written at once of a file that is so large."""
        if self._sizes is None and LIMITS in self.extensions:
            if size is not None and size <= 2 * SAFE_BYTES:
                return _Sizes()  # asking would take as long as a second piece
            reply = Kind.EXTENDED_REPLY
            self._sizes = await self._extended(LIMITS, "", b"", _parse_limits, reply)
        return self._sizes or _Sizes()

    # -- asking

    @asynccontextmanager
    async def _closing(self, handle: Handle) -> AsyncIterator[Handle]:
        try:
            yield handle
        except BaseException:
            # Asked for, and not waited for: what was raised matters more, be it a cancellation.
            with suppress(FleetError):
                data = string(handle.data)
                asked = self._requests.ask(
                    Kind.CLOSE, data, name="close", path=handle.path, expects=Kind.STATUS
                )
                asked.answer.cancel()
            raise
        await self.close(handle)

    async def _ask(
        self,
        kind: Kind,
        name: str,
        path: str,
        expects: Kind,
        parse: Callable[[Fields], T],
        rest: bytes = b"",
    ) -> T:
        where = string(path_bytes(path))
        asked = self._requests.ask(kind, where, rest, name=name, path=path, expects=expects)
        return await self._requests.wait(asked, parse)

    async def _do(self, kind: Kind, name: str, path: str, rest: bytes = b"") -> None:
        await self._ask(kind, name, path, Kind.STATUS, nothing, rest)

    async def _on(
        self,
        kind: Kind,
        name: str,
        handle: Handle,
        parse: Callable[[Fields], T],
        expects: Kind = Kind.STATUS,
        rest: bytes = b"",
    ) -> T:
        data = string(handle.data)
        asked = self._requests.ask(kind, data, rest, name=name, path=handle.path, expects=expects)
        return await self._requests.wait(asked, parse)

    async def _extended(
        self, name: str, path: str, body: bytes, parse: Callable[[Fields], T], expects: Kind
    ) -> T:
        if name not in self.extensions:
            message = f"the SFTP server has no {name}"
            raise SftpError("files.unsupported", message, path=path)
        request = string(name.encode())
        short = name.partition("@")[0]
        asked = self._requests.ask(
            Kind.EXTENDED, request, body, name=short, path=path, expects=expects
        )
        return await self._requests.wait(asked, parse)

    async def _do_extended(self, name: str, path: str, body: bytes) -> None:
        await self._extended(name, path, body, nothing, Kind.STATUS)


def _parse_limits(fields: Fields) -> _Sizes:
    """
    Read what a server takes at once; 0 is no limit.

    Source: OpenSSH, PROTOCOL section 4.8.
    """
    packet, read, write = (fields.uint64() or MAX_PACKET_BYTES for _ in range(3))
    most = min(packet, MAX_PACKET_BYTES) - _OVERHEAD_BYTES
    # A server that takes less than all must take does not know what it says.
    return _Sizes(*(max(SAFE_BYTES, min(size, most)) for size in (read, write)))
