"""
What an audit of one host says, as plain values and as JSON, which is also how it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

#: ``live``: it logs in. ``conditional``: it does from some places, or with a forced command.
#: ``authority``: certificates that it signed do. ``expired``, ``dead`` (sshd skips the line),
#: ``shadowed`` (an earlier line decides), ``disabled`` (commented out), ``barred`` (the file or the
#: account is refused) do not.
KeyState = Literal[
    "live", "conditional", "authority", "expired", "dead", "shadowed", "disabled", "barred"
]

#: Keys in these states let somebody in.
OPEN_STATES: frozenset[KeyState] = frozenset({"live", "conditional", "authority"})


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """
    One line with a key.

    Attributes:
        path: Of the file.
        line: From 1.
        label: The type as ``ssh-keygen -l`` prints it, such as ``ED25519``.
        options: (name, value or None).
        why: What its state comes from; empty if nothing has to be said.
        last_login: As the log has it, or None.
    """

    path: str
    line: int
    type: str
    label: str
    bits: int
    fingerprint: str
    comment: str
    options: tuple[tuple[str, str | None], ...]
    state: KeyState
    why: str = ""
    last_login: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it lets somebody in."""
        return self.state in OPEN_STATES

    def option(self, name: str) -> str | None:
        """Return the value of an option; empty if it has none, None if it is not there."""
        found = [value for key, value in self.options if key == name]
        return (found[0] or "") if found else None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """
    A file with keys.

    Attributes:
        setting: Of sshd that names it.
        owner: Name, or number in digits.
        mode: Permission bits.
        problems: What lets others write to it, or sshd distrust it.
        unread: Why its user, and so sshd, cannot read it; empty if that works.
        is_refused: sshd takes no key from it because of any of that.
        target: Where its links lead, if there are any.
    """

    path: str
    setting: str
    owner: str
    mode: int
    problems: tuple[str, ...] = ()
    unread: str = ""
    is_refused: bool = False
    target: str | None = None


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """
    Another way in than a line in a file of the user.

    Attributes:
        setting: ``authorizedkeyscommand``, ``trustedusercakeys``, ``authorizedprincipalsfile``,
            ``authorizedprincipalscommand``, ``revokedkeys``.
        value: As configured, or the path of the file.
        users: Whom it is for; empty means everybody.
        text: What is in the file, shortened; empty if that is of no interest.
    """

    setting: str
    value: str
    users: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class UserEntry:
    """
    One account with keys.

    Attributes:
        barred: Why nobody can log in to it with a key; empty if somebody can.
        sudo: ``none``, ``some``, ``all`` or ``unknown``; None if it is of no interest.
    """

    name: str
    uid: int
    home: str
    shell: str
    barred: tuple[str, ...]
    sudo: str | None
    is_locked: bool | None
    files: tuple[FileEntry, ...] = ()
    keys: tuple[KeyEntry, ...] = ()

    @property
    def has_shell(self) -> bool:
        """Whether its shell runs commands; keys of others can still forward ports."""
        return not self.shell.endswith(("/nologin", "/false"))


@dataclass(frozen=True, slots=True)
class HostAudit:
    """
    One host.

    Attributes:
        is_whole: Everybody's keys were looked at; else only those of who logged in.
        accounts: How many accounts there are.
        config: File with the settings of sshd; empty if they are not known.
    """

    host: str
    is_whole: bool
    login: str
    server: str
    clock: int
    accounts: int
    config: str
    users: tuple[UserEntry, ...] = ()
    sources: tuple[SourceEntry, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return all fields, as JSON types."""
        return cast("dict[str, object]", asdict(self))


def read_audit(data: Mapping[str, object]) -> HostAudit:
    """
    Return what `HostAudit.to_json` made.

    Raises:
        ValueError: It is nothing of that kind.
    """
    try:
        fields: dict[str, Any] = dict(data)
        users = tuple(_read_user(one) for one in fields.pop("users"))
        sources = tuple(
            SourceEntry(**{**one, "users": tuple(one["users"])}) for one in fields.pop("sources")
        )
        return HostAudit(**fields, users=users, sources=sources)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no audit of a host: {error}") from None


def _read_user(data: Mapping[str, Any]) -> UserEntry:
    fields = dict(data)
    files = tuple(
        FileEntry(**{**one, "problems": tuple(one["problems"])}) for one in fields.pop("files")
    )
    keys = tuple(_read_key(one) for one in fields.pop("keys"))
    barred = tuple(fields.pop("barred"))
    return UserEntry(**fields, barred=barred, files=files, keys=keys)


def _read_key(data: Mapping[str, Any]) -> KeyEntry:
    pairs: Sequence[Sequence[str]] = data["options"]
    return KeyEntry(**{**data, "options": tuple((one[0], one[1]) for one in pairs)})
