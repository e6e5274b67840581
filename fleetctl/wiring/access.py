"""
Who gets in: people and what is declared, audits, and what is told about them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from fleetctl.keys.audit import AuditKeys
from fleetctl.keys.audit_content import HostAudit, read_audit
from fleetctl.keys.audit_store import AuditStore, Change, KeptHost, changes
from fleetctl.keys.findings import Declared, KeyFinding, find_all
from fleetctl.keys.people import HostState, People, resolve
from fleetctl.model.errors import Problem, UsageError
from fleetctl.report.access_content import (
    Access,
    HostPart,
    UserPart,
)
from fleetctl.sinks.color import Style
from fleetctl.sinks.escape import visible, visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.width import words
from fleetctl.wiring.access_report import make_access, owner_of

if TYPE_CHECKING:
    from fleetctl.keys.authorized_keys import OnOtherOptions
    from fleetctl.model.operation import Operation
    from fleetctl.wiring.hosts import IsTrusted, Selection
    from fleetctl.wiring.key_changes import Removal

__all__ = [
    "Access",
    "AuditKeys",
    "Change",
    "Declared",
    "HostAudit",
    "HostPart",
    "HostState",
    "KeptHost",
    "KeyFinding",
    "People",
    "Printer",
    "Style",
    "UserPart",
    "access_page",
    "audit_to_json",
    "changes",
    "declare",
    "find_all",
    "hosts_of_patterns",
    "load_people",
    "make_access",
    "make_printer",
    "make_sync",
    "open_audits",
    "owner_of",
    "read_audit",
    "safe_cell",
    "visible_line",
    "words",
]


def load_people(path: str) -> People:
    """
    Read ``people.yml``; see `fleetctl.keys.people_file.load_people`.

    Raises:
        UsageError: All mistakes in it; or others can write to it.
    """
    from fleetctl.keys.people_file import load_people as load
    from fleetctl.trust.permissions import Account, find_stranger

    place = Path(path).expanduser()
    stranger = find_stranger(place, Account.from_process()) if place.exists() else None
    if stranger is not None:
        raise UsageError(
            f"{stranger}, so it may not say who gets in",
            file=path,
            hint=f"chmod go-w {path}",
        )
    return load(path)


def hosts_of_patterns(
    selection: Selection,
    patterns: Iterable[str],
    warn: Callable[[Problem], None],
    is_trusted: IsTrusted | None,
) -> dict[str, tuple[str, ...] | UsageError]:
    """
    Return for each pattern the names of the hosts it means, or what is wrong with it.

    The inventory is read once.

    Raises:
        UsageError: All mistakes in the inventory.
    """
    from fleetctl.inventory.load import load_inventory
    from fleetctl.inventory.pattern import select

    inventory = load_inventory(
        selection.sources, is_trusted=is_trusted, vault_secrets=selection.vault_secrets
    )
    for warning in inventory.warnings:
        warn(warning)
    found: dict[str, tuple[str, ...] | UsageError] = {}
    for pattern in patterns:
        try:
            found[pattern] = tuple(host.name for host in select(inventory, pattern))
        except UsageError as error:
            found[pattern] = error
    return found


def declare(
    people: People, hosts_of: Mapping[str, tuple[str, ...] | UsageError]
) -> tuple[Declared, dict[str, HostState]]:
    """
    Return what each host is to have.

    Args:
        hosts_of: As `hosts_of_patterns` returns it.

    Raises:
        UsageError: All rules that mean no host, or contradict each other.
    """
    problems = []
    names: dict[str, tuple[str, ...]] = {}
    for rule in people.rules:
        found = hosts_of[rule.hosts]
        if isinstance(found, UsageError):
            problems += [
                rule.spot.problem(f"hosts: {each.message}", each.hint) for each in found.problems
            ]
        else:
            names[rule.hosts] = found
    states = resolve(people, names, problems)
    if problems:
        raise UsageError(problems=problems)
    return Declared.of(people, states), states


def open_audits(folder: Path) -> AuditStore:
    """Return the kept audits in a state folder."""
    from fleetctl.trust.permissions import Account, find_stranger

    account = Account.from_process()
    return AuditStore(folder, find_stranger=lambda path: find_stranger(path, account))


def access_page(access: Access) -> Iterator[str]:
    """Yield the page, in pieces; see `fleetctl.report.access`."""
    from fleetctl.report.access import render_access_page

    return render_access_page(access, visible=visible)


def safe_cell(text: str) -> str:
    """Return the text as a cell; see `fleetctl.sinks.csv_sink.safe_cell`."""
    from fleetctl.sinks.csv_sink import safe_cell as safe

    return safe(text)


def audit_to_json(
    audit: HostAudit, declared: Declared | None, since: Mapping[tuple[str, str, str], int]
) -> dict[str, object]:
    """
    Return the audit of a host as JSON types, with whose keys they are, and since when.

    Args:
        since: (host, user, fingerprint) -> when the key was seen first, seconds since 1970 (UTC).
    """
    users = []
    for user in audit.users:
        keys = []
        for key in user.keys:
            first = since.get((audit.host, user.name, key.fingerprint))
            whose = owner_of(key, declared)
            more = {"person": None if whose in ("", "?") else whose, "first_seen": first}
            keys.append({**asdict(key), **more})
        users.append({**asdict(user), "keys": keys})
    return {**audit.to_json(), "users": users}


def make_printer(
    stream: TextIO,
    terminal: TextIO,
    environ: Mapping[str, str],
    *,
    color: Literal["auto", "always", "never"],
) -> Printer:
    """
    Return what writes to a stream as it would to a terminal.

    Args:
        terminal: Decides about colour and width, if it is one.
    """
    from fleetctl.sinks.color import is_color_wanted

    width = None
    if terminal.isatty():
        named = environ.get("COLUMNS", "")
        size = os.get_terminal_size(terminal.fileno()).columns
        width = int(named) if named.isdecimal() and 0 < len(named) < 6 else size or 80
    return Printer(stream, color=is_color_wanted(color, terminal, environ), width=width)


def make_sync(
    states: Mapping[str, HostState],
    run_id: str,
    *,
    never: Mapping[bytes, str],
    removal: Removal,
    on_other_options: OnOtherOptions,
    follow_links: bool,
    sftp: bool,
    non_atomic: bool,
) -> Operation:
    """
    Return the operation that brings hosts to what is declared; see `fleetctl.keys.sync`.

    Args:
        run_id: Backups are named with it.
    """
    from fleetctl.keys.guarded import Way
    from fleetctl.keys.place import Target
    from fleetctl.keys.sync import SyncKeys

    return SyncKeys(
        states,
        Way(
            run_id,
            Target(follow_links=follow_links),
            how="sftp" if sftp else "auto",
            non_atomic=non_atomic,
        ),
        never=never,
        guarding=removal.guarding(),
        on_other_options=on_other_options,
    )
