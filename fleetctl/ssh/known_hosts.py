"""
known_hosts: reading it, and which lines are about a host.

Lines are read as ssh reads them. One that is not understood is left out with a warning; what a
key that a host shows is worth is decided in `fleetctl.ssh.host_verdict`.

Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT; OpenSSH hostfile.c, hostkeys_foreach_file.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.key_line import decode_key
from fleetctl.ssh.public_key import MalformedKey

Marker = Literal["", "@cert-authority", "@revoked"]

#: More than this is no known_hosts file but a mistake; a fleet of a million hosts fits.
MAX_FILE_BYTES = 1024 * 1024 * 1024
#: The same goes for a line.
MAX_LINE_BYTES = 1024 * 1024
#: ssh takes no pattern of this length for a match. Source: OpenSSH match.c, match_pattern_list.
MAX_PATTERN_BYTES = 1023
#: Bad lines of a file that are told one by one.
MAX_WARNINGS = 20

HASHED = b"|"
_HASH_BYTES = 20
_CHUNK_BYTES = 1024 * 1024
_LINE = re.compile(rb"([^ \t]+)[ \t]+([^ \t]+)[ \t]+([^ \t]+)")
_WILDCARDS = re.compile(rb"[*?!]")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """
    The key of one line.

    Attributes:
        blob: The public key blob; of an authority if the marker says so.
        line: From 1; 0 for a line that was added after the file had been read.
        order: Position among the lines of all files.
    """

    key_type: str
    blob: bytes
    file: str
    line: int
    marker: Marker = ""
    order: int = 0

    @property
    def where(self) -> str:
        """``file:line``; the file alone for a line that was added after it had been read."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


class NamePatterns:
    """
    A list of names with wildcards or negation, as the first field of a line has it.

    Source: sshd(8); ssh_config(5), PATTERNS; OpenSSH match.c.
    """

    def __init__(self, names: bytes) -> None:
        parts = names.lower().split(b",")
        if any(len(part.removeprefix(b"!")) >= MAX_PATTERN_BYTES for part in parts):
            parts = []
        self._wanted = _compile(part for part in parts if not part.startswith(b"!"))
        self._unwanted = _compile(part[1:] for part in parts if part.startswith(b"!"))

    def match(self, name: bytes) -> bool:
        """Does the list mean this name, which is in lower case?"""
        return self._wanted(name) is not None and self._unwanted(name) is None


def _compile(patterns: Iterable[bytes]) -> Callable[[bytes], object]:
    alternatives = b"|".join(_translate(pattern) for pattern in patterns)
    return re.compile(b"(?:" + (alternatives or b"(?!)") + rb")\Z", re.DOTALL).match


def _translate(pattern: bytes) -> bytes:
    """Return the regular expression of a pattern; it never tries the same thing twice."""
    first, *others = (
        b".".join(re.escape(text) for text in piece.split(b"?"))
        for piece in re.split(rb"\*+", pattern)
    )
    if not others:
        return first
    middle = b"".join(b"(?>.*?" + piece + b")" for piece in others[:-1] if piece)
    return first + middle + b".*" + others[-1]


@dataclass(slots=True)
class KnownHosts:
    """
    The lines of some known_hosts files, indexed.

    Attributes:
        exact: Name in lower case -> its keys.
        patterns: Lines with wildcards or negation.
        hashed: Salt, digest and key of hashed names.
        warnings: Lines that were skipped, as ``file:line: why``, and files that were not read.
        unread: Files that could not be read, or not to their end: what they know is not known.
    """

    exact: dict[bytes, list[KnownKey]] = field(default_factory=dict)
    patterns: list[tuple[NamePatterns, KnownKey]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, KnownKey]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    # Every hashed line is a digest to compute, and each name is asked for more than once.
    _found: dict[str, tuple[KnownKey, ...]] = field(default_factory=dict)

    def entries(self, name: str) -> tuple[KnownKey, ...]:
        """
        Return all lines about a name, whatever their marker, in the order of the files.

        Args:
            name: ``host`` or ``[host]:port``; in lower case, as names are hashed.
        """
        found = self._found.get(name)
        if found is None:
            written = name.encode("utf-8", "surrogateescape")
            listed = self.exact.get(written, ())
            others = (
                *(key for patterns, key in self.patterns if patterns.match(written)),
                *(
                    key
                    for salt, digest, key in self.hashed
                    if hmac.digest(salt, written, "sha1") == digest
                ),
            )
            found = (
                tuple(sorted({*listed, *others}, key=lambda key: key.order))
                if others
                else tuple(listed)
            )
            self._found[name] = found
        return found

    def learn(self, name: str, key_type: str, blob: bytes, file: str) -> KnownKey:
        """Take in a line that was added to a file after it had been read, and return it."""
        key = KnownKey(key_type, blob, file, 0, order=1 << 62)
        self.exact.setdefault(name.encode("utf-8", "surrogateescape"), []).append(key)
        self._found.pop(name, None)
        return key


def lookup_names(host: str, port: int) -> tuple[str, ...]:
    """
    Return the names a host key is looked up under.

    The first decides if it is known; ssh uses ``[host]:port`` unless the port is 22, and falls back
    to the plain name.
    """
    host = host.lower()
    return (host,) if port == 22 else (f"[{host}]:{port}", host)


def hash_name(name: str, salt: bytes) -> str:
    """Return ``|1|SALT|DIGEST``. Source: ssh_config(5), HashKnownHosts."""
    digest = hmac.digest(salt, name.encode("utf-8", "surrogateescape"), "sha1")
    return "|1|" + "|".join(base64.b64encode(part).decode("ascii") for part in (salt, digest))


def load_known_hosts(files: Iterable[str]) -> KnownHosts:
    """
    Read these files; one that does not exist is empty, one that cannot be read is a warning.

    Bad lines are skipped with a warning, never guessed at. Blocks.
    """
    known = KnownHosts()
    order = 0
    for file in files:
        skipped = 0
        try:
            with open(file, "rb") as stream:
                for number, raw in enumerate(split_lines(stream), start=1):
                    order += 1
                    try:
                        _add_line(known, raw, file, number, order)
                    except MalformedKey as error:
                        skipped += 1
                        if skipped <= MAX_WARNINGS:
                            known.warnings.append(f"{file}:{number}: {error}; skipped")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            known.warnings.append(f"{file}: not read: {error.strerror or error}")
            known.unread.append(file)
        if skipped > MAX_WARNINGS:
            more = skipped - MAX_WARNINGS
            known.warnings.append(f"{file}: {more} more lines like these; skipped")
    return known


def split_lines(stream: BinaryIO) -> Iterator[bytes]:
    """
    Yield the lines of a file without their newlines.

    Raises:
        OSError: It cannot be read, or does not look like a file that somebody wrote.
    """
    rest, size = b"", 0
    while chunk := stream.read(_CHUNK_BYTES):
        size += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if size > MAX_FILE_BYTES or len(rest) > MAX_LINE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        yield from lines
    if rest:
        yield rest


def split_marker(line: bytes) -> tuple[Marker, bytes]:
    """
    Return the marker of a line, and the rest of it.

    Raises:
        MalformedKey: There is one that is not known, or more than one.
    """
    if not line.startswith(b"@"):
        return "", line
    # ssh ends a marker at the first space and sees no tab before it. A revocation is understood
    # anyway, but nobody becomes an authority by a line that ssh skips.
    ending = b" " if b" " in line else b"\t"
    written, _, rest = line.partition(ending)
    rest = rest.lstrip(b" \t")
    if rest.startswith(b"@"):
        raise MalformedKey("more than one marker")
    if written == b"@cert-authority":
        return "@cert-authority", rest
    if written.partition(b"\t")[0] == b"@revoked":
        return "@revoked", line[len(b"@revoked") :].lstrip(b" \t")
    shown = re.split(rb"[ \t]", line, maxsplit=1)[0][:64].decode("utf-8", "backslashreplace")
    raise MalformedKey(f"unknown marker {shown}")


def _add_line(known: KnownHosts, raw: bytes, file: str, number: int, order: int) -> None:
    line = (raw.partition(b"\0")[0] if b"\0" in raw else raw).lstrip(b" \t")
    if not line or line[0] == 0x23 or line == b"\r":
        return
    marker: Marker = ""
    if line[0] == 0x40:
        marker, line = split_marker(line)
    found = _LINE.match(line)
    if found is None:
        raise MalformedKey("not a known_hosts line")
    names, written, encoded = found.groups()
    if written.isdigit():
        return  # a key of SSH 1, which nobody speaks any more
    try:
        key_type, blob = decode_key(written, encoded)
    except MalformedKey as error:
        raise MalformedKey(f"not a known_hosts line: {error}") from None
    key = KnownKey(key_type, blob, file, number, marker, order)
    if names.startswith(HASHED):
        known.hashed.append((*read_hashed_name(names), key))
    elif _WILDCARDS.search(names):
        known.patterns.append((NamePatterns(names), key))
    else:
        for name in names.lower().split(b","):
            known.exact.setdefault(name, []).append(key)


def read_hashed_name(names: bytes) -> tuple[bytes, bytes]:
    """
    Return salt and digest of ``|1|SALT|DIGEST``.

    Raises:
        MalformedKey: That is not what it is.
    """
    parts = names.split(b"|")
    try:
        if len(parts) != 4 or parts[1] != b"1":
            raise ValueError
        salt, digest = (binascii.a2b_base64(part, strict_mode=True) for part in parts[2:])
        if len(salt) != _HASH_BYTES or len(digest) != _HASH_BYTES:
            raise ValueError
    except ValueError:
        raise MalformedKey("not a hashed name") from None
    return salt, digest


def means(names: bytes, name: str) -> bool:
    """
    Does the first field of a line mean this name?

    Args:
        name: ``host`` or ``[host]:port``, in any case.
    """
    written = name.lower().encode("utf-8", "surrogateescape")
    if not names.startswith(HASHED):
        return NamePatterns(names).match(written)
    try:
        salt, digest = read_hashed_name(names)
    except MalformedKey:
        return False
    return hmac.digest(salt, written, "sha1") == digest
