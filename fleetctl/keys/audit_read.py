"""
From the answers of the audit's program to accounts, files and settings of one host.

Everything is data that a host sent. What is good or bad about it is said elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from fleetctl.keys.audit_program import STATUS_LEFT_OUT, STATUS_NO_FILE, Record
from fleetctl.keys.place import MAX_FILE_BYTES, Component, FileKind

Sudo = Literal["none", "some", "all", "unknown"]

_KINDS: Mapping[str, FileKind] = {"d": "directory", "-": "file", "l": "link"}
_LISTING = re.compile(r"([dlbcps-])([-rwxsStT]{9})\S*\s+(\d+)\s+(\d+)\s+(\d+)\s+.*?\s(/.*)")
_LISTS = frozenset({"allowusers", "denyusers", "allowgroups", "denygroups"})
_ACCEPTED = re.compile(
    r"(?P<at>[A-Z][a-z]{2} +\d+ [\d:]{8}|[\d:T.+-]+Z?) \S+ sshd[a-z-]*(?:\[\d+\])?: "
    r"Accepted publickey for (?P<user>\S+) from (?P<from>\S+) port \d+ ssh2: \S+ "
    r"(?P<key>SHA256:[A-Za-z0-9+/]{43})"
)


@dataclass(frozen=True, slots=True)
class Account:
    """
    One entry of the password database, and what else is known about it.

    Attributes:
        shell: Empty means ``/bin/sh``.
        groups: Names, the primary first.
        is_locked: Whether its password is; None if that cannot be seen.
        expires_day: Day since 1970 from which it cannot be used, or None.
    """

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[str, ...] = ()
    is_locked: bool | None = None
    expires_day: int | None = None


@dataclass(frozen=True, slots=True)
class FoundFile:
    """
    A file in which sshd looks.

    Attributes:
        setting: That names it, in lower case.
        path: As expanded.
        real_path: With links resolved.
        data: None if it could not be read.
        problem: Why not.
        components: Of ``real_path``, from ``/`` on.
        links: Links on the way from ``/`` to ``path``.
    """

    setting: str
    path: str
    real_path: str
    data: bytes | None
    problem: str | None
    components: tuple[Component, ...]
    links: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundUser:
    """
    One account with all that sshd takes keys for it from.

    Attributes:
        settings: Of sshd for this user, lower-case names; empty if they are not known.
        sudo: What sudo lets it do; None if nobody asked, as for accounts without keys.
    """

    account: Account
    settings: Mapping[str, str]
    files: tuple[FoundFile, ...] = ()
    sudo: Sudo | None = None


@dataclass(frozen=True, slots=True)
class LastLogin:
    """
    When a key was used last, as the log has it.

    Attributes:
        at: As it stands in the log: RFC 3339, or without a year.
    """

    user: str
    key: str
    at: str
    address: str


@dataclass(frozen=True, slots=True)
class FoundHost:
    """
    All that was found on one host.

    Attributes:
        uid: Who looked; only 0 sees everything.
        login: Name of that user.
        clock: Of the host, in seconds since 1970 (UTC).
        utc_offset: Of its time zone, in seconds.
        config: The file from which sshd has its settings; empty if they are not known.
        authorities: Files with authorities for certificates.
    """

    uid: int
    login: str
    clock: int
    utc_offset: int
    config: str
    users: tuple[FoundUser, ...]
    authorities: tuple[FoundFile, ...] = ()
    logins: tuple[LastLogin, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was hidden from who looked."""
        return self.uid == 0


@dataclass(slots=True)
class _Draft:
    """What is known while the answers come in."""

    who: tuple[int, str] = (-1, "")
    clock: tuple[int, int] = (0, 0)
    config: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    users: list[FoundUser] = field(default_factory=list)
    authorities: list[FoundFile] = field(default_factory=list)
    logins: tuple[LastLogin, ...] = ()
    file: FoundFile | None = None


def read_host(records: Iterable[Record]) -> FoundHost:
    """Put the answers of the program together; what makes no sense is left out."""
    draft = _Draft()
    for record in records:
        _take(draft, record)
    uid, login = draft.who
    return FoundHost(
        uid=uid,
        login=login,
        clock=draft.clock[0],
        utc_offset=draft.clock[1],
        config=draft.config,
        users=tuple(draft.users),
        authorities=tuple(draft.authorities),
        logins=draft.logins,
    )


def _take(draft: _Draft, record: Record) -> None:
    match record.kind:
        case "who":
            uid, _, name = record.text.partition(" ")
            draft.who = (_number(uid, -1), name)
        case "clock":
            seconds, _, zone = record.text.partition(" ")
            draft.clock = (_number(seconds), _offset(zone))
        case "users":
            draft.accounts = {one.name: one for one in _accounts(record.body)}
        case "groups":
            draft.accounts = _with_groups(draft.accounts, record.body)
        case "shadow":
            draft.accounts = _with_shadow(draft.accounts, record.body)
        case "sshd":
            draft.config = record.text
        case "settings":
            draft.settings = read_settings(record.body)
        case "user":
            account = draft.accounts.get(record.text)
            if account is not None:
                draft.users.append(FoundUser(account, draft.settings))
        case "sudo" if draft.users:
            draft.users[-1] = replace(draft.users[-1], sudo=read_sudo(record.body))
        case "logins":
            draft.logins = tuple(read_logins(record.body))
        case _:
            _take_file(draft, record)


def _take_file(draft: _Draft, record: Record) -> None:
    """Take one of the answers that together are a file: file, path, real, data, end."""
    names = {one.uid: one.name for one in draft.accounts.values()}
    if record.kind == "file":
        draft.file = FoundFile(record.text, "", "", None, None, ())
    file = draft.file
    if file is None:
        return
    match record.kind:
        case "path":
            found = tuple(read_listing(record.body, names))
            links = tuple(one for one in found if one.kind == "link")
            path = record.text
            draft.file = replace(file, path=path, real_path=path, components=found, links=links)
        case "real":
            found = tuple(read_listing(record.body, names))
            draft.file = replace(file, real_path=record.text, components=found)
        case "data":
            draft.file = replace(file, data=record.body)
        case "end":
            _keep(draft, _ended(file, _number(record.text, 1)))
            draft.file = None


def _ended(file: FoundFile, status: int) -> FoundFile:
    if status == 0 and file.data is not None and len(file.data) <= MAX_FILE_BYTES:
        return file
    problem = {
        0: f"it is longer than {MAX_FILE_BYTES // 1024 // 1024} MiB",
        STATUS_NO_FILE: "it is no regular file, or its user cannot get there",
        STATUS_LEFT_OUT: "the files of this host are too many, it was left out",
    }.get(status, "its user cannot read it")
    return replace(file, data=None, problem=problem)


def _keep(draft: _Draft, file: FoundFile) -> None:
    if file.setting == "trustedusercakeys":
        draft.authorities.append(file)
    elif draft.users:
        user = draft.users[-1]
        draft.users[-1] = replace(user, files=(*user.files, file))


def _accounts(body: bytes) -> Iterator[Account]:
    """Source: passwd(5)."""
    for line in _lines(body):
        parts = line.split(":")
        if len(parts) >= 7 and parts[2].isdecimal() and parts[3].isdecimal():
            yield Account(parts[0], int(parts[2]), int(parts[3]), parts[5], parts[6])


def _with_groups(accounts: Mapping[str, Account], body: bytes) -> dict[str, Account]:
    """Source: group(5)."""
    names: dict[int, str] = {}
    members: dict[str, list[str]] = {}
    for line in _lines(body):
        parts = line.split(":")
        if len(parts) < 4 or not parts[2].isdecimal():
            continue
        names.setdefault(int(parts[2]), parts[0])
        for member in filter(None, parts[3].split(",")):
            members.setdefault(member, []).append(parts[0])
    found = {}
    for name, account in accounts.items():
        first = names.get(account.gid, str(account.gid))
        groups = dict.fromkeys([first, *members.get(name, ())])
        found[name] = replace(account, groups=tuple(groups))
    return found


def _with_shadow(accounts: Mapping[str, Account], body: bytes) -> dict[str, Account]:
    """Source: shadow(5); of the password only its first sign is sent."""
    found = dict(accounts)
    for line in _lines(body):
        name, _, rest = line.partition(":")
        first, _, day = rest.partition(":")
        if name in found:
            found[name] = replace(
                found[name], is_locked=first == "!", expires_day=_number(day, -1) if day else None
            )
    return found


def read_settings(body: bytes) -> dict[str, str]:
    """Return what ``sshd -T`` said; of keywords that add up all values, with blanks between."""
    found: dict[str, str] = {}
    for line in _lines(body):
        name, _, value = line.partition(" ")
        if name in _LISTS and name in found:
            found[name] += f" {value}"
        elif name:
            found.setdefault(name, value)
    return found


def read_listing(body: bytes, names: Mapping[int, str]) -> Iterator[Component]:
    """Yield what ``ls -ldnq`` said of the parts of a path, sorted by their depth."""
    found = []
    for line in _lines(body):
        parts = _LISTING.fullmatch(line)
        if parts is None:
            continue
        kind = _KINDS.get(parts[1], "other")
        path = parts[6].partition(" -> ")[0] if kind == "link" else parts[6]
        owner = int(parts[4])
        mode = _mode(parts[2])
        name = names.get(owner, str(owner))
        found.append(Component(path, kind, owner, name, mode, int(parts[3])))
    return iter(sorted(found, key=lambda one: (one.path != "/", one.path.count("/"))))


def _mode(letters: str) -> int:
    mode = 0
    for place, letter in enumerate(letters):
        if letter in "rwxst":
            mode |= 0o400 >> place
    for place, special in ((2, 0o4000), (5, 0o2000), (8, 0o1000)):
        if letters[place] in "sStT":
            mode |= special
    return mode


def read_sudo(body: bytes) -> Sudo:
    """
    Return what ``sudo -l -U USER`` means.

    Source: sudo(8); sudoers(5).
    """
    text = body.decode("utf-8", "replace")
    if "is not allowed to run sudo" in text:
        return "none"
    if "may run the following commands" not in text:
        return "unknown"
    rights = text.partition("may run the following commands")[2].splitlines()[1:]
    for line in rights:
        words = line.split(")", 1)
        if len(words) == 2 and re.search(r"(ALL|root)\b", words[0]):
            commands = re.sub(r"\b[A-Z_]+:\s*", "", words[1])
            if "ALL" in [command.strip() for command in commands.split(",")]:
                return "all"
    return "some"


def read_logins(body: bytes) -> Iterator[LastLogin]:
    """Yield the logins by key in lines of a log of sshd."""
    for line in _lines(body):
        found = _ACCEPTED.fullmatch(line)
        if found is not None:
            yield LastLogin(found["user"], found["key"], found["at"], found["from"])


def _lines(body: bytes) -> list[str]:
    return body.decode("utf-8", "surrogateescape").split("\n")


def _number(text: str, otherwise: int = 0) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text.strip()) else otherwise


def _offset(zone: str) -> int:
    """Return the seconds of ``+0130``."""
    found = re.fullmatch(r"([+-])(\d\d)(\d\d)", zone.strip())
    if found is None:
        return 0
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds
