"""
What a look at a file has found, read from the answer of the shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetctl.keys.place import Component, FileKind, KeySource, Look
from fleetctl.keys.remote.answer import Answer, Part
from fleetctl.keys.remote.encoding import cksum
from fleetctl.keys.sshd_settings import parse_settings
from fleetctl.model.errors import FleetError

_KINDS: Mapping[str, FileKind] = {"d": "directory", "-": "file", "l": "link"}
_BITS = (0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001)
_SPECIAL = (0o4000, 0o2000, 0o1000)
_ROUND_S = 60


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where the file is and who works on it: what later programs need to find it again.

    Attributes:
        folder: Absolute, without links.
        uid: Who the work is done as.
        stays: Root does it, for another user.
    """

    user: str
    uid: int
    folder: str
    name: str
    stays: bool

    @property
    def path(self) -> str:
        return f"{self.folder.rstrip('/')}/{self.name}"


def read_look(answer: Answer, *, server_version: str, lock: str | None) -> tuple[Look, Place]:
    """
    Return what was found.

    Raises:
        FleetError: ``keys.protocol``: it is not the answer of a look.
    """
    try:
        return _read(answer, server_version, lock)
    except (ValueError, IndexError) as error:
        raise FleetError(
            "keys.protocol",
            f"the shell answered with something else: {error}",
            hint="see what its start-up files and tools do; or do without a shell: --sftp",
        ) from error


def _read(answer: Answer, server_version: str, lock: str | None) -> tuple[Look, Place]:
    user, account_uid, _, home, shell = _lines(answer, "account")[:5]
    path, stays = _lines(answer, "path")[:2]
    folder, _, name = path.rpartition("/")
    uid = 0 if stays else int(account_uid)
    known = answer.find("sshd")
    sshd = None if known is None else parse_settings(known.data.decode("utf-8", "replace"))
    data = answer.data("data")
    clock, utc_offset = _read_clock(_lines(answer, "clock"))
    names = {0: "root", int(account_uid): user}
    look = Look(
        user=user,
        uid=uid,
        home=home,
        shell=shell,
        path=path,
        data=data,
        checksum="" if data is None else f"{cksum(data)} {len(data)}",
        components=tuple(_components(answer, path, names)),
        sources=tuple(_sources(answer, sshd or {})),
        sshd=sshd,
        server_version=server_version,
        clock=clock,
        utc_offset=utc_offset,
        tools=frozenset(_lines(answer, "tools")),
        lock=lock,
        waiting=tuple(part.lines[0] for part in answer.all("waiting")),
    )
    return look, Place(user, uid, folder or "/", name, bool(stays))


def _lines(answer: Answer, name: str) -> list[str]:
    part = answer.find(name)
    if part is None:
        raise ValueError(f"it does not say {name}")
    return part.lines


def _read_clock(lines: list[str]) -> tuple[int, int]:
    """Return seconds since 1970 and the offset from UTC, of both times it shows."""
    utc, local = (datetime.fromisoformat(line).replace(tzinfo=UTC).timestamp() for line in lines)
    return int(utc), round((local - utc) / _ROUND_S) * _ROUND_S


def _components(answer: Answer, path: str, names: Mapping[int, str]) -> Iterator[Component]:
    # Later parts win: where a link is followed the way is gone anew.
    seen = {part.lines[0]: part for part in answer.all("part")}
    for part in seen.values():
        yield _component(part, names)
    if path not in seen:
        yield Component(path, "absent")


def _component(part: Part, names: Mapping[int, str]) -> Component:
    path, numbers, *named = part.lines
    permissions, links, owner = numbers.split()[:3]
    uid = int(owner)
    name = named[0].split()[2] if named else names.get(uid, owner)
    kind = _KINDS.get(permissions[0], "other")
    return Component(path, kind, uid, name, parse_mode(permissions), int(links))


def parse_mode(permissions: str) -> int:
    """
    Return the bits of ``-rwxr-x---``; what follows them, as of an ACL, does not count.

    Raises:
        ValueError: It is no such text.

    Source: POSIX.1-2017, ls, the file mode.
    """
    if not re.fullmatch(r".[r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-].?", permissions):
        raise ValueError(f"{permissions[:20]!r} is no file mode")
    mode = sum(bit for bit, c in zip(_BITS, permissions[1:10], strict=True) if c not in "-ST")
    return mode | sum(
        bit for bit, at in zip(_SPECIAL, (3, 6, 9), strict=True) if permissions[at] in "sStT"
    )


def _sources(answer: Answer, sshd: Mapping[str, str]) -> Iterator[KeySource]:
    for at, part in enumerate(answer.parts):
        if part.name == "source":
            setting, path = part.lines[:2]
            then = answer.parts[at + 1]
            yield KeySource(setting, path, then.data if then.name == "bytes" else None)
    for setting in ("authorizedkeyscommand", "authorizedprincipalscommand"):
        if sshd.get(setting, "none") != "none":
            yield KeySource(setting, sshd[setting])
