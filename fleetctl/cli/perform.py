"""
Performs one operation on the targets, the same way for every command that contacts hosts.

From options to a run, an engine, a screen and somebody to ask. What the operation does, and what
the engine does with it, is their own business.
"""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetctl import wiring
from fleetctl.cli.become import BecomeOptions
from fleetctl.cli.confirm import confirm
from fleetctl.cli.drive import Drive
from fleetctl.cli.errors import say
from fleetctl.cli.facts import make_facts
from fleetctl.cli.hostkey import HostKeyPrompt
from fleetctl.cli.invocation import Invocation, UnknownHostKey
from fleetctl.cli.known_secrets import watched
from fleetctl.cli.logs import set_up_logging
from fleetctl.cli.options import LoginOptions, RunOptions
from fleetctl.cli.output import choose_format
from fleetctl.cli.rollout import Plan, RolloutOptions, make_plan
from fleetctl.cli.secrets import given_secrets
from fleetctl.cli.state import seen_host_keys_file, state_directory
from fleetctl.cli.terminal import Terminal
from fleetctl.model.events import Notice
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.run import Assignment, Limits, Run

if TYPE_CHECKING:
    from fleetctl.wiring.expect import SecretUse

#: Descriptors fleetctl needs besides one per host in flight.
SPARE_FILES = 40
#: Its three streams, and what tells of its end.
_FILES_OF_A_PROGRAM = 4


def perform(
    invocation: Invocation,
    operation: Operation,
    *,
    pattern: str,
    hosts: Sequence[Host],
    login: LoginOptions,
    options: RunOptions,
    auto_format: wiring.Format,
    remote_exit_status: bool = False,
    become: BecomeOptions | None = None,
    uses: Sequence[SecretUse] = (),
    rollout: RolloutOptions | None = None,
    limit: str | None = None,
    files: Iterable[tuple[str, str]] = (),
    run_id: str | None = None,
) -> int:
    """
    Run the operation on the hosts and show the results.

    Args:
        pattern: The word of the command line that named the hosts.
        auto_format: What ``--format auto`` means for this command now.
        become: Whom to become on the hosts; None for a command that becomes nobody.
        uses: The secrets that the operation will ask for.
        rollout: In which order and steps; None for a command that changes nothing.
        limit: What narrowed the pattern down; hosts it names are named as well.
        files: (role, path) of what is run, such as a script: kept in the record with its hash.
        run_id: What the operation knows the run by already; None for a new one.

    Returns:
        The exit code.

    Raises:
        UsageError: A secret cannot be had, or it was not meant so; nobody was contacted.
    """
    plan = make_plan(rollout, hosts) if rollout is not None else Plan()
    if rollout is not None:
        confirm(hosts, [pattern] if limit is None else [pattern, limit], yes=rollout.yes)
    assignments = _assign(operation, hosts, become)
    terminal = Terminal()
    secrets = given_secrets(
        login,
        terminal,
        is_for_one_host=_is_looked_at(hosts, terminal),
        targets={host.name for host in hosts},
        environ=os.environ,
        warn=_warn,
        become=become,
        uses=uses,
    )
    watched_secrets = watched(invocation.known_secrets, secrets, hosts)
    redactor = invocation.known_secrets.redactor
    format_ = choose_format(options.format, auto_format, compare=options.compare)
    screen = wiring.Screen(
        wiring.View(
            format=format_,
            color=options.color,
            # Log records do not know of a drawing to go round.
            progress=not (options.verbose or options.no_progress),
            argv=invocation.argv,
            pattern=pattern,
            remote_exit_status=remote_exit_status,
            details=bool(options.verbose),
            compare=options.compare,
            output_dir=options.output_dir,
            diff=options.diff,
        ),
        stdout=sys.stdout,
        stderr=sys.stderr,
        environ=os.environ,
        is_asking=lambda: terminal.is_asking,
        redactor=redactor,
    )
    set_up_logging(
        options.verbose,
        debug=options.debug,
        stderr=screen.outlets.stderr,
        redact=redactor.text,
    )
    terminal.before_question = screen.erase
    run = Run(
        id=run_id or new_run_id(),
        label=options.label
        or (invocation.repeat.label if invocation.repeat else render_label(invocation.argv)),
        assignments=assignments,
        limits=Limits(
            forks=fit_open_files(options.forks, hosts),
            retries=options.retries,
            total_timeout_s=plan.total_timeout_s,
            max_down=plan.max_down,
        ),
        check=options.check,
        rollout=plan.rollout,
    )

    def warn(message: str) -> None:
        screen.handle(Notice("warning", f"warning: {message}", datetime.now(UTC)))

    open_engine = invocation.open_engine or wiring.open_engine

    recording = None
    if options.history:
        from fleetctl.cli.recording import Recording

        recording = Recording(
            run,
            make_facts(
                invocation,
                run,
                pattern=pattern,
                operation_kind=operation.kind,
                environ=os.environ,
                gate=plan.gate,
                files=files,
            ),
            redactor=redactor,
            warn=warn,
        )

    async def main() -> int:
        if recording is None:
            return await execute()
        async with recording:
            recording.exit_code = await execute()
        return recording.exit_code

    async def execute() -> int:
        async with open_engine(
            secrets=watched_secrets,
            ask_host_key=_host_key_prompt(hosts, terminal),
            warn=warn,
            live_output=screen.wants_live_output,
            login_keys=state_directory(os.environ) / "login-keys",
            seen_host_keys=seen_host_keys_file(os.environ),
            journal=recording.journal if recording is not None else None,
            in_batches=run.rollout is not None,
            gate=plan.gate,
        ) as engine:
            drive = Drive(
                engine,
                screen,
                fold=wiring.fold,
                writing=screen.outlets,
                record=recording.record if recording is not None else None,
            )
            return await drive.execute(run)

    return wiring.run_loop(main)


def _assign(
    operation: Operation, hosts: Sequence[Host], become: BecomeOptions | None
) -> list[Assignment]:
    if become is None:
        return [Assignment(host, operation) for host in hosts]
    return wiring.assign(
        operation,
        hosts,
        become=become.become,
        user=become.become_user,
        method=become.become_method,
        exe=become.become_exe,
        flags=become.become_flags,
        given=become.given(),
    )


def new_run_id() -> str:
    """Return the id of a run that begins now."""
    return make_run_id(datetime.now(UTC), os.urandom(4))


def make_run_id(now: datetime, random: bytes) -> str:
    """Return an id that sorts by time, such as ``20261121T012233-7f3a91c0``."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{random.hex()}"


def render_label(argv: Sequence[str]) -> str:
    """Return the command line as one would type it; bytes that are no UTF-8 are replaced."""
    return shlex.join(argv).encode(errors="surrogateescape").decode(errors="replace")


def fit_open_files(forks: int, hosts: Sequence[Host]) -> int:
    """
    Return how many hosts may be in flight, after raising this process's limit of open files.

    Says so if it must be fewer than asked for.
    """
    each = max((_FILES_OF_A_PROGRAM if _is_program(host) else 1 for host in hosts), default=1)
    wanted = min(forks, len(hosts)) * each + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return forks
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed >= wanted:
        return forks
    fitting = max(1, (allowed - SPARE_FILES) // each)
    say(
        f"warning: only {allowed} files may be open: {fitting} hosts at once, not {forks}",
        hint="raise the limit: ulimit -n 4096",
    )
    return fitting


def _is_program(host: Host) -> bool:
    """Tell whether a program of this machine is started to reach the host."""
    return host.connection == "local" or host.settings.proxy_command is not None


def _warn(message: str) -> None:
    say(f"warning: {message}")


def _host_key_prompt(
    hosts: Sequence[Host], terminal: Terminal
) -> Callable[[UnknownHostKey], Awaitable[bool]] | None:
    """Return whom to ask about an unknown host key: only somebody who looks at one host."""
    return HostKeyPrompt(terminal).ask if _is_looked_at(hosts, terminal) else None


def _is_looked_at(hosts: Sequence[Host], terminal: Terminal) -> bool:
    return len(hosts) == 1 and sys.stdin.isatty() and terminal.is_there
