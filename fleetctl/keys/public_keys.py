"""
Where the public keys come from that somebody wants to put on hosts: files, text, an agent.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetctl.keys.authorized_keys_lines import AuthorizedKey, Line, parse
from fleetctl.model.errors import Problem, UsageError
from fleetctl.ssh.host_certificate import is_certificate
from fleetctl.ssh.public_key import key_type_of

MAX_FILE_BYTES = 4 * 1024 * 1024
STDIN = "-"
STANDARD_INPUT = "standard input"

#: A key on the command line, not the name of a file.
_LITERAL = re.compile(r"(?:\S+ )*(?:ssh|sk-ssh|ecdsa-sha2|sk-ecdsa-sha2|rsa-sha2)-\S+ +AAAA")
_PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File")
_SSH2 = b"---- BEGIN SSH2"


@dataclass(frozen=True, slots=True)
class FoundKey:
    """
    A key, and where it was found.

    Attributes:
        origin: ``alice.pub:1``, ``the agent``, ``standard input:3``, ``the command line``.
        identity_file: Path of the private half, if it lies beside a file with the public one.
        is_in_agent: Whether the agent has the private half.
    """

    key: AuthorizedKey
    origin: str
    identity_file: str | None = None
    is_in_agent: bool = False


def find_public_keys(words: Sequence[str], *, stdin: bytes = b"") -> tuple[FoundKey, ...]:
    """
    Read public keys. Blocks.

    Args:
        words: Each is a file, ``-`` for standard input, or a key itself: ``ssh-ed25519 AAAA…``. To
            the name of a file ``.pub`` is added, if there is such a file. A file may have many
            keys, with options before them, comments and blank lines, as authorized_keys has.
        stdin: What standard input had.

    Returns:
        Each key once, in the order given.

    Raises:
        UsageError: With everything that is wrong in all of them, by file and line.
    """
    problems: list[Problem] = []
    found: dict[tuple[bytes, bool], FoundKey] = {}
    for word in words:
        for one in _read(word, stdin, problems):
            found.setdefault((one.key.blob, one.key.is_authority), one)
    if problems:
        raise UsageError(problems=problems)
    return tuple(found.values())


def agent_public_keys(listed: Iterable[tuple[str, bytes]]) -> tuple[FoundKey, ...]:
    """
    Return what an agent holds, without its certificates: they are not for authorized_keys.

    Args:
        listed: The comment and the public key blob of each, in the agent's order.
    """
    return tuple(
        FoundKey(
            AuthorizedKey(key_type_of(blob), blob, _one_line(comment)),
            "the agent",
            is_in_agent=True,
        )
        for comment, blob in listed
        if not is_certificate(key_type_of(blob))
    )


def newest_public_key_file(folder: Path) -> Path | None:
    """
    Return the newest ``id*.pub`` of a folder such as ``~/.ssh`` that is no certificate. Blocks.

    Source: ssh-copy-id(1), ``-i``.
    """
    dated = []
    for file in folder.glob("id*.pub"):
        if "cert" in file.name:
            continue
        try:
            dated.append((file.stat().st_mtime_ns, file))
        except OSError:  # it went meanwhile, or is a link to nowhere
            continue
    return max(dated, key=lambda one: one[0], default=(0, None))[1]


def public_key_path(name: str) -> str:
    """
    Return which file is meant: with ``.pub`` added, unless it is there or no such file is.

    Source: ssh-copy-id(1), ``-i``.
    """
    path = os.path.expanduser(name)
    if path.endswith(".pub") or not os.path.isfile(f"{path}.pub"):
        return path
    return f"{path}.pub"


def _read(word: str, stdin: bytes, problems: list[Problem]) -> Iterator[FoundKey]:
    if word == STDIN:
        yield from _keys_in(stdin, STANDARD_INPUT, None, problems)
    elif _LITERAL.match(word):
        yield from _keys_in(word.encode("utf-8", "surrogateescape"), "", None, problems)
    else:
        path = public_key_path(word)
        data = _read_file(path, problems)
        if data is not None:
            yield from _keys_in(data, path, _private_half(path), problems)


def _read_file(path: str, problems: list[Problem]) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        hint = "make one: fleetctl keys generate FILE" if not path.endswith(".pub") else None
        problems.append(Problem(error.strerror or str(error), file=path, hint=hint))
        return None
    if len(data) > MAX_FILE_BYTES:
        problems.append(Problem("the file is larger than 4 MiB", file=path))
        return None
    return data


def _private_half(path: str) -> str | None:
    private = path.removesuffix(".pub")
    return private if private != path and os.path.isfile(private) else None


def _keys_in(
    data: bytes, source: str, private: str | None, problems: list[Problem]
) -> Iterator[FoundKey]:
    foreign = _foreign_format(data, source)
    if foreign is not None:
        problems.append(foreign)
        return
    count = 0
    for line in parse(data.removeprefix(b"\xef\xbb\xbf")).lines:
        if line.kind == "key" and line.key is not None:
            count += 1
            origin = f"{source}:{line.number}" if source else "the command line"
            yield FoundKey(line.key, origin, private)
        elif line.kind == "dead":
            count += 1
            problems.append(_problem_of(line, source))
    if count == 0:
        problems.append(Problem("there is no public key in it", file=source or None))


def _foreign_format(data: bytes, source: str) -> Problem | None:
    """Return what to do with a file that has keys in it, but not so."""
    shown = shlex.quote(source)
    if _PRIVATE.search(data[:4096]):
        make = f"ssh-keygen -y -f {shown} > {shlex.quote(source + '.pub')}"
        return Problem(
            "this is a private key: it stays where it is",
            file=source or None,
            hint="give the public key" if source == STANDARD_INPUT else f"make the public: {make}",
        )
    if data.lstrip().startswith(_SSH2):
        return Problem(
            "a key in SSH2 format (RFC 4716), which authorized_keys has not",
            file=source or None,
            hint=f"convert it: ssh-keygen -i -f {shown}",
        )
    return None


def _problem_of(line: Line, source: str) -> Problem:
    message, hint = line.problem or "there is no key in it", None
    if line.key is not None and is_certificate(line.key.key_type):
        message = "a certificate: hosts are told the key of its authority, not the certificate"
        hint = "give the plain key, or the authority's with --cert-authority"
    number = line.number if source else None
    return Problem(message, file=source or None, line=number, hint=hint)


def _one_line(comment: str) -> str:
    return re.sub(r"[\r\n\0]", " ", comment).strip()
