"""
known_hosts: reading it, judging a host key, and adding a line.

Lines are kept as text: a key is compared in base64, nothing is decoded that is not asked for, and a
line that is not understood is left alone. Certificates are not judged here.

Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import hashlib
import hmac
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from fleetctl.ssh.identity import fingerprint

Verdict = Literal["trusted", "unknown", "changed", "revoked"]

MAX_FILE_BYTES = 64 * 1024 * 1024

_HASHED = "|1|"
_HASH_BYTES = 20


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a known_hosts file, from 1: a key for some names."""

    key_type: str
    key_base64: str
    file: str
    line: int
    is_revoked: bool = False

    @property
    def where(self) -> str:
        """``file:line``; the file alone for a line that was added after it had been read."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def fingerprint(self) -> str:
        try:
            return fingerprint(base64.b64decode(self.key_base64))
        except binascii.Error:
            return "an unreadable key"


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What known_hosts says about a key.

    Attributes:
        known: The keys that are known for the host, for messages; those of the same type first.
    """

    verdict: Verdict
    known: tuple[KnownKey, ...] = ()


@dataclass(slots=True)
class KnownHosts:
    """
    The keys of some known_hosts files, indexed.

    Attributes:
        exact: Name as written -> its keys.
        patterns: Lines with wildcards or negation.
        hashed: Salt, digest and key of hashed names.
        revoked: Key in base64 -> the names it is revoked for, as written, and its line.
        warnings: Lines that were skipped, as ``file:line: why``.
    """

    exact: dict[str, list[KnownKey]] = field(default_factory=dict)
    patterns: list[tuple[list[str], KnownKey]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, KnownKey]] = field(default_factory=list)
    revoked: dict[str, list[tuple[str, KnownKey]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    # Every hashed line is a digest to compute, and each name is asked for more than once.
    _found: dict[str, tuple[KnownKey, ...]] = field(default_factory=dict)

    def lookup(self, names: Sequence[str]) -> tuple[KnownKey, ...]:
        """Return the keys of the first of these names that has any, each name tried in turn."""
        return next(filter(None, map(self._keys_of, names)), ())

    def learn(self, name: str, key_type: str, blob: bytes, file: str) -> None:
        """Trust a key that was added to a file after it had been read."""
        key = KnownKey(key_type, base64.b64encode(blob).decode("ascii"), file, 0)
        self.exact.setdefault(name, []).append(key)
        self._found.pop(name, None)

    def judge(self, names: Sequence[str], key_type: str, blob: bytes) -> Judgement:
        """
        Say what these files know about this key for a host with these names.

        As ssh: where the first name is known, one of its keys must be shown, and a key of another
        type is a changed key. Further names can only confirm. Unlike with ssh, a key that is
        revoked for any of the names is refused.
        """
        encoded = base64.b64encode(blob).decode("ascii")
        for written, key in self.revoked.get(encoded, ()):
            if any(_stands_for(written, name) for name in names):
                return Judgement("revoked", (key,))
        first, *others = names
        known = self._keys_of(first)
        confirming = known or self.lookup(others)
        if any(key.key_base64 == encoded for key in confirming):
            return Judgement("trusted", confirming)
        if known:
            by_type = sorted(known, key=lambda key: key.key_type != key_type)
            return Judgement("changed", tuple(by_type))
        return Judgement("unknown", confirming)

    def _keys_of(self, name: str) -> tuple[KnownKey, ...]:
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = (
                *self.exact.get(name, ()),
                *(key for patterns, key in self.patterns if _matches(patterns, name)),
                *(key for salt, digest, key in self.hashed if _hash(name, salt) == digest),
            )
        return found


def lookup_names(host: str, port: int) -> tuple[str, ...]:
    """
    Return the names a host key is looked up under, first match wins.

    ssh uses ``[host]:port`` unless the port is 22, and falls back to the plain name.
    """
    host = host.lower()
    return (host,) if port == 22 else (f"[{host}]:{port}", host)


def _hash(name: str, salt: bytes) -> bytes:
    return hmac.new(salt, name.encode(), hashlib.sha1).digest()


def _matches(patterns: Sequence[str], name: str) -> bool:
    matched = False
    for pattern in patterns:
        # `[` is a plain character here, as in `[host]:port`.
        literal = pattern.removeprefix("!").lower().replace("[", "[[]")
        if fnmatchcase(name, literal):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _parse_hashed(names: str) -> tuple[bytes, bytes] | None:
    """Return salt and digest of ``|1|SALT|DIGEST``, or None if that is not what it is."""
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in names[3:].split("|", 1))
    except ValueError:
        return None
    return (salt, digest) if len(digest) == _HASH_BYTES else None


def _stands_for(written: str, name: str) -> bool:
    """Tell whether the names field of a line means this name."""
    if written.startswith(_HASHED):
        hashed = _parse_hashed(written)
        return hashed is not None and _hash(name, hashed[0]) == hashed[1]
    return _matches(written.split(","), name)


def load_known_hosts(files: Iterable[str]) -> KnownHosts:
    """
    Read these files; one that does not exist is empty, one that cannot be read is a warning.

    Bad lines are skipped with a warning, never guessed at. Blocks.
    """
    known = KnownHosts()
    for file in files:
        try:
            with open(file, "rb") as stream:
                data = stream.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:
            known.warnings.append(f"{file}: not read: {error.strerror or error}")
            continue
        for number, raw in enumerate(data.split(b"\n"), start=1):
            line = raw.strip()
            if line and not line.startswith(b"#"):
                _add_line(known, line, file, number)
    return known


def _add_line(known: KnownHosts, line: bytes, file: str, number: int) -> None:
    # Comments may be in any encoding, and only ASCII has white space.
    fields = [field.decode("utf-8", "surrogateescape") for field in line.split(None, 4)]
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if marker == "@cert-authority":
        return
    if marker not in ("", "@revoked"):
        known.warnings.append(f"{file}:{number}: unknown marker {marker}; skipped")
        return
    if len(fields) < 3 or not _is_key(fields[1], fields[2]):
        is_for_ssh1 = len(fields) >= 3 and fields[1].isdigit()
        if not is_for_ssh1:
            known.warnings.append(f"{file}:{number}: not a known_hosts line; skipped")
        return
    names, key_type, key_base64 = fields[:3]
    key = KnownKey(key_type, key_base64, file, number, is_revoked=bool(marker))
    if marker:
        known.revoked.setdefault(key_base64, []).append((names, key))
    elif names.startswith(_HASHED):
        hashed = _parse_hashed(names)
        if hashed is None:
            known.warnings.append(f"{file}:{number}: not a hashed name; skipped")
        else:
            known.hashed.append((*hashed, key))
    elif any(character in names for character in "*?!"):
        known.patterns.append((names.split(","), key))
    else:
        for name in names.lower().split(","):
            known.exact.setdefault(name, []).append(key)


def _is_key(key_type: str, key_base64: str) -> bool:
    """True if the blob is whole and of its declared type."""
    try:
        blob = base64.b64decode(key_base64, validate=True)
    except ValueError:
        return False
    size = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + size] != key_type.encode("utf-8", "surrogateescape"):
        return False
    position = 0
    while position < len(blob):
        position += 4 + int.from_bytes(blob[position : position + 4], "big")
    return position == len(blob)


def render_line(name: str, key_type: str, blob: bytes, *, hashed: bool) -> str:
    """Return a known_hosts line with its newline."""
    if hashed:
        salt = os.urandom(20)
        name = _HASHED + "|".join(
            base64.b64encode(part).decode("ascii") for part in (salt, _hash(name, salt))
        )
    return f"{name} {key_type} {base64.b64encode(blob).decode('ascii')}\n"


def add_line(file: str, names: Sequence[str], line: str, key_type: str, blob: bytes) -> Judgement:
    """
    Append a line under a lock, unless the file has come to know the host meanwhile.

    One write, flushed to disk; a last line without newline is ended first. A leading ``~`` is the
    home directory. Blocks.

    Returns:
        What the file says now: ``trusted`` if the line was added or stood there already.

    Raises:
        OSError: The file cannot be written.
    """
    file = os.path.expanduser(file)
    os.makedirs(os.path.dirname(file) or ".", mode=0o700, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "rb+", buffering=0) as stream:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        judgement = load_known_hosts([file]).judge(names, key_type, blob)
        if judgement.verdict != "unknown":
            return judgement
        status = os.fstat(descriptor)
        size = status.st_size
        ends_badly = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        addition = ("\n" if ends_badly else "").encode() + line.encode()
        if stream.write(addition) != len(addition):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file)
        if stat.S_ISREG(status.st_mode):  # /dev/null cannot be flushed
            os.fsync(descriptor)
    return Judgement("trusted")
