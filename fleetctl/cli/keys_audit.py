"""
``fleetctl keys audit``: who may log in where, and what is wrong with that.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.errors import say
from fleetctl.cli.inventory_output import write_output
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_audit_options import AuditOptions, audit_options
from fleetctl.cli.keys_people import Wishes, find_people, read_wishes
from fleetctl.cli.options import (
    LoginOptions,
    TargetOptions,
    login_options,
    target_options,
)
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.state import state_directory
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import Problem, UsageError

if TYPE_CHECKING:
    from fleetctl.model.result import HostResult
    from fleetctl.wiring.access import Change, HostAudit, KeptHost, KeyFinding

EXIT_DRIFT = 1
#: Shortest beginning of a fingerprint that is taken for it.
_SHORTEST = len("SHA256:") + 8

EXAMPLES = """\b
Examples:
  fleetctl keys audit all -b
  fleetctl keys audit all -b --people people.yml --strict
  fleetctl keys audit all --who alice
  fleetctl keys audit all --last --key SHA256:47DEQpj8HBSa
  fleetctl keys audit all -b --format html --output access.html
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@audit_options
@target_options
@login_options
@become_options
@click.pass_obj
def audit(
    invocation: Invocation,
    pattern: str,
    options: AuditOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
) -> int:
    """
    Show every key that may log in to every user of the hosts, and what is wrong with that.

    As root, by -b or by logging in so, everybody's keys are seen; else only those of the user who
    logs in. Nothing is changed on the hosts. What is found is compared with people.yml, and with
    the last audit.
    """
    _check(options)
    found = targets_of(pattern, targets, login)
    wishes = _wishes(options, targets)
    if options.hosts is not None:
        from fleetctl.cli.history_show import names_of

        named = names_of(options.hosts)
        missing = named - {host.name for host in found}
        if missing:
            raise UsageError(f"{', '.join(sorted(missing))}: not of {pattern}", file="--host")
        found = tuple(host for host in found if host.name in named)
    from fleetctl.wiring.access import AuditKeys, open_audits, read_audit

    store = open_audits(state_directory(os.environ) / "key-audits")
    now = int(time.time())
    names = [host.name for host in found]
    before = store.last(names)
    failed: list[HostResult] = []
    code = 0
    if options.last:
        never = [name for name in names if name not in before]
        if never:
            from fleetctl.wiring import fold

            say(f"{fold(never)} ({len(never)}) was never audited", hint="leave --last out")
        audits = [before[name].audit for name in names if name in before]
        now = max((kept.at for kept in before.values()), default=now)
    else:
        from fleetctl.cli.keys_audit_run import collect

        operation = AuditKeys(users=options.for_user, with_logins=options.last_use)
        collection = collect(
            invocation, operation, found, login, become,
            forks=options.forks, retries=options.retries,
        )  # fmt: skip
        code = collection.code
        if collection.is_interrupted:
            return code
        failed = [one for one in collection.results if one.outcome.failure is not None]
        audits = [
            read_audit(one.outcome.data)
            for one in collection.results
            if one.outcome.failure is None
        ]
        if options.keep and not options.for_user and audits:
            store.save(audits, before, now)
    return max(code, _tell(invocation, options, audits, failed, wishes, before, now))


def _check(options: AuditOptions) -> None:
    """
    Refuse what makes no sense.

    Raises:
        UsageError: With everything of that kind.
    """
    problems = []
    for key in options.keys:
        if not key.startswith("SHA256:") or len(key) < _SHORTEST:
            hint = "write at least the first letters: --key SHA256:47DEQpj8"
            problems.append(Problem(f'"{key}" is no fingerprint', "--key", hint=hint))
    if options.form == "html" and options.output is None and sys.stdout.isatty():
        problems.append(Problem("a page is not for a terminal", hint="--output access.html"))
    if options.last and options.last_use:
        problems.append(Problem("nobody is contacted with --last", "--last-use"))
    if problems:
        raise UsageError(problems=problems)


def _wishes(options: AuditOptions, targets: TargetOptions) -> Wishes | None:
    path = find_people(options.people)
    if path is None:
        if options.who:
            raise UsageError(
                "nobody says whose keys are whose", file="--who", hint="--people people.yml"
            )
        return None
    wishes = read_wishes(path, targets)
    unknown = [name for name in options.who if name not in wishes.people.people]
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: nobody of that name is in {path}", file="--who")
    return wishes


def _tell(
    invocation: Invocation,
    options: AuditOptions,
    audits: Sequence[HostAudit],
    failed: Sequence[HostResult],
    wishes: Wishes | None,
    before: Mapping[str, KeptHost],
    now: int,
) -> int:
    """Show everything; return the exit code that it asks for."""
    from fleetctl.wiring.access import changes, find_all, make_access

    declared = wishes.declared if wishes is not None else None
    findings = find_all(audits, declared)
    changed = [] if options.last or options.for_user else changes(audits, before)
    is_wanted = _filter(options, wishes)
    shown = [_only(audit, is_wanted) for audit in audits] if options.question else list(audits)
    if options.who or options.keys:
        shown = [audit for audit in shown if audit.users]
        findings = [one for one in findings if one.fingerprint and is_wanted(one.fingerprint)]
        changed = [one for one in changed if is_wanted(one.fingerprint)]
    if options.for_user:
        findings = [one for one in findings if one.user in options.for_user]
    since = _since(shown, before, now)
    access = make_access(
        shown,
        at=now,
        declared=declared,
        findings=findings,
        changed=changed,
        failed=failed,
        since=since if options.who or options.keys else None,
        question=options.question,
    )
    redact = invocation.known_secrets.redact
    match options.form:
        case "text":
            _write_text(access, options, redact)
        case "json":
            text = json.dumps(_document(shown, findings, changed, failed, wishes, since, now))
            write_output(redact(text) + "\n", options.output, is_private=True)
        case "csv":
            from fleetctl.cli.keys_audit_text import csv_lines

            times = {place: _render_time(at) for place, at in since.items()}
            text = "".join(csv_lines(shown, declared, findings, times))
            write_output(redact(text), options.output, is_private=True)
        case "html":
            from fleetctl.wiring.access import access_page

            write_output(redact("".join(access_page(access))), options.output, is_private=True)
    return _drift(findings, changed) if options.strict else 0


def _drift(findings: Sequence[KeyFinding], changed: Sequence[Change]) -> int:
    """Say what --strict fails of, if anything; return the exit code."""
    counts = Counter(one.severity for one in findings if one.severity != "note")
    parts = [f"{counts['bad']} bad"] if counts["bad"] else []
    if count := counts["warning"]:
        parts.append(f"{count} warning{'s' * (count > 1)}")
    if changed:
        parts.append(f"{len(changed)} changed since the last audit")
    if not parts:
        return 0
    say(f"keys.drift: {', '.join(parts)}")
    return EXIT_DRIFT


def _filter(options: AuditOptions, wishes: Wishes | None) -> Callable[[str], bool]:
    """Return what says of a fingerprint whether it was asked for."""
    owners = wishes.declared.owners if wishes is not None else {}

    def is_wanted(fingerprint: str) -> bool:
        person = owners.get(fingerprint)
        if options.who and (person is None or person.name not in options.who):
            return False
        return not options.keys or fingerprint.startswith(options.keys)

    return is_wanted


def _only(audit: HostAudit, is_wanted: Callable[[str], bool]) -> HostAudit:
    """Return the audit with the keys that were asked for, and the users who have one."""
    users = []
    for user in audit.users:
        keys = tuple(key for key in user.keys if is_wanted(key.fingerprint))
        if keys:
            paths = {key.path for key in keys}
            files = tuple(file for file in user.files if file.path in paths)
            users.append(replace(user, keys=keys, files=files))
    return replace(audit, users=tuple(users))


def _since(
    audits: Sequence[HostAudit], before: Mapping[str, KeptHost], now: int
) -> dict[tuple[str, str, str], int]:
    """Return when each key was seen first: (host, user, fingerprint) -> seconds since 1970."""
    since = {}
    for audit in audits:
        kept = before.get(audit.host)
        known = kept.since if kept is not None else {}
        for user in audit.users:
            for key in user.keys:
                place = user.name, key.fingerprint
                if key.is_open:
                    since[(audit.host, *place)] = known.get(place, now)
    return since


def _write_text(access: Any, options: AuditOptions, redact: Callable[[str], str]) -> None:
    import io

    from fleetctl.cli.keys_audit_text import show_access, summary_line
    from fleetctl.wiring.access import make_printer

    text = io.StringIO()
    printer = make_printer(text, sys.stdout, os.environ, color=options.color)
    show_access(access, printer, with_notes=options.notes)
    if options.output is not None:
        write_output(redact(text.getvalue()), options.output, is_private=True)
    else:
        click.echo(redact(text.getvalue()), nl=False, color=True)
    say(summary_line(access))


def _document(
    audits: Sequence[HostAudit],
    findings: Sequence[KeyFinding],
    changed: Sequence[Change],
    failed: Sequence[HostResult],
    wishes: Wishes | None,
    since: Mapping[tuple[str, str, str], int],
    now: int,
) -> dict[str, object]:
    """Return all of it as JSON types."""
    from fleetctl.cli.hostkeys_show import render_failure
    from fleetctl.wiring.access import audit_to_json

    return {
        "version": 1,
        "at": _render_time(now),
        "people": wishes.people.file if wishes is not None else None,
        "hosts": [
            audit_to_json(audit, wishes.declared if wishes is not None else None, since)
            for audit in audits
        ],
        "findings": [one.to_json() for one in findings],
        "changes": [
            {field.name: getattr(one, field.name) for field in fields(one)} for one in changed
        ],
        "failures": [
            {"host": one.host.name, "failure": render_failure(one.outcome.failure)}
            for one in failed
            if one.outcome.failure is not None
        ],
    }


def _render_time(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
