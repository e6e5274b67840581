"""
Fingerprints of keys as people compare them: SHA256, MD5, and a picture.

Source: OpenSSH sshkey.c, sshkey_fingerprint and fingerprint_randomart.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.public_key import CERTIFICATE_SUFFIX, key_bits, key_type_of

_WIDTH, _HEIGHT = 17, 9
#: What stands for 0, 1, 2, ... visits; the last two for the beginning and the end.
_SYMBOLS = " .o+=*BOX@%&#/^SE"
_LABELS = {
    "ssh-ed25519": "ED25519",
    "ssh-rsa": "RSA",
    "ssh-dss": "DSA",
    "ecdsa-sha2-nistp256": "ECDSA",
    "ecdsa-sha2-nistp384": "ECDSA",
    "ecdsa-sha2-nistp521": "ECDSA",
    "sk-ssh-ed25519@openssh.com": "ED25519-SK",
    "sk-ecdsa-sha2-nistp256@openssh.com": "ECDSA-SK",
}


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """
    One key in the ways people know it.

    Attributes:
        label: The type as ``ssh-keygen -l`` prints it, such as ``ED25519``.
        sha256: ``SHA256:`` and base64.
        md5: ``MD5:`` and hexadecimal pairs, for lists made long ago.
        randomart: Eleven lines.
    """

    bits: int
    label: str
    sha256: str
    md5: str
    randomart: tuple[str, ...]


def fingerprints_of(blob: bytes) -> Fingerprints:
    """
    Return the fingerprints of a plain public key.

    Raises:
        MalformedKey: It is none.
    """
    bits, label = key_bits(blob), label_of(key_type_of(blob))
    digest = hashlib.sha256(blob).digest()
    return Fingerprints(
        bits=bits,
        label=label,
        sha256=fingerprint(blob),
        md5=md5_fingerprint(blob),
        randomart=draw_randomart(digest, title=f"[{label} {bits}]", footer="[SHA256]"),
    )


def label_of(key_type: str) -> str:
    """Return the short name of a key type; the type itself if it has none."""
    if key_type.endswith(CERTIFICATE_SUFFIX):
        return label_of(key_type.removesuffix(CERTIFICATE_SUFFIX)) + "-CERT"
    return _LABELS.get(key_type, key_type)


def md5_fingerprint(blob: bytes) -> str:
    """Return ``MD5:`` and the digest in pairs, as ``ssh-keygen -l -E md5`` prints it."""
    return "MD5:" + hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def draw_randomart(digest: bytes, *, title: str, footer: str) -> tuple[str, ...]:
    """
    Draw the walk of a bishop over a board: the picture of ``ssh-keygen -l -v``.

    Source: D. Loss and others, "The drunken bishop: an analysis of the OpenSSH fingerprint
    visualization algorithm" (2009).
    """
    last = len(_SYMBOLS) - 1
    board = [[0] * _WIDTH for _ in range(_HEIGHT)]
    x, y = _WIDTH // 2, _HEIGHT // 2
    for byte in digest:
        for shift in (0, 2, 4, 6):
            step = byte >> shift
            x = min(max(x + (1 if step & 1 else -1), 0), _WIDTH - 1)
            y = min(max(y + (1 if step & 2 else -1), 0), _HEIGHT - 1)
            if board[y][x] < last - 2:
                board[y][x] += 1
    board[_HEIGHT // 2][_WIDTH // 2] = last - 1
    board[y][x] = last
    rows = ("|" + "".join(_SYMBOLS[min(count, last)] for count in row) + "|" for row in board)
    return (_border(title), *rows, _border(footer))


def _border(text: str) -> str:
    left = (_WIDTH - len(text)) // 2
    return f"+{'-' * left}{text}{'-' * (_WIDTH - left - len(text))}+"
