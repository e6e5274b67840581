"""
``fleetctl run``: a command on every host of a pattern.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.conditions import ConditionOptions, condition_options
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.options import (
    CommandOptions,
    LoginOptions,
    RunOptions,
    TargetOptions,
    command_options,
    login_options,
    run_options,
    target_options,
)
from fleetctl.cli.perform import perform
from fleetctl.cli.rollout import RolloutOptions, rollout_options
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import Problem, UsageError
from fleetctl.wiring import fold, make_command, make_conditions

#: Where the context keeps the words behind ``--``.
COMMAND = "fleetctl.command"
#: Where it keeps whether there is a ``--``.
HAS_DASHES = "fleetctl.dashes"

EXAMPLES = """\b
Examples:
  fleetctl run 'web*' -- uptime
  fleetctl run 'web*:&eu:!web03' -- 'df -h / | tail -1'
  fleetctl run -i 'web1,web2,' -u deploy all -- systemctl is-active nginx
  fleetctl run web -b -K -- systemctl restart nginx
  fleetctl run web --format ndjson -- cat /etc/os-release
  fleetctl run web --cwd /srv/app --env LANG=C --nice 10 -- make clean all
  fleetctl run web --stdin names.txt --timeout 5m -- sort -u
"""


class RunCommand(SectionedCommand):
    """``--`` must stand before the command, or its options would be taken for ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """
        Split off the command; click sees only what stands before ``--``.

        Raises:
            UsageError: There is no ``--``.
        """
        place = args.index("--") if "--" in args else len(args)
        before = args[:place]
        ctx.meta[COMMAND] = tuple(args[place + 1 :])
        ctx.meta[HAS_DASHES] = place < len(args)
        needs_no_command = {"--list-hosts", *ctx.help_option_names}
        is_complete = not ctx.resilient_parsing  # else somebody is still typing
        if is_complete and place == len(args) and needs_no_command.isdisjoint(before):
            raise UsageError(problems=[_without_dashes(before)])
        return super().parse_args(ctx, before)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return our options, but nothing behind ``--``: what stands there is for the hosts."""
        return [] if ctx.meta[HAS_DASHES] else super().shell_complete(ctx, incomplete)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what ``--help`` shows behind the command's name."""
        return [*super().collect_usage_pieces(ctx), "--", "COMMAND", "[ARG]..."]


def _without_dashes(words: Sequence[str]) -> Problem:
    match words:
        case [pattern, command, *rest] if not pattern.startswith("-") and command[:1] != "-":
            # The usual slip: everything is right but for the dashes.
            line = f"{shlex.quote(pattern)} -- {shlex.join([command, *rest])}"
            return Problem("the command must stand behind --", hint=f"fleetctl run {line}")
        case _:
            line = f"fleetctl run {shlex.join(words) or 'PATTERN'} -- uptime"
            return Problem("there is no command to run", hint=f"put it behind --: {line}")


@click.command(cls=RunCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@target_options
@login_options
@become_options
@run_options
@rollout_options
@command_options
@condition_options
@click.option(
    "--exit-status",
    type=click.Choice(("remote",)),
    help="remote: exit with the largest exit status of a host.",
)
@click.option("--list-hosts", is_flag=True, help="Print the hosts, folded, and contact nobody.")
@click.pass_context
def run(
    ctx: click.Context,
    pattern: str,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
    command: CommandOptions,
    *,
    conditions: ConditionOptions,
    exit_status: str | None,
    list_hosts: bool,
) -> int:
    """
    Run a command on every host of a pattern.

    The command stands behind --. One word is a command line, sent as it is written and read by the
    login shell of the host. Several words are a program and its arguments, which arrive as they
    are, whatever that shell is.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    words: tuple[str, ...] = ctx.meta[COMMAND]
    if not list_hosts and not any(word.strip() for word in words):
        example = f"fleetctl run {shlex.quote(pattern)} -- uptime"
        raise UsageError("there is no command behind --", hint=example)
    variables = parse_env(command.env)
    hosts = targets_of(pattern, targets, login)
    if list_hosts:
        click.echo(f"{fold(host.name for host in hosts)} ({len(hosts)})")
        return 0
    operation = make_command(
        words,
        stdin=read_stdin(command.stdin),
        conditions=make_conditions(
            variables, cwd=conditions.cwd, umask=conditions.umask, nice=conditions.nice
        ),
        timeout_s=command.timeout,
        max_output_bytes=command.max_output,
        pty=command.pty,
    )
    return perform(
        invocation,
        operation,
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather" if sys.stdout.isatty() else "stream",
        remote_exit_status=exit_status == "remote",
        become=become,
        rollout=rollout,
        limit=targets.limit,
        files=files_of(stdin=command.stdin),
    )


def parse_env(assignments: Sequence[str]) -> dict[str, str]:
    """
    Return the variables of ``--env``.

    Raises:
        UsageError: With all that are not NAME=VALUE.
    """
    variables: dict[str, str] = {}
    problems = []
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            problems.append(
                Problem(f'NAME=VALUE is expected, not "{text}"', "--env", hint="--env LANG=C")
            )
        variables[name] = value
    if problems:
        raise UsageError(problems=problems)
    return variables


def read_stdin(source: str | None) -> bytes:
    """
    Return what the command gets as standard input.

    Args:
        source: A file, ``-`` for our own standard input up to its end, or None for nothing.

    Raises:
        UsageError: The file cannot be read.
    """
    if source is None:
        return b""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        with open(os.path.expanduser(source), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UsageError(f"{source}: {error.strerror}", file="--stdin") from None
