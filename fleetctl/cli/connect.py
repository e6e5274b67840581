"""
``fleetctl connect``: the login shell of one host, for somebody at a terminal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime

import click

from fleetctl import wiring
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.errors import say
from fleetctl.cli.hostkey import HostKeyPrompt
from fleetctl.cli.invocation import Invocation, StoppableEngine
from fleetctl.cli.known_secrets import watched
from fleetctl.cli.logs import set_up_logging
from fleetctl.cli.options import LoginOptions, TargetOptions, login_options, target_options
from fleetctl.cli.perform import make_run_id, render_label
from fleetctl.cli.secrets import given_secrets
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.state import seen_host_keys_file, state_directory
from fleetctl.cli.targets import targets_of
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import UsageError
from fleetctl.model.events import HostFinished, Notice
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.result import HostResult
from fleetctl.model.run import Assignment, Run
from fleetctl.terminal.seat import Seat

#: As ssh has it: whatever is not the exit status of the shell.
EXIT_FAILED = 255
EXIT_CLOSED = 141

EXAMPLES = """\b
Examples:
  fleetctl connect web01
  fleetctl connect web01 -u admin -J bastion
  fleetctl connect -i 'root@10.0.0.5:2222,' all
  fleetctl connect web01 -o EscapeChar=none -o RequestTTY=no < setup.sh
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("host", metavar="HOST", shell_complete=complete_pattern)
@target_options
@login_options
@click.option(
    "-v", "--verbose", count=True, help="Log to stderr; -vv more, -vvv with Paramiko's log."
)
@click.option("--debug", is_flag=True, help="Show tracebacks of internal errors.")
@click.pass_context
def connect(
    ctx: click.Context,
    host: str,
    targets: TargetOptions,
    login: LoginOptions,
    verbose: int,
    debug: bool,
) -> int:
    """
    Log in to one host and use its shell.

    What you type goes to the host, Ctrl-C included. After a newline, ~. leaves, ~^Z suspends and ~?
    shows more; EscapeChar has another key for that. The exit status is the shell's, or 255 if there
    is none. Without a terminal here there is none on the host, and the shell reads what you pipe.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    known = invocation.known_secrets
    set_up_logging(verbose, debug=debug, stderr=sys.stderr, redact=known.redact)
    target = only_one(host, targets_of(host, targets, login))
    return _Session(target, invocation, login).hold()


def only_one(pattern: str, hosts: tuple[Host, ...]) -> Host:
    """
    Return the only host.

    Raises:
        UsageError: There are several.
    """
    if len(hosts) > 1:
        names = wiring.fold(host.name for host in hosts)
        raise UsageError(
            f"{pattern} means {len(hosts)} hosts, and one can be connected to: {names}",
            hint=f"fleetctl connect {hosts[0].name}",
        )
    return hosts[0]


class _Session:
    """One session with one host, and what is to be said about it when the terminal is ours."""

    def __init__(self, host: Host, invocation: Invocation, login: LoginOptions) -> None:
        self._host = host
        self._invocation = invocation
        self._terminal = Terminal()
        secrets = given_secrets(
            login,
            self._terminal,
            is_for_one_host=self._terminal.is_there,
            targets={host.name},
            environ=os.environ,
            warn=self._warn,
        )
        self._secrets = watched(invocation.known_secrets, secrets, [host])
        self._seat = Seat(term=os.environ.get("TERM"), on_held=self._hold_tongue)
        self._is_held = False
        self._unsaid: list[str] = []
        self._signal: int | None = None

    def hold(self) -> int:
        """Return the exit code."""
        result = wiring.run_loop(self._execute)
        if self._signal is not None:
            return 128 + self._signal
        return EXIT_CLOSED if self._seat.is_closed else self._judge(result)

    async def _execute(self) -> HostResult:
        open_engine = self._invocation.open_engine or wiring.open_engine
        now = datetime.now(UTC)
        operation: Operation = wiring.make_connect(self._seat)
        run = Run(
            id=make_run_id(now, os.urandom(2)),
            label=render_label(self._invocation.argv),
            assignments=[Assignment(self._host, operation)],
        )
        prompt = HostKeyPrompt(self._terminal).ask if self._terminal.is_there else None
        async with open_engine(
            secrets=self._secrets,
            ask_host_key=prompt,
            warn=self._warn,
            live_output=False,
            login_keys=state_directory(os.environ) / "login-keys",
            seen_host_keys=seen_host_keys_file(os.environ),
        ) as engine:
            with self._signals(engine):
                async with aclosing(engine.execute(run)) as events:
                    async for event in events:
                        if isinstance(event, Notice):
                            self._warn(event.message)
                        elif isinstance(event, HostFinished):
                            result = event.result
        return result

    @contextmanager
    def _signals(self, engine: StoppableEngine) -> Iterator[None]:
        """End the session on signals; on the loop, so that the terminal is put in order first."""
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            self._signal = self._signal or number
            engine.cancel()

        # Those that are ignored stay ignored (nohup).
        numbers = [
            number
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        for number in numbers:
            loop.add_signal_handler(number, end, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _judge(self, result: HostResult) -> int:
        """Say what went wrong, but not what the shell's exit status says already."""
        outcome = result.outcome
        failure = outcome.failure
        if failure is not None and failure.kind == "exec.nonzero" and outcome.result is not None:
            return outcome.result.exit_status or EXIT_FAILED
        if failure is None:
            return 0
        if failure.kind != "run.cancelled":
            hop = f"gateway {failure.hop}: " if failure.hop else ""
            say(f"{self._host.name}: {hop}{failure.message}", hint=failure.hint)
        return EXIT_FAILED

    def _warn(self, message: str) -> None:
        if self._is_held:
            self._unsaid.append(message)
        else:
            say(f"warning: {message.removeprefix('warning: ')}")

    def _hold_tongue(self, is_held: bool) -> None:
        self._is_held = is_held
        if not is_held:
            unsaid, self._unsaid = self._unsaid, []
            for message in unsaid:
                self._warn(message)
