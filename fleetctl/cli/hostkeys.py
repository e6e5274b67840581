"""
``fleetctl hostkeys``: the host keys of a fleet, from the first look to the last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from fleetctl.cli.complete import complete_path, complete_pattern
from fleetctl.cli.errors import say
from fleetctl.cli.hostkeys_enrol import Enrolment, Vouching
from fleetctl.cli.hostkeys_scan import (
    ScanOptions,
    person_is_there,
    remote_targets,
    scan_options,
    show_failures,
)
from fleetctl.cli.hostkeys_scan import scan as scan_hosts
from fleetctl.cli.hostkeys_show import (
    Line,
    brief,
    fingerprint_line,
    key_line,
    show_json,
    show_lines,
)
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.options import LoginOptions, TargetOptions, login_options, target_options
from fleetctl.cli.state import seen_host_keys_file
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.failure import Failure, exit_code_of
from fleetctl.model.result import HostResult
from fleetctl.wiring import fold
from fleetctl.wiring.hostkeys import (
    Evidence,
    ScannedHost,
    check_failure,
    forget_hosts,
    known_hosts_file_of,
    name_of,
    parse_evidence,
    parse_fingerprint,
    read_scan,
    remove_keys,
    shared_keys,
)

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_FAILED = 1
EXIT_NO_HOST = 3

EXAMPLES = """\b
Examples:
  fleetctl hostkeys scan 'web*' --fingerprints   # look; trusts nothing
  fleetctl hostkeys check all                    # would a run trust them?
  fleetctl hostkeys enroll new1 --from console.txt
  fleetctl hostkeys replace web7                 # it was rebuilt
  fleetctl hostkeys remove web9
"""

SCAN_EXAMPLES = """\b
Examples:
  fleetctl hostkeys scan 'web*'
  fleetctl hostkeys scan web1 --fingerprints --art
"""
CHECK_EXAMPLES = """\b
Examples:
  fleetctl hostkeys check all
  fleetctl hostkeys check 'web*' --format json
"""
ENROLL_EXAMPLES = """\b
Examples:
  fleetctl hostkeys enroll new1                       # compare, and type yes
  fleetctl hostkeys enroll 'new*' --from console.txt
  fleetctl hostkeys enroll new1 --fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
"""
REPLACE_EXAMPLES = """\b
Examples:
  fleetctl hostkeys replace web7                      # compare, and type yes
  fleetctl hostkeys replace 'web*' --from console.txt --check
"""
REMOVE_EXAMPLES = """\b
Examples:
  fleetctl hostkeys remove web9
  fleetctl hostkeys remove 'old*' --check
"""


@click.group(epilog=EXAMPLES)
def hostkeys() -> None:
    """
    The host keys of a fleet: look, enroll, check, replace, remove.

    Nobody is logged in to. Keys are read from and written to the known_hosts files of each host's
    settings, the same that ssh uses.
    """


def _check_option(command: Command) -> Command:
    return click.option(
        "-C", "--check", is_flag=True, help="Say what would be written; write nothing."
    )(command)


def _vouching_options(command: Command) -> Command:
    for option in (
        click.option(
            "--yes", is_flag=True, help="Take the keys as they are: whoever answers is trusted."
        ),
        click.option(
            "--fingerprint",
            "fingerprints",
            multiple=True,
            metavar="FINGERPRINT",
            help="Take a key with this fingerprint, SHA256 or MD5; repeatable.",
        ),
        click.option(
            "--from",
            "sources",
            multiple=True,
            metavar="FILE",
            shell_complete=complete_path,
            help="Take keys that a file vouches for: lines of ssh-keyscan, or fingerprints with or "
            "without a host name in front; repeatable.",
        ),
    ):
        command = option(command)
    return command


@hostkeys.command("scan", epilog=SCAN_EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@click.option("--fingerprints", is_flag=True, help="Show fingerprints, as ssh-keygen -l does.")
@click.option("--md5", is_flag=True, help="Show MD5 fingerprints, for lists made long ago.")
@click.option("--art", is_flag=True, help="Show a picture of each key, as ssh-keygen -l -v does.")
@target_options
@login_options
@scan_options
@click.pass_obj
def scan_command(
    invocation: Invocation,
    pattern: str,
    fingerprints: bool,
    md5: bool,
    art: bool,
    targets: TargetOptions,
    login: LoginOptions,
    scanning: ScanOptions,
) -> int:
    """
    Show the keys that hosts show, one line each, as ssh-keyscan does.

    Nothing is trusted and nothing is written: whoever answers at an address may be anybody.
    """

    async def show(results: Sequence[HostResult], _: Terminal) -> int:
        if scanning.form == "json":
            show_json(results, {})
        else:
            for scanned in _scanned(results):
                for key in scanned.keys:
                    if fingerprints or md5 or art:
                        click.echo(fingerprint_line(scanned, key, md5=md5))
                    else:
                        click.echo(key_line(scanned, key))
                    for row in key.randomart if art else ():
                        click.echo(row)
        show_failures(results)
        return 0

    hosts = remote_targets(pattern, targets, login)
    return scan_hosts(invocation, hosts, login, scanning, every_key=True, then=show)


@hostkeys.command("check", epilog=CHECK_EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@target_options
@login_options
@scan_options
@click.pass_obj
def check_command(
    invocation: Invocation,
    pattern: str,
    targets: TargetOptions,
    login: LoginOptions,
    scanning: ScanOptions,
) -> int:
    """
    Say of each host whether a run would trust it, and by which line.

    Also names hosts that show the same key, which may be one machine under two names, or copies of
    one image.
    """

    async def show(results: Sequence[HostResult], _: Terminal) -> int:
        failures = {found.host: check_failure(found) for found in _scanned(results)}
        if scanning.form == "json":
            show_json(results, failures)
        else:
            lines = []
            for found in _scanned(results):
                key = found.keys[0]
                reasons = ", ".join(key.where) or found.message
                note = f" ({key.note})" if key.note else ""
                if found.verdict == "trusted":
                    lines.append(Line(found.host, "trusted", f"{brief([key])} | {reasons}{note}"))
                else:
                    lines.append(Line(found.host, found.verdict, found.message))
            show_lines(lines)
        show_failures(results)
        _say_failures(failures)
        for sha256, names in shared_keys(_scanned(results)):
            say(f"{fold(names)} ({len(names)}) show the same key, {sha256}")
        return _code(failures.values())

    hosts = remote_targets(pattern, targets, login)
    return scan_hosts(invocation, hosts, login, scanning, every_key=False, then=show)


@hostkeys.command("enroll", epilog=ENROLL_EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@_vouching_options
@_check_option
@target_options
@login_options
@scan_options
@click.pass_obj
def enroll_command(invocation: Invocation, /, pattern: str, **options: Any) -> int:
    """
    Write down the keys of hosts that are not known yet.

    Each key needs somebody to vouch for it: a file or a fingerprint from a trusted place, your own
    yes on the terminal, or --yes for all of them. A host that is known with another key, or whose
    key is revoked, is refused.
    """
    return _enrol(invocation, pattern, replacing=False, **options)


@hostkeys.command("replace", epilog=REPLACE_EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@_vouching_options
@_check_option
@target_options
@login_options
@scan_options
@click.pass_obj
def replace_command(invocation: Invocation, /, pattern: str, **options: Any) -> int:
    """
    Let hosts that were rebuilt have the keys they show now, and no others.

    Vouched for as with enroll. The new key takes the place of the old line and keeps its comment;
    the old file stays beside as FILE.old. Revoked keys are refused.
    """
    return _enrol(invocation, pattern, replacing=True, **options)


def _enrol(
    invocation: Invocation,
    pattern: str,
    *,
    replacing: bool,
    yes: bool,
    fingerprints: tuple[str, ...],
    sources: tuple[str, ...],
    check: bool,
    targets: TargetOptions,
    login: LoginOptions,
    scanning: ScanOptions,
) -> int:
    evidence = _read_evidence(fingerprints, sources)
    may_ask = not (evidence or yes) and scanning.form == "text" and person_is_there(Terminal())
    if not (evidence or yes or may_ask):
        raise UsageError(
            "nobody is there to compare fingerprints",
            hint="give --from FILE or --fingerprint, or --yes to trust whoever answers",
        )
    hosts = remote_targets(pattern, targets, login)
    nowhere = [host.name for host in hosts if known_hosts_file_of(host) is None]
    if nowhere:
        raise UsageError(
            f"{fold(nowhere)}: UserKnownHostsFile none: there is no file to write to",
            hint="-o UserKnownHostsFile=FILE",
        )
    vouching = Vouching(evidence, accept_all=yes)

    async def enrol(results: Sequence[HostResult], terminal: Terminal) -> int:
        enrolment = Enrolment(
            {host.name: host for host in hosts},
            vouching,
            replacing=replacing,
            dry_run=check,
            seen_host_keys=seen_host_keys_file(os.environ),
        )
        lines = await enrolment.run(_scanned(results), terminal)
        if scanning.form == "json":
            show_json(results, enrolment.failures)
        else:
            show_lines(lines)
        show_failures(results)
        _say_failures(enrolment.failures)
        return _code(enrolment.failures.values())

    return scan_hosts(invocation, hosts, login, scanning, every_key=True, then=enrol)


@hostkeys.command("remove", epilog=REMOVE_EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@_check_option
@target_options
@login_options
def remove_command(pattern: str, check: bool, targets: TargetOptions, login: LoginOptions) -> int:
    """
    Forget hosts: take their lines out of the user's known_hosts files. Contacts nobody.

    As ssh-keygen -R does, hashed lines too; revocations, authorities and patterns that speak for
    several hosts stay. The old file stays beside as FILE.old.
    """
    lines, code = [], 0
    hosts = remote_targets(pattern, targets, login)
    for host in hosts:
        try:
            removed = remove_keys(host, dry_run=check)
        except OSError as error:
            lines.append(Line(host.name, "failed", f"{error.filename or ''}: {error.strerror}"))
            code = EXIT_FAILED
            continue
        word = "would be removed" if check else "removed"
        if removed.lines:
            lines.append(Line(host.name, word, ", ".join(removed.lines)))
        else:
            lines.append(Line(host.name, "not found", name_of(host)))
        for where in removed.kept:
            say(f"{where} was left: it speaks for other hosts than {host.name}, too")
    if not check:
        with contextlib.suppress(OSError):
            forget_hosts(seen_host_keys_file(os.environ), hosts)
    show_lines(lines)
    return code


def _scanned(results: Sequence[HostResult]) -> list[ScannedHost]:
    return [read_scan(result) for result in results if result.outcome.failure is None]


def _code(failures: Iterable[Failure | None]) -> int:
    return max((exit_code_of(failure.kind) for failure in failures if failure), default=0)


def _say_failures(failures: Mapping[str, Failure | None]) -> None:
    """Say how many hosts failed of what, and what to do about it."""
    by_kind: dict[tuple[str, str | None], list[str]] = {}
    for host, failure in failures.items():
        if failure is not None:
            by_kind.setdefault((failure.kind, failure.hint), []).append(host)
    for (kind, hint), names in by_kind.items():
        say(f"{fold(names)} ({len(names)}): {kind}", hint=hint)


def _read_evidence(fingerprints: Sequence[str], sources: Sequence[str]) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    problems: list[Problem] = []
    for text in fingerprints:
        token = parse_fingerprint(text)
        if token is None:
            hint = "write it as ssh-keygen -l prints it: SHA256: and 43 letters, or MD5:"
            problems.append(Problem(f'"{text}" is no fingerprint', "--fingerprint", hint=hint))
        else:
            found.append(Evidence(token, where="--fingerprint"))
    for source in sources:
        try:
            text = Path(source).expanduser().read_text(encoding="utf-8", errors="replace")
            found += parse_evidence(text, file=source)
        except OSError as error:
            problems.append(Problem(f"it cannot be read: {error.strerror}", source))
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems=problems)
    return tuple(found)
