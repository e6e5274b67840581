"""
What the settings of an SSH server say against a key of one user, as far as they are known.

Settings are those that ``sshd -T`` prints, or the global part of sshd_config: lower-case names.

Source: sshd_config(5); OpenSSH auth.c, allowed_user; auth2-pubkey.c.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: Signature algorithms that a key of a type may be offered with.
_ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
#: Keywords that add up.
_LISTS = frozenset({"allowusers", "denyusers", "allowgroups", "denygroups"})
#: Lists of methods that one key satisfies.
_ONE_KEY = ("publickey", "any")
_SETTING = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(\S.*?)\s*")
_RELOAD = "then reload sshd"


@dataclass(frozen=True, slots=True)
class User:
    """
    Who is to log in.

    Attributes:
        groups: Names, the first one first; empty if they are not known.
        address: Where the login comes from, as the host sees it; empty if that is not known.
    """

    name: str
    uid: int
    groups: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True)
class Objection:
    """
    One setting that speaks against the login.

    Attributes:
        fix: What to change on the host.
    """

    setting: str
    message: str
    fix: str


def parse_sshd_config(data: bytes) -> dict[str, str]:
    """
    Return the settings of the global part of an sshd_config, the first of each as sshd takes it.

    Keywords that add up are joined by blanks. Match blocks are left out, and so are Includes: the
    caller puts the files in the order in which sshd reads them.
    """
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        parts = _SETTING.fullmatch(line)
        if parts is None:
            continue
        name, value = parts[1].lower(), parts[2].strip('"')
        if name == "match":
            break
        if name in _LISTS and name in found:
            found[name] += f" {value}"
        else:
            found.setdefault(name, value)
    return found


def objections(settings: Mapping[str, str], user: User, key_type: str) -> Iterator[Objection]:
    """
    Yield what the settings say against a key of this type logging this user in.

    Args:
        settings: Empty where they are not known: then nothing is said.
        key_type: Such as ``ssh-rsa``.
    """
    if settings.get("pubkeyauthentication", "yes").lower() == "no":
        yield Objection(
            "PubkeyAuthentication",
            "its sshd takes no keys at all: PubkeyAuthentication no",
            f"PubkeyAuthentication yes in sshd_config, {_RELOAD}",
        )
    yield from _against_user(settings, user)
    yield from _against_groups(settings, user)
    if user.uid == 0:
        yield from _against_root(settings)
    yield from _against_type(settings, key_type)
    methods = settings.get("authenticationmethods", "any").split()
    if methods and methods != ["any"] and not any(one in _ONE_KEY for one in methods):
        yield Objection(
            "AuthenticationMethods",
            f"its sshd wants more than a key: AuthenticationMethods {' '.join(methods)}",
            f"AuthenticationMethods publickey in sshd_config, {_RELOAD}; or --verify parse",
        )


def expanded_files(value: str, *, home: str, user: str, uid: int) -> tuple[str, ...]:
    """
    Return the absolute paths that AuthorizedKeysFile means for a user; empty for ``none``.

    Source: sshd_config(5), TOKENS; relative paths count from the home.
    """
    found = []
    for word in value.split():
        if word.lower() == "none":
            continue
        path, rest = "", word
        while rest:
            head, percent, rest = rest.partition("%")
            path += head
            if percent:
                token, rest = rest[:1], rest[1:]
                path += {"%": "%", "h": home, "u": user, "U": str(uid)}.get(token, f"%{token}")
        found.append(path if path.startswith("/") else f"{home.rstrip('/')}/{path}")
    return tuple(found)


def _against_user(settings: Mapping[str, str], user: User) -> Iterator[Objection]:
    denied = [one for one in settings.get("denyusers", "").split() if _means(one, user)]
    if denied:
        yield Objection(
            "DenyUsers",
            f"its sshd lets {user.name} in by no means: DenyUsers {denied[0]}",
            f"take {user.name} out of DenyUsers in sshd_config, {_RELOAD}",
        )
    allowed = settings.get("allowusers", "").split()
    if allowed and not any(_means(one, user) for one in allowed):
        yield Objection(
            "AllowUsers",
            f"its sshd lets only others in: AllowUsers {' '.join(allowed)}",
            f"add {user.name} to AllowUsers in sshd_config, {_RELOAD}",
        )


def _means(pattern: str, user: User) -> bool:
    name, at, place = pattern.rpartition("@") if "@" in pattern else (pattern, "", "")
    if not fnmatch.fnmatchcase(user.name, name):
        return False
    # A place that cannot be judged from here might be the right one.
    return not at or not user.address or "/" in place or fnmatch.fnmatchcase(user.address, place)


def _against_groups(settings: Mapping[str, str], user: User) -> Iterator[Objection]:
    if not user.groups:
        return
    denied = _common(settings.get("denygroups", ""), user.groups)
    if denied:
        yield Objection(
            "DenyGroups",
            f"its sshd lets nobody of group {denied[0]} in: DenyGroups",
            f"take it out of DenyGroups in sshd_config, {_RELOAD}",
        )
    allowed = settings.get("allowgroups", "")
    if allowed and not _common(allowed, user.groups):
        yield Objection(
            "AllowGroups",
            f"its sshd lets only others in: AllowGroups {allowed}",
            f"put {user.name} into one of these groups",
        )


def _common(patterns: str, groups: Sequence[str]) -> list[str]:
    return [
        group
        for group in groups
        if any(fnmatch.fnmatchcase(group, pattern) for pattern in patterns.split())
    ]


def _against_root(settings: Mapping[str, str]) -> Iterator[Objection]:
    value = settings.get("permitrootlogin", "prohibit-password").lower()
    if value == "no":
        yield Objection(
            "PermitRootLogin",
            "its sshd lets root in by no means: PermitRootLogin no",
            f"PermitRootLogin prohibit-password in sshd_config, {_RELOAD}",
        )
    elif value == "forced-commands-only":
        yield Objection(
            "PermitRootLogin",
            "its sshd lets root in only with keys that force a command:"
            " PermitRootLogin forced-commands-only",
            "give the key a command: --command CMD",
        )


def _against_type(settings: Mapping[str, str], key_type: str) -> Iterator[Objection]:
    value = settings.get("pubkeyacceptedalgorithms") or settings.get("pubkeyacceptedkeytypes")
    # A list with a sign changes a default that is not known here.
    if not value or value[0] in "+-^":
        return
    names = _ALGORITHMS.get(key_type, (key_type,))
    if not any(
        fnmatch.fnmatchcase(name, pattern) for name in names for pattern in value.split(",")
    ):
        yield Objection(
            "PubkeyAcceptedAlgorithms",
            f"its sshd takes no {key_type} keys: PubkeyAcceptedAlgorithms {value}",
            "deploy a key of another type: fleetctl keys generate --help",
        )
