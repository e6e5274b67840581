"""
Running a scan of host keys: from options to what every host showed, or why it did not.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from fleetctl import wiring
from fleetctl.cli.drive import Drive
from fleetctl.cli.errors import say
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.known_secrets import KnownSecrets, watched, without_secrets
from fleetctl.cli.options import EFFORT, LoginOptions, TargetOptions, form_option
from fleetctl.cli.perform import fit_open_files, make_run_id, render_label
from fleetctl.cli.secrets import given_secrets
from fleetctl.cli.state import seen_host_keys_file
from fleetctl.cli.targets import targets_of
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import UsageError
from fleetctl.model.events import Event, HostFinished, Notice
from fleetctl.model.failure import exit_code_of
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.wiring.hostkeys import ScanHostKeys, open_scanner

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_INTERRUPTED = 128


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How hard to push, and how to show what comes back."""

    forks: int
    retries: int
    form: str


_SCAN = (
    *EFFORT,
    form_option,
)


def scan_options(command: Command) -> Command:
    """Add the options of a scan; the command gets them as ``scanning``."""

    @functools.wraps(command)
    def with_value(*, forks: int, retries: int, form: str, **values: Any) -> Any:
        return command(scanning=ScanOptions(forks, retries, form), **values)

    for option in reversed(_SCAN):
        with_value = option(with_value)
    return with_value  # type: ignore[return-value]  # click passes options by keyword


@dataclass(slots=True)
class Collected:
    """The `Screen` of a scan: keeps results, says what cannot wait on stderr."""

    known: KnownSecrets = field(default_factory=KnownSecrets)
    results: list[HostResult] = field(default_factory=list)
    is_closed: bool = False

    def handle(self, event: Event) -> None:
        """Keep a result; say a notice."""
        match event:
            case HostFinished():
                self.results.append(self._clean(event.result))
            case Notice():
                who = f"{event.host.name}: " if event.host else ""
                say(f"{who}{event.message}", hint=event.hint)

    def _clean(self, result: HostResult) -> HostResult:
        outcome = result.outcome
        if outcome.failure is None:
            return result
        failure = without_secrets(outcome.failure, self.known)
        return replace(result, outcome=replace(outcome, failure=failure))

    def tick(self) -> None:
        """Nothing moves."""

    def close(self) -> None:
        """Nothing is held back."""

    def exit_code(self) -> int:
        """Return what the results ask for."""
        failures = (result.outcome.failure for result in self.results)
        return max((exit_code_of(f.kind) for f in failures if f is not None), default=0)


def remote_targets(pattern: str, targets: TargetOptions, login: LoginOptions) -> tuple[Host, ...]:
    """
    Return the hosts that have a host key.

    Raises:
        UsageError: As `targets_of`; or a host is this machine itself.
    """
    hosts = targets_of(pattern, targets, login)
    local = [host.name for host in hosts if host.connection == "local"]
    if local:
        raise UsageError(
            f"{wiring.fold(local)}: commands run on this machine itself, which shows no host key",
            hint=f"leave it out: -x {local[0]}",
        )
    return hosts


def scan(
    invocation: Invocation,
    hosts: Sequence[Host],
    login: LoginOptions,
    options: ScanOptions,
    *,
    every_key: bool,
    then: Callable[[Sequence[HostResult], Terminal], Awaitable[int]],
) -> int:
    """
    Look at the keys of the hosts, and go on with what they showed.

    Args:
        every_key: All keys of a host, not only the one a login would see.
        then: Gets the results in the order of the hosts, on the loop; not called after an
            interruption, when nothing should be decided.

    Returns:
        The exit code: of ``then`` and of hosts that showed nothing, the higher one.

    Raises:
        UsageError: A secret for a gateway cannot be had; nobody was contacted.
    """
    terminal = Terminal()
    secrets = given_secrets(
        login,
        terminal,
        is_for_one_host=False,
        targets={host.name for host in hosts},
        environ=os.environ,
        warn=_warn,
    )
    known = invocation.known_secrets
    watching = watched(known, secrets, hosts)
    collected = Collected(known)
    run = Run(
        id=make_run_id(datetime.now(UTC), os.urandom(2)),
        label=render_label(invocation.argv),
        assignments=[Assignment(host, ScanHostKeys()) for host in hosts],
        limits=Limits(forks=fit_open_files(options.forks, hosts), retries=options.retries),
    )

    async def main() -> int:
        async with open_scanner(
            secrets=watching,
            warn=_warn,
            every_key=every_key,
            seen_host_keys=seen_host_keys_file(os.environ),
        ) as engine:
            code = await Drive(engine, collected, fold=wiring.fold).execute(run)
        if code > EXIT_INTERRUPTED:
            return code
        order = {host.name: number for number, host in enumerate(hosts)}
        results = sorted(collected.results, key=lambda result: order[result.host.name])
        return max(code, await then(results, terminal))

    return wiring.run_loop(main)


def show_failures(results: Sequence[HostResult]) -> None:
    """Say on stderr which hosts showed nothing, and why; a shared hint once."""
    hints: set[str] = set()
    for result in results:
        failure = result.outcome.failure
        if failure is not None:
            hint = failure.hint if failure.hint not in hints else None
            hints.add(failure.hint or "")
            say(f"{result.host.name}: {failure.kind}: {failure.message}", hint=hint)


def person_is_there(terminal: Terminal) -> bool:
    """Can somebody be asked?"""
    return sys.stdin.isatty() and terminal.is_there


def _warn(message: str) -> None:
    say(f"warning: {message}")
