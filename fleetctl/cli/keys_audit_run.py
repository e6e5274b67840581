"""
Running an operation whose results are put together before anything is shown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetctl import wiring
from fleetctl.cli.become import BecomeOptions
from fleetctl.cli.drive import Drive
from fleetctl.cli.errors import say
from fleetctl.cli.hostkeys_scan import EXIT_INTERRUPTED, Collected
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.known_secrets import watched
from fleetctl.cli.options import LoginOptions
from fleetctl.cli.perform import fit_open_files, make_run_id, render_label
from fleetctl.cli.secrets import given_secrets
from fleetctl.cli.state import seen_host_keys_file, state_directory
from fleetctl.cli.terminal import Terminal
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.result import HostResult
from fleetctl.model.run import Limits, Run


@dataclass(frozen=True, slots=True)
class Collection:
    """
    What came back.

    Attributes:
        results: In the order of the hosts.
        code: Exit code that they ask for, or that of an interruption.
    """

    results: Sequence[HostResult]
    code: int

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody ended it, so that nothing should be concluded."""
        return self.code > EXIT_INTERRUPTED


def collect(
    invocation: Invocation,
    operation: Operation,
    hosts: Sequence[Host],
    login: LoginOptions,
    become: BecomeOptions,
    *,
    forks: int,
    retries: int,
) -> Collection:
    """
    Run the operation on the hosts and return all results.

    Raises:
        UsageError: A secret cannot be had, or it was not meant so; nobody was contacted.
    """
    assignments = wiring.assign(
        operation,
        hosts,
        become=become.become,
        user=become.become_user,
        method=become.become_method,
        exe=become.become_exe,
        flags=become.become_flags,
        given=become.given(),
    )
    secrets = given_secrets(
        login,
        Terminal(),
        is_for_one_host=False,
        targets={host.name for host in hosts},
        environ=os.environ,
        warn=_warn,
        become=become,
    )
    watching = watched(invocation.known_secrets, secrets, hosts)
    collected = Collected(invocation.known_secrets)
    run = Run(
        id=make_run_id(datetime.now(UTC), os.urandom(2)),
        label=render_label(invocation.argv),
        assignments=assignments,
        limits=Limits(forks=fit_open_files(forks, hosts), retries=retries),
    )
    open_engine = invocation.open_engine or wiring.open_engine

    async def main() -> int:
        async with open_engine(
            secrets=watching,
            ask_host_key=None,
            warn=_warn,
            live_output=False,
            login_keys=state_directory(os.environ) / "login-keys",
            seen_host_keys=seen_host_keys_file(os.environ),
        ) as engine:
            return await Drive(engine, collected, fold=wiring.fold).execute(run)

    code = wiring.run_loop(main)
    order = {host.name: number for number, host in enumerate(hosts)}
    results = sorted(collected.results, key=lambda result: order[result.host.name])
    return Collection(results, code)


def _warn(message: str) -> None:
    say(f"warning: {message}")
