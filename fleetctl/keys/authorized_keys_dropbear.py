"""
authorized_keys as dropbear reads it, which is not as sshd does.

It ends lines at a carriage return, takes one blank and no tab between the fields, no blank before a
key without options, no ``rsa-sha2-512`` for a type, no zero byte, and lines of a limited length.

Source: dropbear svr-authpubkey.c, checkpubkey_line; dbutil.c, buf_getline; signkey.c,
cmp_base64_key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fleetctl.keys.authorized_keys_lines import AuthorizedKey, KeyFileText, Line
from fleetctl.keys.options_server import ServerVersion
from fleetctl.keys.options_syntax import BadOptions, parse_options
from fleetctl.ssh.public_key import MalformedKey, check_public_key

_MIN_LINE = 10
_TYPES = re.compile(
    rb"(ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)"
    rb"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) ([^ ]*)(?: (.*))?",
    re.DOTALL,
)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_SIGNS = re.compile(rb'["\t ]')


@dataclass(frozen=True, slots=True)
class _Limits:
    """
    Attributes:
        line: Longer ones are skipped.
        end: Where reading ends altogether at a line that is longer; None for never. Without it the
            rest of a long line is the next line.
        lines: So many are read; None for all.
    """

    line: int
    end: int | None
    lines: int | None


def _limits_of(server: ServerVersion) -> _Limits:
    # Source: dropbear 2026.92, CHANGES.
    if server.is_at_least(2026, 92):
        return _Limits(3000, 10_000, 300)
    return _Limits(4200, None, None)


def read_as_dropbear(
    text: KeyFileText, server: ServerVersion
) -> Iterator[tuple[Line, AuthorizedKey | None, str | None]]:
    """Yield each line, the key that dropbear finds in it, and why it skips one that sshd finds."""
    limits, count, is_over = _limits_of(server), 0, ""
    for line in text.lines:
        found: AuthorizedKey | None = None
        reason: str | None = None
        pieces = line.raw.split(b"\r") + ([b""] if line.eol == b"\r\n" else [])
        for piece in pieces:
            count += 1
            if limits.lines is not None and count > limits.lines:
                is_over = f"dropbear reads {limits.lines} lines, and two of each that ends in CRLF"
            elif limits.end is not None and len(piece) >= limits.end:
                is_over = "dropbear reads no further than a line of 10000 bytes"
            if is_over:
                reason = is_over
                break
            for chunk in _chunks(piece, limits):
                key, problem = _read(chunk, limits)
                found, reason = found or key, reason or problem
        if found is not None:
            yield line, found, None
        elif line.key is None or line.kind == "disabled":
            yield line, line.key, line.problem
        else:
            yield line, line.key, reason or line.problem or "dropbear finds no key in it"


def _chunks(piece: bytes, limits: _Limits) -> Iterator[bytes]:
    """Yield what counts as a line: older versions take the rest of a long one for the next."""
    if limits.end is not None:
        yield piece
        return
    while len(piece) >= limits.line:
        piece = piece[limits.line :]
    yield piece


def _read(data: bytes, limits: _Limits) -> tuple[AuthorizedKey | None, str | None]:
    """Return the key in a line, and why there is none if it looks as if there were one."""
    if len(data) < _MIN_LINE or data.lstrip(b" \t").startswith(b"#"):
        return None, None
    try:
        return _read_entry(data, limits), None
    except (BadOptions, MalformedKey) as error:
        return None, str(error)


def _read_entry(data: bytes, limits: _Limits) -> AuthorizedKey:
    if len(data) > limits.line:
        raise MalformedKey(f"dropbear skips lines of more than {limits.line} bytes")
    if b"\0" in data:
        raise MalformedKey("dropbear skips lines with a zero byte")
    options, found = b"", _TYPES.match(data)
    if found is None:
        body = data.lstrip(b" \t")
        end = _end_of_options(body)
        options, found = body[:end], _TYPES.match(body, end + 1)
    if found is None:
        raise MalformedKey("dropbear wants one blank, and no tab, between options, type and key")
    blob = _decode(found[2])
    key_type = check_public_key(blob)
    if key_type.encode() != found[1]:
        raise MalformedKey("the key is not of the type that stands before it")
    comment = (found[3] or b"").decode("utf-8", "surrogateescape").strip()
    return AuthorizedKey(key_type, blob, comment, parse_options(options))


def _end_of_options(body: bytes) -> int:
    """Return where options end: a quote after a backslash counts as one here, unlike in sshd."""
    is_quoted = False
    for found in _SIGNS.finditer(body):
        if found[0] == b'"':
            is_quoted = not is_quoted
        elif found[0] in (b" ", b"\t") and not is_quoted:
            return found.start()
    return len(body)


def _decode(encoded: bytes) -> bytes:
    """Decode base64 without caring for what is none. Source: libtomcrypt, base64_decode."""
    bare = _NOT_BASE64.sub(b"", encoded)
    if len(bare) % 4 == 1:
        return b""
    return base64.b64decode(bare + b"=" * (-len(bare) % 4))
