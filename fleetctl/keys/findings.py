"""
What is wrong, or worth knowing, about who gets in: over all hosts that were audited.

Pure: from audits, people and what is declared to findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, cast

from fleetctl.keys.audit_content import FileEntry, HostAudit, KeyEntry, UserEntry
from fleetctl.keys.options import KeyOption, same_options
from fleetctl.keys.people import HostState, People, Person

#: ``bad`` needs somebody now, ``warning`` soon; a ``note`` is worth knowing.
Severity = Literal["bad", "warning", "note"]

#: Kind -> how bad it is.
SEVERITIES: Mapping[str, Severity] = {
    "absent": "bad",
    "unknown": "bad",
    "not-granted": "bad",
    "missing": "bad",
    "path": "bad",
    "unread": "warning",
    "options": "warning",
    "weak": "warning",
    "expired": "warning",
    "bad-option": "warning",
    "duplicate": "warning",
    "shared": "warning",
    "root": "warning",
    "barred": "warning",
    "authority": "note",
    "forced": "note",
    "no-from": "note",
    "many-hosts": "note",
    "disabled": "note",
    "source": "note",
    "partial": "note",
}

#: On so many hosts one key is worth a note, where nobody says whose it is.
MANY_HOSTS = 10
#: RSA keys below that are weak. Source: NIST SP 800-57 part 1, for use beyond 2030.
MIN_RSA_BITS = 3072
_SHORT_COMMENT = 60


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """
    One thing that was found.

    Attributes:
        kind: See `SEVERITIES`.
        user: Empty if it is about the whole host.
        fingerprint: Of the key; empty if it is about none.
        message: One line, without host and user; may hold text of a host.
        where: ``path:line`` or a path; empty if that says nothing.
    """

    kind: str
    severity: Severity
    host: str
    user: str
    message: str
    fingerprint: str = ""
    where: str = ""

    def to_json(self) -> dict[str, object]:
        """Return all fields, as JSON types."""
        return cast("dict[str, object]", asdict(self))


@dataclass(frozen=True, slots=True)
class Declared:
    """
    What ought to be.

    Attributes:
        owners: Fingerprint -> whose key it is.
        hosts: Name of a host -> what it is to have.
    """

    owners: Mapping[str, Person]
    hosts: Mapping[str, HostState]

    @classmethod
    def of(cls, people: People, hosts: Mapping[str, HostState]) -> Declared:
        """Put together what a file says and what that means for each host."""
        owners = {
            key.key.fingerprint: person for person in people.people.values() for key in person.keys
        }
        return cls(owners, hosts)


def find_all(audits: Sequence[HostAudit], declared: Declared | None) -> list[KeyFinding]:
    """
    Return all findings, those of a host together, in the order of the audits.

    Args:
        declared: None if nobody says what ought to be: then no key is unknown.
    """
    many = _on_many_hosts(audits) if declared is None else {}
    names = _comments(audits)
    found: list[KeyFinding] = []
    for audit in audits:
        found += _of_host(audit)
        for user in audit.users:
            found += _of_user(audit, user)
            for key in user.keys:
                found += _of_key(audit, user, key, declared)
                found += _over_hosts(audit, user, key, names, many, declared)
        if declared is not None and audit.host in declared.hosts:
            found += _drift(audit, declared.hosts[audit.host])
    return found


def _make(
    kind: str,
    audit: HostAudit,
    message: str,
    *,
    user: str = "",
    key: KeyEntry | None = None,
    where: str = "",
) -> KeyFinding:
    return KeyFinding(
        kind,
        SEVERITIES[kind],
        audit.host,
        user,
        message,
        fingerprint=key.fingerprint if key is not None else "",
        where=where or (f"{key.path}:{key.line}" if key is not None else ""),
    )


def _of_host(audit: HostAudit) -> Iterator[KeyFinding]:
    if not audit.is_whole:
        yield _make(
            "partial", audit, f"only {audit.login}'s own keys were seen: that takes root (-b)"
        )
    for source in audit.sources:
        whom = f" for {_few(source.users)}" if source.users else ""
        match source.setting:
            case "authorizedkeyscommand" | "authorizedprincipalscommand":
                message = f"{source.value} is asked as well{whom}, and may let in anybody"
            case "trustedusercakeys":
                message = f"certificates of {source.value} let in{whom}"
            case "revokedkeys":
                message = f"keys in {source.value} are refused{whom}; that is not looked at"
            case _:
                message = f"{source.value} names the certificates that let in{whom}"
        kind = "authority" if source.setting == "trustedusercakeys" else "source"
        yield _make(kind, audit, message, where=source.value)


def _of_user(audit: HostAudit, user: UserEntry) -> Iterator[KeyFinding]:
    for file in user.files:
        yield from _of_file(audit, user, file)
    lines: dict[tuple[str, bool], list[KeyEntry]] = {}
    for key in user.keys:
        if key.state != "disabled":
            is_authority = key.option("cert-authority") is not None
            lines.setdefault((key.fingerprint, is_authority), []).append(key)
    for same in lines.values():
        if len(same) > 1:
            where = ", ".join(f"{key.path}:{key.line}" for key in same)
            yield _make(
                "duplicate",
                audit,
                f"{_shown(same[0])} is there {len(same)} times",
                user=user.name,
                key=same[0],
                where=where,
            )
    if user.uid == 0 and any(key.is_open for key in user.keys):
        count = sum(key.is_open for key in user.keys)
        how_many = "1 key logs" if count == 1 else f"{count} keys log"
        yield _make("root", audit, f"{how_many} in as {user.name}", user=user.name)


def _of_file(audit: HostAudit, user: UserEntry, file: FileEntry) -> Iterator[KeyFinding]:
    for problem in file.problems:
        yield _make("path", audit, problem, user=user.name, where=file.path)
    if file.unread:
        yield _make("unread", audit, file.unread, user=user.name, where=file.path)


def _of_key(
    audit: HostAudit, user: UserEntry, key: KeyEntry, declared: Declared | None
) -> Iterator[KeyFinding]:
    def make(kind: str, message: str) -> KeyFinding:
        return _make(kind, audit, f"{_shown(key)} {message}", user=user.name, key=key)

    if key.state == "disabled":
        yield make("disabled", "is commented out")
        return
    if declared is not None:
        found = _of_owner(audit.host, user.name, key, declared)
        if found is not None:
            yield make(*found)
    if key.state in _NOT_OPEN:
        kind, what = _NOT_OPEN[key.state]
        yield make(kind, f"{what}: {key.why}")
    elif key.is_open:
        for kind, message in _of_open(key):
            yield make(kind, message)


#: State of a key that lets nobody in -> kind of the finding, and what to say.
_NOT_OPEN: Mapping[str, tuple[str, str]] = {
    "expired": ("expired", "is left there"),
    "dead": ("bad-option", "is skipped"),
    "barred": ("barred", "does not log in"),
}


def _of_owner(host: str, user: str, key: KeyEntry, declared: Declared) -> tuple[str, str] | None:
    """Return kind and message of what is wrong with whose key it is; None if nothing is."""
    person = declared.owners.get(key.fingerprint)
    if person is not None and person.is_absent:
        return "absent", f"is a key of {person.name}, who is absent"
    if not key.is_open:
        return None
    if person is None:
        return "unknown", "belongs to nobody that people.yml knows"
    state = declared.hosts.get(host)
    wanted = state.users.get(user) if state is not None else None
    granted = wanted.keys if wanted is not None else ()
    if all(grant.key.fingerprint != key.fingerprint for grant in granted):
        return "not-granted", f"is a key of {person.name}, whom no rule lets in here"
    return None


def _of_open(key: KeyEntry) -> Iterator[tuple[str, str]]:
    weakness = weakness_of(key)
    if weakness:
        yield "weak", weakness
    if key.state == "authority":
        yield "authority", f"is an authority: {key.why}"
        return
    command = key.option("command")
    if command is not None:
        yield "forced", f"runs only: {command[:_SHORT_COMMENT]}"
    if key.option("from") is None:
        yield "no-from", "logs in from everywhere"


def weakness_of(key: KeyEntry) -> str:
    """Return why a key is weak; empty if it is not."""
    if key.type == "ssh-dss":
        return "is a DSA key, which sshd takes no longer"
    if key.type == "ssh-rsa" and key.bits < MIN_RSA_BITS:
        return f"is an RSA key of {key.bits} bits, and {MIN_RSA_BITS} are good"
    return ""


def _over_hosts(
    audit: HostAudit,
    user: UserEntry,
    key: KeyEntry,
    names: Mapping[str, Sequence[str]],
    many: Mapping[str, int],
    declared: Declared | None,
) -> Iterator[KeyFinding]:
    if not key.is_open:
        return
    known = names.get(key.fingerprint, ())
    is_owned = declared is not None and key.fingerprint in declared.owners
    if len(known) > 1 and not is_owned:
        called = " and ".join(name[:_SHORT_COMMENT] for name in known[:3])
        message = f"{key.fingerprint} is called {called}: do several people have it?"
        yield _make("shared", audit, message, user=user.name, key=key)
    if key.fingerprint in many:
        message = f"{_shown(key)} is on {many[key.fingerprint]} hosts"
        yield _make("many-hosts", audit, message, user=user.name, key=key)


def _comments(audits: Iterable[HostAudit]) -> dict[str, Sequence[str]]:
    """Return what each key is called in all places, where it is called anything."""
    names: dict[str, dict[str, None]] = {}
    for audit in audits:
        for user in audit.users:
            for key in user.keys:
                if key.comment:
                    names.setdefault(key.fingerprint, {})[key.comment] = None
    return {fingerprint: sorted(found) for fingerprint, found in names.items()}


def _on_many_hosts(audits: Iterable[HostAudit]) -> dict[str, int]:
    hosts: dict[str, set[str]] = {}
    for audit in audits:
        for user in audit.users:
            for key in user.keys:
                if key.is_open:
                    hosts.setdefault(key.fingerprint, set()).add(audit.host)
    return {found: len(names) for found, names in hosts.items() if len(names) >= MANY_HOSTS}


def _drift(audit: HostAudit, state: HostState) -> Iterator[KeyFinding]:
    """Yield how a host differs from what people.yml says, beside keys of nobody."""
    present = {user.name: user for user in audit.users}
    for name, wanted in state.users.items():
        if not audit.is_whole and name != audit.login:
            continue
        user = present.get(name)
        there = {key.fingerprint: key for key in user.keys if key.is_open} if user else {}
        for grant in wanted.keys:
            fingerprint = grant.key.fingerprint
            key = there.get(fingerprint)
            if key is None:
                message = f"{fingerprint} of {grant.person} does not log in ({grant.spot})"
                yield KeyFinding(
                    "missing", SEVERITIES["missing"], audit.host, name, message, fingerprint
                )
            elif not same_options([KeyOption(*one) for one in key.options], grant.key.options):
                message = f"{_shown(key)} of {grant.person} has other options ({grant.spot})"
                yield _make("options", audit, message, user=name, key=key)


def _shown(key: KeyEntry) -> str:
    name = f" ({key.comment[:_SHORT_COMMENT]})" if key.comment else ""
    return f"{key.fingerprint}{name}"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
