"""
From what was found on a host to who gets in: each key with its state, each file with its faults.

Source: sshd(8), sshd_config(5); OpenSSH auth.c, allowed_user; auth2-pubkey.c, user_key_allowed.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from fleetctl.keys.audit_content import (
    FileEntry,
    HostAudit,
    KeyEntry,
    KeyState,
    SourceEntry,
    UserEntry,
)
from fleetctl.keys.audit_read import Account, FoundFile, FoundHost, FoundUser
from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    KeyFileText,
    LineState,
    liveness,
    parse,
)
from fleetctl.keys.options import ServerVersion
from fleetctl.keys.place import Component
from fleetctl.keys.strict_modes import PathProblem, path_problems
from fleetctl.keys.why_settings import User, objections
from fleetctl.ssh.fingerprint import label_of
from fleetctl.ssh.public_key import MalformedKey, key_bits

_KEYS_FILE = "authorizedkeysfile"
_DAY_S = 86_400
#: Shown of a file of principals.
_MAX_TEXT = 2_000
_MAX_COMMENT = 500
#: What sshd says where there is nothing.
_NOTHING = frozenset({"", "none"})
_ELSEWHERE = (
    "authorizedkeyscommand",
    "trustedusercakeys",
    "authorizedprincipalscommand",
    "revokedkeys",
)
#: A type of key that no setting of sshd is about.
_ANY_TYPE = ""


def judge_host(host: str, found: FoundHost, server: str) -> HostAudit:
    """
    Return what the audit of a host says.

    Args:
        host: Its name.
        server: As it introduced itself, such as ``OpenSSH_9.2p1``.
    """
    version = ServerVersion.parse(server)
    seen = _last_logins(found)
    users = []
    for user in found.users:
        entry = _judge_user(user, found, version, seen)
        if entry.files or entry.keys:
            users.append(entry)
    return HostAudit(
        host=host,
        is_whole=found.is_whole,
        login=found.login,
        server=server,
        clock=found.clock,
        accounts=len(found.users),
        config=found.config,
        users=tuple(users),
        sources=tuple(_sources(found)),
    )


def _last_logins(found: FoundHost) -> dict[tuple[str, str], str]:
    return {(one.user, one.key): f"{one.at} from {one.address}" for one in found.logins}


def _judge_user(
    user: FoundUser,
    found: FoundHost,
    version: ServerVersion,
    seen: Mapping[tuple[str, str], str],
) -> UserEntry:
    account = user.account
    barred = tuple(bars(account, user.settings, _ANY_TYPE, found.clock))
    files: list[FileEntry] = []
    keys: list[KeyEntry] = []
    for file in user.files:
        if file.setting != _KEYS_FILE or _is_of_others(file, account):
            continue
        entry = judge_file(file, account, is_strict=user.settings.get("strictmodes") != "no")
        files.append(entry)
        text = parse(file.data or b"")
        states = liveness(text, at=found.clock, utc_offset=found.utc_offset, server=version)
        for state in states:
            found_key = state.key or state.line.key
            if found_key is None:
                continue
            key = _judge_line(file.path, found_key, state)
            if key.is_open:
                why = _why_barred(key, entry, barred, account, user.settings, found.clock)
                key = replace(key, state="barred", why=why) if why else key
            keys.append(replace(key, last_login=seen.get((account.name, key.fingerprint))))
    return UserEntry(
        name=account.name,
        uid=account.uid,
        home=account.home,
        shell=account.shell or "/bin/sh",
        barred=barred,
        sudo=user.sudo,
        is_locked=account.is_locked,
        files=tuple(files),
        keys=tuple(_without_doubles(keys)),
    )


def _why_barred(
    key: KeyEntry,
    file: FileEntry,
    barred: Sequence[str],
    account: Account,
    settings: Mapping[str, str],
    clock: int,
) -> str:
    """Return why a key that is right in itself does not log in; empty if it does."""
    if file.is_refused:
        return (*file.problems, file.unread)[0]
    if barred:
        return barred[0]
    of_type = [why for why in bars(account, settings, key.type, clock) if why not in barred]
    is_limited = account.uid == 0 and settings.get("permitrootlogin") == "forced-commands-only"
    if is_limited and key.option("command") is None:
        return "PermitRootLogin forced-commands-only, and the key forces none"
    return of_type[0] if of_type else ""


def bars(account: Account, settings: Mapping[str, str], key_type: str, clock: int) -> Iterator[str]:
    """
    Yield why no key of this type logs this account in; nothing as far as settings are not known.

    Args:
        key_type: Empty for what is true of keys of all types.
        clock: Seconds since 1970.
    """
    user = User(account.name, account.uid, account.groups)
    for objection in objections(settings, user, key_type or "ssh-ed25519"):
        is_of_type = objection.setting == "PubkeyAcceptedAlgorithms"
        # One command may be all that root is allowed: that depends on the key.
        is_of_command = "forced-commands-only" in objection.message
        if is_of_type == bool(key_type) and not is_of_command:
            yield objection.message
    if key_type:
        return
    if account.is_locked and settings.get("usepam") == "no":
        yield "its password is locked, and without PAM sshd lets nobody in then"
    if account.expires_day is not None and 0 <= account.expires_day <= clock // _DAY_S:
        yield "the account has expired"


def judge_file(file: FoundFile, account: Account, *, is_strict: bool) -> FileEntry:
    """Return the file with what is wrong with it, and whether sshd takes keys from it."""
    components = _from_home(file, account.home)
    faults = [
        fault
        for fault in path_problems(components, account.uid)
        if is_strict or fault.fault != "writable" or not _is_sticky(components, fault.path)
    ]
    problems = [_fault(fault, is_strict=is_strict) for fault in faults if fault.is_of_strict_modes]
    hidden = [fault.message for fault in faults if not fault.is_of_strict_modes]
    if file.problem is not None:
        hidden.append(f"{file.path}: {file.problem}")
    strangers = [one for one in file.links if one.owner not in (0, account.uid)]
    problems += [f"{one.path} is a link of {one.owner_name}" for one in strangers]
    own = components[-1] if components else Component(file.path, "absent")
    return FileEntry(
        path=file.path,
        setting=file.setting,
        owner=own.owner_name,
        mode=own.mode,
        problems=tuple(problems),
        unread=hidden[0] if hidden else "",
        is_refused=bool(hidden) or (is_strict and any(one.is_of_strict_modes for one in faults)),
        target=file.real_path if file.real_path != file.path else None,
    )


def _is_sticky(components: Sequence[Component], path: str) -> bool:
    """Tell whether others may put files there, but not take away or rename any."""
    return any(one.path == path and one.mode & stat.S_ISVTX for one in components)


def _is_of_others(file: FoundFile, account: Account) -> bool:
    """
    Tell whether it is a file of somebody else that sshd does not get at as this user.

    Where AuthorizedKeysFile names one file for everybody, it is that of who can read it.
    """
    if file.problem is None or not file.components:
        return False
    own = file.components[-1]
    home = account.home.rstrip("/")
    return own.owner != account.uid and not (home and file.path.startswith(f"{home}/"))


def _fault(fault: PathProblem, *, is_strict: bool) -> str:
    """Return what is wrong, and what sshd makes of that."""
    if is_strict or not fault.is_of_strict_modes:
        return fault.message
    return f"{fault.message.partition(': sshd')[0]}, and sshd does not mind (StrictModes no)"


def _from_home(file: FoundFile, home: str) -> tuple[Component, ...]:
    """Return the parts of the way that sshd looks at: from the home on, if the file lies there."""
    home = home.rstrip("/")
    if file.path.startswith(f"{home}/"):
        below = file.path[len(home) :]
        # The home itself may be reached over a link.
        real_home = file.real_path.removesuffix(below)
        if file.real_path.endswith(below) and real_home:
            inside = [
                one
                for one in file.components
                if one.path == real_home or one.path.startswith(f"{real_home}/")
            ]
            return tuple(inside)
    return file.components


def _judge_line(path: str, key: AuthorizedKey, state: LineState) -> KeyEntry:
    try:
        bits = key_bits(key.blob)
    except MalformedKey:
        bits = 0
    return KeyEntry(
        path=path,
        line=state.line.number,
        type=key.key_type,
        label=label_of(key.key_type),
        bits=bits,
        fingerprint=key.fingerprint,
        comment=key.comment[:_MAX_COMMENT],
        options=tuple((option.name, option.value) for option in key.options),
        state=cast("KeyState", state.state),  # lines without a key have the others
        why=state.why,
    )


def _without_doubles(keys: Sequence[KeyEntry]) -> Iterator[KeyEntry]:
    """Yield each line once: two settings may name the same file."""
    yield from dict.fromkeys(keys)


def _sources(found: FoundHost) -> Iterator[SourceEntry]:
    """Yield the other ways in, each with the users it is for."""
    by_value: dict[tuple[str, str], list[str]] = {}
    for user in found.users:
        for setting in _ELSEWHERE:
            value = user.settings.get(setting, "")
            if value not in _NOTHING:
                by_value.setdefault((setting, value), []).append(user.account.name)
    authorities = {file.path: file for file in found.authorities}
    everybody = len(found.users)
    for (setting, value), names in by_value.items():
        text = ""
        if setting == "trustedusercakeys" and value in authorities:
            text = "\n".join(_authority_lines(parse(authorities[value].data or b"")))
        yield SourceEntry(setting, value, () if len(names) == everybody else tuple(names), text)
    for user in found.users:
        for file in user.files:
            if file.setting != _KEYS_FILE:
                text = (file.data or b"")[:_MAX_TEXT].decode("utf-8", "replace")
                yield SourceEntry(file.setting, file.path, (user.account.name,), text)


def _authority_lines(text: KeyFileText) -> Iterator[str]:
    for key in text.keys:
        yield f"{label_of(key.key_type)} {key.fingerprint} {key.comment}"[:_MAX_TEXT]
