"""
The lines of an authorized_keys file: what sshd finds in each.

Nothing here looks at clocks or servers; see `fleetctl.keys.authorized_keys_live` for that.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fleetctl.keys.options_syntax import (
    BadOptions,
    KeyOption,
    end_of_options,
    parse_options,
    render_options,
    split_options,
)
from fleetctl.ssh.host_certificate import is_certificate
from fleetctl.ssh.key_line import decode_key, read_key
from fleetctl.ssh.public_key import MalformedKey, check_public_key, key_type_of

#: ``disabled`` is a key that somebody commented out; ``dead`` a line that sshd skips.
LineKind = Literal["key", "disabled", "dead", "comment", "blank"]

_BOM = b"\xef\xbb\xbf"
#: What looks like the blob of a key: each begins with the length of its type.
_BLOB = re.compile(rb"(?<![A-Za-z0-9+/=])AAAA[A-Za-z0-9+/]{16,}={0,2}")
_COMMENT_MARKS = re.compile(rb"[# \t]*")
_BLANKS = b" \t\r\n\v\f"


@dataclass(frozen=True, slots=True)
class AuthorizedKey:
    """
    A key, or an authority for certificates, that may log in.

    Attributes:
        key_type: As in the blob, such as ``ssh-ed25519``.
        blob: Public key blob. Source: RFC 4253 section 6.6.
        comment: Never part of what the key is.
        options: What it may be used for.
    """

    key_type: str
    blob: bytes
    comment: str = ""
    options: tuple[KeyOption, ...] = ()

    @property
    def identity(self) -> tuple[str, bytes]:
        """What makes it this key and no other."""
        return self.key_type, self.blob

    @property
    def fingerprint(self) -> str:
        """``SHA256:`` and base64, as ``ssh-keygen -l`` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).rstrip(b"=")
        return "SHA256:" + digest.decode("ascii")

    @property
    def is_authority(self) -> bool:
        """Whether it signs certificates that log in, and does not log in itself."""
        return any(option.name == "cert-authority" for option in self.options)

    def render(self) -> bytes:
        """
        Return the line without its end.

        Raises:
            BadOptions: An option or the comment cannot stand in a line.
        """
        comment = self.comment.strip()
        if re.search(r"[\n\r\0]", comment):
            raise BadOptions("the comment has a line break or a zero byte in it")
        parts = [render_options(self.options), self.key_type, _encode(self.blob), comment]
        return " ".join(part for part in parts if part).encode("utf-8", "surrogateescape")


def _encode(blob: bytes) -> str:
    return base64.b64encode(blob).decode("ascii")


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line as it stands in the file.

    Attributes:
        number: From 1.
        raw: Its bytes without the end.
        eol: ``\\n``, ``\\r\\n``, or nothing in the last line.
        key: The key in it; in a dead line with the options as far as they can be told apart; None
            if there is none.
        problem: Why sshd skips it, if it is dead.
    """

    number: int
    raw: bytes
    eol: bytes
    kind: LineKind
    key: AuthorizedKey | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class KeyFileText:
    """A whole file."""

    lines: tuple[Line, ...] = ()

    @property
    def data(self) -> bytes:
        """Exactly the bytes it was read from."""
        return b"".join(line.raw + line.eol for line in self.lines)

    @property
    def eol(self) -> bytes:
        """How its lines end: as most of them do."""
        windows = sum(line.eol == b"\r\n" for line in self.lines)
        plain = sum(line.eol == b"\n" for line in self.lines)
        return b"\r\n" if windows > plain else b"\n"

    def keys_of(self, blob: bytes) -> tuple[Line, ...]:
        """Return the lines with this key, whether sshd takes them or not, disabled ones too."""
        return tuple(line for line in self.lines if line.key is not None and line.key.blob == blob)

    @property
    def keys(self) -> tuple[AuthorizedKey, ...]:
        """Return the keys of all lines that sshd takes for one, in their order."""
        return tuple(line.key for line in self.lines if line.kind == "key" and line.key is not None)


def parse(data: bytes | None) -> KeyFileText:
    """
    Read a file as sshd reads it. Never raises, whatever is in it.

    Args:
        data: None is a file that is absent: no lines.

    Source: OpenSSH auth2-pubkeyfile.c, auth_check_authkeys_file and auth_check_authkey_line.
    """
    if not data:
        return KeyFileText()
    return KeyFileText(tuple(_lines(data)))


def _lines(data: bytes) -> Iterator[Line]:
    pieces = data.split(b"\n")
    for index, piece in enumerate(pieces):
        is_last = index == len(pieces) - 1
        if is_last and not piece:
            return
        raw, eol = piece, b"" if is_last else b"\n"
        if not is_last and piece.endswith(b"\r"):
            raw, eol = piece[:-1], b"\r\n"
        kind, key, problem = read_line(raw)
        yield Line(index + 1, raw, eol, kind, key, problem)


def read_line(raw: bytes) -> tuple[LineKind, AuthorizedKey | None, str | None]:
    """Return what a line without its end is, the key in it, and why sshd skips it."""
    # To sshd a line is a string of C.
    text = raw.partition(b"\0")[0].lstrip(b" \t")
    if not text.strip(_BLANKS):
        return "blank", None, None
    if text.startswith(b"#"):
        return _read_comment(text)
    try:
        return "key", _read_entry(text), None
    except (BadOptions, MalformedKey) as error:
        key = _find_key(raw)
        return "dead", key, _problem_of(text, key, str(error))


def _read_entry(text: bytes) -> AuthorizedKey:
    """
    Read a line that begins with a key, or with options.

    Raises:
        BadOptions, MalformedKey: sshd skips it.
    """
    try:
        key_type, blob, comment = read_key(text)
        options: tuple[KeyOption, ...] = ()
    except MalformedKey as first:
        end = end_of_options(text)
        if end is None:
            raise BadOptions("the quotes of its options are not closed") from None
        try:
            key_type, blob, comment = read_key(text[end:].lstrip(b" \t"))
        except MalformedKey as second:
            raise (first if _begins_with_type(text) else second) from None
        options = parse_options(text[:end])
    if is_certificate(key_type):
        raise MalformedKey("sshd takes no certificates from this file, only their authorities")
    shown = comment.replace(b"\r", b" ").decode("utf-8", "surrogateescape").strip()
    return AuthorizedKey(key_type, blob, shown, options)


def _begins_with_type(text: bytes) -> bool:
    return text.lower().startswith((b"ssh-", b"ecdsa-sha2-", b"sk-", b"rsa-sha2-"))


def _problem_of(text: bytes, key: AuthorizedKey | None, found: str) -> str:
    """Return the reason that helps most."""
    if text.startswith(_BOM):
        return "a byte order mark stands before it"
    first = text.split(None, 1)[0]
    if key is not None and first.lower() == key.key_type.encode() != first:
        return f"the type is not in lower case: {first.decode('ascii', 'replace')}"
    if first.isdigit():
        return "a key of SSH version 1"
    return found


def _read_comment(text: bytes) -> tuple[LineKind, AuthorizedKey | None, str | None]:
    found = _COMMENT_MARKS.match(text)
    body = text[found.end() :] if found is not None else b""
    if b"AAAA" not in body:
        return "comment", None, None
    try:
        return "disabled", _read_entry(body), None
    except (BadOptions, MalformedKey):
        key = _find_key(body)
    return ("disabled" if key is not None else "comment"), key, None


def _find_key(raw: bytes) -> AuthorizedKey | None:
    """Look for a key wherever it stands in a line that sshd cannot read."""
    raw = raw.lstrip(_BLANKS).removeprefix(_BOM)
    for found in _BLOB.finditer(raw):
        key = _decode(found[0])
        if key is None:
            continue
        before, comment = raw[: found.start()].split(), raw[found.end() :].strip(_BLANKS)
        has_type = bool(before) and before[-1].lower() == key.key_type.encode()
        written = raw[: found.start()].strip(_BLANKS)
        if has_type:
            written = written[: -len(before[-1])].strip(_BLANKS)
        return AuthorizedKey(
            key.key_type,
            key.blob,
            re.sub(rb"[\r\0]", b" ", comment).decode("utf-8", "surrogateescape"),
            split_options(written),
        )
    return None


def _decode(encoded: bytes) -> AuthorizedKey | None:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    key_type = key_type_of(blob)
    try:
        if is_certificate(key_type):
            decode_key(key_type.encode(), encoded)
        else:
            check_public_key(blob)
    except MalformedKey:
        return None
    return AuthorizedKey(key_type, blob)
