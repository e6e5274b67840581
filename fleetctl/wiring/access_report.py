"""
From audits, findings and changes to what is told about who gets in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetctl import __version__
from fleetctl.report.access_content import (
    Access,
    ChangeRow,
    FailureRow,
    FindingRow,
    HostPart,
    KeyRow,
    UserPart,
)
from fleetctl.wiring.words import fold

if TYPE_CHECKING:
    from fleetctl.keys.audit_content import HostAudit, KeyEntry, UserEntry
    from fleetctl.keys.audit_store import Change
    from fleetctl.keys.findings import Declared, KeyFinding
    from fleetctl.model.result import HostResult

#: Groups in the order in which they are shown: what is bad first.
_SEVERITIES = ("bad", "warning", "note")
_QUIET_OPTIONS = frozenset({"from", "expiry-time", "cert-authority", "principals"})
_SHORT_VALUE = 40

#: What is told of users: notes about them, and their keys.
_Facts = tuple[tuple[str, ...], tuple[KeyRow, ...]]
_Users = tuple[tuple[tuple[str, ...], _Facts], ...]


def make_access(
    audits: Sequence[HostAudit],
    *,
    at: int,
    declared: Declared | None,
    findings: Sequence[KeyFinding],
    changed: Sequence[Change],
    failed: Sequence[HostResult] = (),
    since: Mapping[tuple[str, str, str], int] | None = None,
    question: str = "",
) -> Access:
    """
    Return what is told: equal hosts together, equal findings together.

    Args:
        at: When, in seconds since 1970 (UTC).
        since: When the key of a host and a user was seen first, if that is to be told.
        question: What was asked for, if not everything.
    """
    counts = [
        (len(audits), "hosts" if len(audits) != 1 else "host"),
        *_count_keys(audits, declared),
    ]
    return Access(
        at=_local(at),
        question=question,
        counts=counts,
        hosts=_host_parts(audits, declared, since or {}),
        findings=_finding_rows(findings),
        changes=_change_rows(changed),
        failures=_failure_rows(failed),
        has_people=declared is not None,
        made_by=f"fleetctl {__version__}",
    )


def _local(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def _count_keys(
    audits: Sequence[HostAudit], declared: Declared | None
) -> Iterator[tuple[int, str]]:
    keys = [key for audit in audits for user in audit.users for key in user.keys if key.is_open]
    different = {key.fingerprint for key in keys}
    yield len(different), "key that lets in" if len(different) == 1 else "keys that let in"
    yield len(keys), "line" if len(keys) == 1 else "lines"
    if declared is not None:
        people = {declared.owners[key].name for key in different if key in declared.owners}
        yield len(people), "person" if len(people) == 1 else "people"


def _host_parts(
    audits: Sequence[HostAudit],
    declared: Declared | None,
    since: Mapping[tuple[str, str, str], int],
) -> list[HostPart]:
    """Return the hosts, those that are alike together, in the order of the first of each."""
    alike: dict[tuple[_Users, tuple[str, ...]], list[HostAudit]] = {}
    for audit in audits:
        users = _users_alike(audit, declared, since)
        sources = tuple(f"{one.setting} {one.value}" for one in audit.sources)
        alike.setdefault((users, sources), []).append(audit)
    return [
        HostPart(
            fold(audit.host for audit in group),
            len(group),
            [
                UserPart(names, notes, _common_paths(group, names), keys)
                for names, (notes, keys) in users
            ],
            sources,
        )
        for (users, sources), group in alike.items()
    ]


def _users_alike(
    audit: HostAudit, declared: Declared | None, since: Mapping[tuple[str, str, str], int]
) -> _Users:
    """Return the users of a host, those with the same keys together."""
    alike: dict[_Facts, list[str]] = {}
    for user in audit.users:
        keys = tuple(
            KeyRow(
                who=owner_of(key, declared),
                label=_label(key),
                fingerprint=key.fingerprint,
                is_open=key.is_open,
                details=tuple(
                    _details(key, declared, since.get((audit.host, user.name, key.fingerprint)))
                ),
            )
            for key in user.keys
        )
        alike.setdefault((tuple(_notes(user)), keys), []).append(user.name)
    return tuple((tuple(names), facts) for facts, names in alike.items())


def _common_paths(audits: Sequence[HostAudit], names: Sequence[str]) -> tuple[str, ...]:
    """Return the files of these users if they are the same everywhere."""
    found = {
        tuple(file.path for file in user.files)
        for audit in audits
        for user in audit.users
        if user.name in names
    }
    return found.pop() if len(found) == 1 else ()


def owner_of(key: KeyEntry, declared: Declared | None) -> str:
    """Return whose key it is: ``?`` if nobody knows, empty if nobody says who people are."""
    if declared is None:
        return ""
    person = declared.owners.get(key.fingerprint)
    return person.name if person is not None else "?"


def _notes(user: UserEntry) -> Iterator[str]:
    if user.barred:
        yield "barred"
    if user.uid == 0 and user.name != "root":
        yield "uid 0"
    if user.sudo in ("all", "some"):
        yield "sudo" if user.sudo == "all" else "some sudo"
    if not user.has_shell:
        yield "no shell"


def _label(key: KeyEntry) -> str:
    return f"{key.label} {key.bits}" if key.label in ("RSA", "DSA", "ECDSA") else key.label


def _details(key: KeyEntry, declared: Declared | None, since: int | None) -> Iterator[str]:
    if key.comment and key.comment != owner_of(key, declared):
        yield key.comment
    if key.why:
        yield key.why
    elif not key.is_open:
        yield key.state
    for name, value in key.options:
        if name not in _QUIET_OPTIONS or not key.why:
            yield name if value is None else f"{name}={_shortened(value)}"
    if since is not None:
        yield f"seen since {_local(since):%Y-%m-%d}"
    if key.last_login is not None:
        yield f"used {key.last_login}"


def _shortened(value: str) -> str:
    return value if len(value) <= _SHORT_VALUE else value[: _SHORT_VALUE - 1] + "…"


def _finding_rows(findings: Sequence[KeyFinding]) -> list[FindingRow]:
    """Return the findings, the same of several hosts and users together."""
    alike: dict[tuple[str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for one in findings:
        hosts, users = alike.setdefault((one.severity, one.kind, one.message), ({}, {}))
        hosts[one.host] = None
        if one.user:
            users[one.user] = None
    rows = [
        FindingRow(severity, kind, fold(hosts), len(hosts), tuple(users), message)
        for (severity, kind, message), (hosts, users) in alike.items()
    ]
    return sorted(rows, key=lambda row: _SEVERITIES.index(row.severity))


def _change_rows(changed: Sequence[Change]) -> list[ChangeRow]:
    alike: dict[tuple[str, str, str, str, int], list[str]] = {}
    for one in changed:
        same = one.what, one.user, one.fingerprint, one.comment, one.before
        alike.setdefault(same, []).append(one.host)
    return [
        ChangeRow(what, fold(hosts), len(hosts), user, fingerprint, comment, _local(before))
        for (what, user, fingerprint, comment, before), hosts in alike.items()
    ]


def _failure_rows(failed: Sequence[HostResult]) -> list[FailureRow]:
    alike: dict[str, list[str]] = {}
    for result in failed:
        failure = result.outcome.failure
        message = f"{failure.kind}: {failure.message}" if failure else result.outcome.status
        alike.setdefault(message, []).append(result.host.name)
    return [FailureRow(fold(names), len(names), message) for message, names in alike.items()]
