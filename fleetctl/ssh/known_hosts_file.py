"""
known_hosts: adding lines, and taking out those of a host, without harm to the others.

Lines that are not understood are copied as they are. How files are changed is
`fleetctl.ssh.locked_file`'s business.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fleetctl.ssh.host_verdict import HostKeyFiles, Judgement, Question, ShownKey, judge
from fleetctl.ssh.key_line import encode_key, read_key
from fleetctl.ssh.known_hosts import (
    HASHED,
    KnownHosts,
    hash_name,
    load_known_hosts,
    means,
    split_lines,
    split_marker,
)
from fleetctl.ssh.locked_file import append, locked, read_lines, replace
from fleetctl.ssh.public_key import MalformedKey, key_type_of

_SALT_BYTES = 20
#: What would make another line of it, or a pattern. Source: OpenSSH sshconnect.c, check_host_key.
_UNSAFE = re.compile(r"[\s,@?*#|'\"\\!\x00-\x1f\x7f]")
_PORT = re.compile(r"\[([^\[\]]*)\]:[0-9]+")


@dataclass(frozen=True, slots=True)
class Change:
    """
    What was done to a file.

    Attributes:
        removed: Numbers of the lines taken out or changed, in the old file.
        added: Lines that are new, without newlines.
        kept: ``file:line`` of lines that mean the host and were left: patterns for many hosts.
    """

    removed: tuple[int, ...] = ()
    added: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def check_name(name: str) -> None:
    """
    Refuse a name that cannot stand in a known_hosts line.

    Raises:
        ValueError: With the reason.
    """
    found = _PORT.fullmatch(name)
    host = found[1] if found else name
    if not host or _UNSAFE.search(host) or "[" in host or "]" in host:
        raise ValueError(f"{name!r} cannot be written to known_hosts")


def render_line(name: str, blob: bytes, *, hashed: bool, comment: str = "") -> str:
    """
    Return a known_hosts line with its newline.

    Raises:
        ValueError: The name cannot stand there.
    """
    check_name(name)
    written = hash_name(name, os.urandom(_SALT_BYTES)) if hashed else name
    return f"{written} {encode_key(blob)}{f' {comment}' if comment else ''}\n"


@dataclass(frozen=True, slots=True)
class NewHost:
    """
    A host to be known.

    Attributes:
        names: What it is looked up under; the first is written.
        blobs: Its keys.
    """

    names: tuple[str, ...]
    blobs: tuple[bytes, ...]
    hashed: bool = False


def learn_key(file: str, names: Sequence[str], blob: bytes, *, hashed: bool) -> Judgement:
    """Do what `learn_hosts` does for one key of one host, and return what the file says now."""
    return learn_hosts(file, [NewHost(tuple(names), (blob,), hashed)])[0]


def learn_hosts(
    file: str, hosts: Sequence[NewHost], *, dry_run: bool = False
) -> Sequence[Judgement]:
    """
    Append lines for hosts, unless the file has come to know them otherwise meanwhile.

    One write for all, flushed to disk; a last line without newline is ended first. Blocks.

    Args:
        file: A leading ``~`` is the home directory.
        dry_run: Write nothing.

    Returns:
        What the file says of each host then: ``trusted`` if its lines were added or stood there.

    Raises:
        OSError: The file cannot be written.
        ValueError: A name cannot stand in a line; nothing was written.
    """
    path = os.path.expanduser(file)
    for host in hosts:
        check_name(host.names[0])
    if dry_run:
        known = load_known_hosts([path])
        return [_learn(known, host, path)[0] for host in hosts]
    with locked(path) as descriptor:
        known = load_known_hosts([path])
        if known.unread:
            raise OSError(errno.EIO, "it cannot be read")
        found = [_learn(known, host, path) for host in hosts]
        if addition := "".join(line for _, lines in found for line in lines):
            append(descriptor, path, addition.encode("utf-8", "surrogateescape"))
    return [judgement for judgement, _ in found]


def _learn(known: KnownHosts, host: NewHost, path: str) -> tuple[Judgement, Sequence[str]]:
    """Return what becomes of a host, and the lines that make it so."""
    files, question = HostKeyFiles(known), Question(host.names, principal="")
    judged = {
        blob: judge(files, ShownKey(key_type_of(blob), blob), question, 0.0) for blob in host.blobs
    }
    of = {judgement.verdict: judgement for judgement in judged.values()}
    for verdict in ("revoked", "changed") if "trusted" not in of else ("revoked",):
        if verdict in of:
            return of[verdict], ()
    new = [blob for blob, judgement in judged.items() if judgement.verdict != "trusted"]
    for blob in new:
        known.learn(host.names[0], key_type_of(blob), blob, path)
    return Judgement("trusted"), [
        render_line(host.names[0], blob, hashed=host.hashed) for blob in new
    ]


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How some files know a host that says which keys it holds now.

    Attributes:
        known: Keys of its that stand in a line.
        old: Keys in its lines that it does not hold.
        reason: Why its lines should be left alone, or empty.
    """

    known: frozenset[bytes]
    old: tuple[bytes, ...]
    reason: str = ""


def standing_of(files: Iterable[str], name: str, held: Sequence[bytes]) -> Standing:
    """
    Look how these files know a host. Blocks.

    Lines with markers, patterns or more than two names are somebody's own work, and a key that
    stands under another name is shared: such a host is left alone, as ssh does.

    Raises:
        OSError: A file cannot be read.

    Source: OpenSSH clientloop.c, hostkeys_find and client_input_hostkeys.
    """
    known: set[bytes] = set()
    old: dict[bytes, None] = {}
    elsewhere: set[bytes] = set()
    reason = ""
    for file in files:
        try:
            with open(os.path.expanduser(file), "rb") as stream:
                lines = list(split_lines(stream))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in filter(None, map(_read_entry, lines)):
            if not means(entry.names, name):
                elsewhere.add(entry.blob)
            elif entry.marker or not entry.is_simple:
                reason = "its line has a marker, a pattern or many names"
            elif entry.blob in held:
                known.add(entry.blob)
            else:
                old[entry.blob] = None
    if elsewhere.intersection(held) or elsewhere.intersection(old):
        reason = "one of its keys stands under another name"
    return Standing(frozenset(known), tuple(old), reason)


def add_keys(
    file: str, name: str, blobs: Iterable[bytes], *, hashed: bool, removing: Sequence[bytes] = ()
) -> Change:
    """
    Bring a host's lines up to date after it has proved to hold other keys. Blocks.

    Args:
        blobs: Keys to have a line of their own each; those that have one are left alone.
        removing: Keys it does not hold any more; their lines are taken out.

    Raises:
        OSError: The file cannot be written.
        ValueError: The name cannot stand in a line.
    """
    path = os.path.expanduser(file)
    lines = {blob: render_line(name, blob, hashed=hashed).encode() for blob in blobs}
    with locked(path) as descriptor:
        old = read_lines(descriptor)
        present: set[bytes] = set()
        gone: list[int] = []
        kept: list[bytes] = []
        for number, raw in enumerate(old, start=1):
            entry = _read_entry(raw)
            if entry is not None and not entry.marker and means(entry.names, name):
                if entry.blob in removing and entry.is_simple:
                    gone.append(number)
                    continue
                present.add(entry.blob)
            kept.append(raw)
        new = [line for blob, line in lines.items() if blob not in present]
        if gone:
            replace(path, descriptor, [*kept, *new], read=old)
        elif new:
            append(descriptor, path, b"".join(new))
    return Change(tuple(gone), tuple(line.decode().rstrip() for line in new))


def remove_host(file: str, name: str, *, dry_run: bool = False) -> Change:
    """
    Take the lines of a host out, as ``ssh-keygen -R`` does. Blocks.

    Lines with a marker stay, and unlike there also patterns, which speak for other hosts too, and
    lines whose key is not understood.

    Raises:
        OSError: The file cannot be read or written.
    """

    def decide(entry: _Entry) -> bytes | None:
        return None

    return _edit(file, name, decide, tuple, dry_run=dry_run)


def replace_host(
    file: str, name: str, blobs: Sequence[bytes], *, hashed: bool, dry_run: bool = False
) -> Change:
    """
    Let a host have these keys and no others. Blocks.

    A line with another key gets the new key of its type, in its place and with its comment; where
    it names further hosts, those keep it. Lines with a marker, patterns, and what is not
    understood stay.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: The name cannot stand in a line.
    """
    missing = {key_type_of(blob): blob for blob in blobs}
    rendered = {blob: render_line(name, blob, hashed=hashed).encode() for blob in blobs}

    def decide(entry: _Entry) -> bytes | None:
        key_type = key_type_of(entry.blob)
        if entry.blob in blobs:
            missing.pop(key_type, None)
            return entry.raw
        others = entry.names_without(name)
        if others:
            return entry.with_names(others)
        blob = missing.pop(key_type, None)
        return None if blob is None else entry.with_key(blob)

    def finish() -> Sequence[bytes]:
        return [rendered[blob] for blob in missing.values()]

    return _edit(file, name, decide, finish, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line that is understood: its bytes, and where its parts are."""

    raw: bytes
    marker: str
    names: bytes
    blob: bytes
    comment: bytes

    @property
    def is_simple(self) -> bool:
        """Does it name hosts one by one, at most two, as ssh writes lines?"""
        return not re.search(rb"[*?!]", self.names) and self.names.count(b",") <= 1

    @property
    def is_pattern(self) -> bool:
        return not self.names.startswith(HASHED) and bool(re.search(rb"[*?!]", self.names))

    def names_without(self, name: str) -> bytes:
        """Return the other names of the line."""
        if self.names.startswith(HASHED):
            return b""
        own = name.encode("utf-8", "surrogateescape").lower()
        return b",".join(n for n in self.names.split(b",") if n and n.lower() != own)

    def with_names(self, names: bytes) -> bytes:
        return self.raw.replace(self.names, names, 1)

    def with_key(self, blob: bytes) -> bytes:
        ending = self.raw[len(self.raw.rstrip(b"\r\n")) :]
        comment = self.comment.rstrip(b"\r\n")
        parts = (self.names, encode_key(blob).encode(), *([comment] if comment else []))
        return b" ".join(parts) + ending


def _read_entry(raw: bytes) -> _Entry | None:
    """Take a line apart; None for a comment and for what is not understood."""
    line = raw.rstrip(b"\n").lstrip(b" \t")
    if not line or line.startswith(b"#") or b"\0" in line:
        return None
    try:
        marker, rest = split_marker(line)
        found = re.match(rb"([^ \t]+)[ \t]+", rest)
        if found is None:
            return None
        _, blob, comment = read_key(rest[found.end() :])
    except MalformedKey:
        return None
    return _Entry(raw, marker, found[1], blob, comment)


def _edit(
    file: str,
    name: str,
    decide: Callable[[_Entry], bytes | None],
    finish: Callable[[], Sequence[bytes]],
    *,
    dry_run: bool,
) -> Change:
    """
    Rewrite the lines of a host.

    Args:
        decide: Given a line, returns what stands in its place; None for nothing.
        finish: Called after all lines, returns those to add.
    """
    path = os.path.expanduser(file)
    if dry_run and not os.path.exists(path):
        return Change(added=tuple(line.decode().rstrip() for line in finish()))
    with locked(path) as descriptor:
        old = read_lines(descriptor)
        new: list[bytes] = []
        changed: list[int] = []
        kept: list[str] = []
        for number, raw in enumerate(old, start=1):
            entry = _read_entry(raw)
            if entry is None or entry.marker or not means(entry.names, name):
                new.append(raw)
            elif entry.is_pattern:
                new.append(raw)
                kept.append(f"{path}:{number}")
            else:
                line = decide(entry)
                if line != raw:
                    changed.append(number)
                if line is not None:
                    new.append(line)
        added = finish()
        if changed and not dry_run:
            replace(path, descriptor, [*new, *added], read=old)
        elif added and not dry_run:
            append(descriptor, path, b"".join(added))
    texts = tuple(line.decode("utf-8", "surrogateescape").rstrip() for line in added)
    return Change(tuple(changed), texts, tuple(kept))
