"""
What somebody knows about host keys beforehand: lines of ssh-keyscan, or fingerprints.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fleetctl.model.errors import Problem, UsageError

MAX_LINE_CHARACTERS = 64 * 1024

_SHA256 = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?")
_MD5 = re.compile(r"(?:MD5:)?((?:[0-9a-f]{2}:){15}[0-9a-f]{2})", re.IGNORECASE)
_HINT = (
    "a line is `NAMES TYPE KEY` as ssh-keyscan prints it, `BITS FINGERPRINT NAME (TYPE)` as "
    "ssh-keygen -l does, `NAME FINGERPRINT`, or a fingerprint alone"
)

#: Does the first field of a known_hosts line mean this name?
MeansName = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    One key that somebody vouches for.

    Attributes:
        token: ``SHA256:…``, ``MD5:…`` or a key in base64.
        names: First field of a line; empty if it may be any host's.
        where: ``file:line``, or the option it came from.
    """

    token: str
    names: str = ""
    where: str = ""

    def is_for(self, names: Sequence[str], means: MeansName) -> bool:
        """Is it for a host with one of these names? A first label stands for the whole name."""
        short = (name.partition(".")[0] for name in names if not name[:1].isdigit())
        return not self.names or any(means(self.names, name) for name in (*names, *short))

    def shows(self, key: str, sha256: str, md5: str) -> bool:
        """Is it the key with this base64 and these fingerprints?"""
        return self.token in (key, sha256, md5)


def parse_fingerprint(text: str) -> str | None:
    """
    Return ``SHA256:…`` or ``MD5:…`` in the way ssh-keygen prints it, or None if it is neither.

    The name of the digest and the padding may be missing; letters count as they are, except in MD5.
    """
    text = text.strip()
    if found := _SHA256.fullmatch(text):
        return f"SHA256:{found[1]}"
    if found := _MD5.fullmatch(text):
        return f"MD5:{found[1].lower()}"
    return None


def parse_evidence(text: str, *, file: str) -> tuple[Evidence, ...]:
    """
    Read a file of keys or fingerprints; empty lines and comments do not count.

    Raises:
        UsageError: All lines that are none, or there is nothing in it.
    """
    found: list[Evidence] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        evidence = _parse_line(stripped[:MAX_LINE_CHARACTERS], f"{file}:{number}")
        if evidence is None:
            message = "neither a host key nor a fingerprint"
            problems.append(Problem(message, file, number, hint=_HINT))
        else:
            found.append(evidence)
    if problems:
        raise UsageError(problems=problems)
    if not found:
        raise UsageError("there is no host key and no fingerprint in it", file=file, hint=_HINT)
    return tuple(found)


def _parse_line(line: str, where: str) -> Evidence | None:
    words = line.split()
    if len(words) == 1:
        token = parse_fingerprint(words[0])
        return None if token is None else Evidence(token, where=where)
    if words[0].isdigit() and (token := parse_fingerprint(words[1])) is not None:
        return Evidence(token, _name_in_comment(words[2:]), where)
    if len(words) == 2 and (token := parse_fingerprint(words[1])) is not None:
        return Evidence(token, words[0], where)
    if len(words) >= 3 and not words[0].startswith("@") and _is_key(words[1], words[2]):
        return Evidence(words[2], words[0], where)
    return None


def _name_in_comment(words: Sequence[str]) -> str:
    """Return the host in what ssh-keygen -l prints behind a fingerprint, such as ``root@web1``."""
    if len(words) != 2:
        return ""  # "no comment", or a sentence
    return words[0].rpartition("@")[2]


def _is_key(key_type: str, encoded: str) -> bool:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")] == key_type.encode()
