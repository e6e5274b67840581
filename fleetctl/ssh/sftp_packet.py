"""
SFTP version 3 as bytes: packets, their fields, and the attributes of files.

Pure: nothing here knows who sends what when. Source: draft-ietf-secsh-filexfer-02, and the files
PROTOCOL and sftp.h of OpenSSH.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

VERSION = 3

#: Longer packets are neither sent nor taken. Source: OpenSSH, sftp-common.h, SFTP_MAX_MSG_LENGTH.
MAX_PACKET_BYTES = 256 * 1024
#: Source: draft section 6.2.
MAX_HANDLE_BYTES = 256
#: Longer names and paths are not taken. Source: limits.h of Linux, PATH_MAX; names are shorter.
MAX_NAME_BYTES = 1024
MAX_PATH_BYTES = 4096
#: Kept of what describes an entry.
MAX_LONG_NAME_BYTES = 1024


class Kind(IntEnum):
    """What a packet is. Source: draft section 3."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(IntEnum):
    """How a request went. Source: draft section 7."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


class OpenFlags(IntFlag):
    """How a file is opened. Source: draft section 6.3."""

    READ = 0x01
    WRITE = 0x02
    APPEND = 0x04
    CREAT = 0x08
    TRUNC = 0x10
    EXCL = 0x20


class Malformed(Exception):
    """What came is not SFTP; the message says what is wrong, as a clause."""


_HAS_SIZE = 0x00000001
_HAS_OWNER = 0x00000002
_HAS_MODE = 0x00000004
_HAS_TIMES = 0x00000008
_HAS_EXTENDED = 0x80000000

_UINT32 = struct.Struct(">I")
_UINT64 = struct.Struct(">Q")


def uint32(number: int) -> bytes:
    """Encode a number of 32 bits."""
    return _UINT32.pack(number)


def uint64(number: int) -> bytes:
    """Encode a number of 64 bits."""
    return _UINT64.pack(number)


def string(data: bytes) -> bytes:
    """Encode bytes with their length before them."""
    return _UINT32.pack(len(data)) + data


def path_bytes(path: str) -> bytes:
    """Return a path as the host has it: UTF-8, and bytes that are none as they came."""
    return path.encode("utf-8", "surrogateescape")


def path_text(data: bytes) -> str:
    """Return what `path_bytes` makes these bytes of."""
    return data.decode("utf-8", "surrogateescape")


class Fields:
    """
    Reads the fields of a packet, one after the other.

    Raises:
        Malformed: From every method: there is less than that.
    """

    def __init__(self, packet: bytes, at: int = 0) -> None:
        self._packet = packet
        self._at = at

    def uint32(self) -> int:
        return int(_UINT32.unpack(self._take(4))[0])

    def uint64(self) -> int:
        return int(_UINT64.unpack(self._take(8))[0])

    def string(self) -> bytes:
        return self._take(self.uint32())

    @property
    def rest_bytes(self) -> int:
        return len(self._packet) - self._at

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._packet):
            raise Malformed("a packet is shorter than its fields")
        data = self._packet[self._at : end]
        self._at = end
        return data


@dataclass(frozen=True, slots=True)
class Attributes:
    """
    What is known of a file, or is to be set; None is not known, or left as it is.

    Attributes:
        size: In bytes.
        uid: Owner; with `gid` or not at all.
        gid: Group.
        mode: Type and permission bits, as st_mode.
        atime: Seconds since 1970 (UTC); with `mtime` or not at all.
        mtime: The same, of the last change.

    Source: draft section 5.
    """

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    atime: int | None = None
    mtime: int | None = None

    @property
    def is_directory(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return self.mode is not None and stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return self.mode is not None and stat.S_ISLNK(self.mode)

    @property
    def permissions(self) -> int:
        """Return the bits for user, group and others, and those above them; 0 if not known."""
        return stat.S_IMODE(self.mode or 0)

    def render(self) -> bytes:
        """Return the encoding."""
        flags, data = 0, b""
        if self.size is not None:
            flags |= _HAS_SIZE
            data += uint64(self.size)
        if self.uid is not None and self.gid is not None:
            flags |= _HAS_OWNER
            data += uint32(self.uid) + uint32(self.gid)
        if self.mode is not None:
            flags |= _HAS_MODE
            data += uint32(self.mode)
        if self.atime is not None and self.mtime is not None:
            flags |= _HAS_TIMES
            data += uint32(self.atime) + uint32(self.mtime)
        return uint32(flags) + data


def parse_attributes(fields: Fields) -> Attributes:
    """
    Read attributes; extended ones are passed over.

    Raises:
        Malformed: They are cut off, or have fields that this version does not know.
    """
    flags = fields.uint32()
    if flags & ~(_HAS_SIZE | _HAS_OWNER | _HAS_MODE | _HAS_TIMES | _HAS_EXTENDED):
        raise Malformed("attributes have fields of another version of SFTP")
    size = fields.uint64() if flags & _HAS_SIZE else None
    uid, gid = (fields.uint32(), fields.uint32()) if flags & _HAS_OWNER else (None, None)
    mode = fields.uint32() if flags & _HAS_MODE else None
    atime, mtime = (fields.uint32(), fields.uint32()) if flags & _HAS_TIMES else (None, None)
    # Each is read, so a count that lies comes to the end of the packet.
    for _ in range(fields.uint32() if flags & _HAS_EXTENDED else 0):
        fields.string()
        fields.string()
    return Attributes(size, uid, gid, mode, atime, mtime)


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One entry of a directory.

    Attributes:
        name: Without a slash; never ``.`` or ``..``.
        long_name: What ``ls -l`` would say, for people; servers differ.
    """

    name: str
    attributes: Attributes
    long_name: str = ""

    @property
    def links(self) -> int | None:
        """
        Hard links, by the long name; None where that does not say.

        Source: draft section 7, the recommended format of longname.
        """
        words = self.long_name.split(maxsplit=2)
        is_listing = len(words) > 1 and len(words[0]) >= 10
        return int(words[1]) if is_listing and words[1].isascii() and words[1].isdecimal() else None


def parse_entries(fields: Fields) -> list[Entry]:
    """
    Read the answer to READDIR.

    Raises:
        Malformed: It is cut off or has no entry, or a name that is none.
    """
    count = fields.uint32()
    if count == 0:
        raise Malformed("a part of a directory came without an entry")
    found = []
    for _ in range(count):
        name, long_name = fields.string(), fields.string()
        if not name or len(name) > MAX_NAME_BYTES or b"/" in name or b"\0" in name:
            raise Malformed("a directory has an entry whose name is no name")
        attributes = parse_attributes(fields)
        shown = long_name[:MAX_LONG_NAME_BYTES].decode("utf-8", "replace")
        found.append(Entry(path_text(name), attributes, shown))
    return found


def parse_path(fields: Fields) -> str:
    """
    Read the answer to REALPATH and READLINK.

    Raises:
        Malformed: It is cut off, or not one path.
    """
    if fields.uint32() != 1:
        raise Malformed("not one path came as the answer")
    path = fields.string()
    if not path or len(path) > MAX_PATH_BYTES or b"\0" in path:
        raise Malformed("a path came that is none")
    return path_text(path)


def parse_handle(fields: Fields) -> bytes:
    """
    Read a handle.

    Raises:
        Malformed: It is cut off, or longer than any.

    Source: draft section 6.2.
    """
    handle = fields.string()
    if len(handle) > MAX_HANDLE_BYTES:
        raise Malformed(f"a handle came that has {len(handle)} bytes")
    return handle


@dataclass(frozen=True, slots=True)
class FileSystem:
    """
    A file system.

    Attributes:
        free_bytes: For users other than root.
        free_inodes: The same; 0 where there is no limit, too, if `inodes` is 0.
        inodes: In all.
        is_read_only: Nothing can be written.

    Source: OpenSSH, PROTOCOL section 4.4, statvfs@openssh.com; statvfs(3).
    """

    free_bytes: int
    free_inodes: int
    inodes: int
    is_read_only: bool


def parse_file_system(fields: Fields) -> FileSystem:
    """
    Read the answer to statvfs@openssh.com.

    Raises:
        Malformed: It is cut off.
    """
    _, fragment, _, _, available, inodes, _, free_inodes, _, flags, _ = (
        fields.uint64() for _ in range(11)
    )
    return FileSystem(fragment * available, free_inodes, inodes, is_read_only=bool(flags & 1))


class Framer:
    """
    Cuts what arrives into packets.

    Keeps no more than one packet of the longest kind and one piece.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Take a piece, and return the packets that are whole now, without their lengths.

        Raises:
            Malformed: A packet is said to be empty, or longer than any.
        """
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= 4:
                (size,) = _UINT32.unpack_from(buffer, at)
                if not 0 < size <= MAX_PACKET_BYTES:
                    raise Malformed(f"a packet is said to have {size} bytes")
                if len(buffer) - at - 4 < size:
                    break
                start, at = at + 4, at + 4 + size
                yield bytes(memoryview(buffer)[start:at])
        finally:
            del buffer[:at]
