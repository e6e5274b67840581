"""
``fleetctl script``: a script of this machine on every host of a pattern.
"""

from __future__ import annotations

import os
import shlex
import sys

import click
from click.shell_completion import CompletionItem

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_path, complete_pattern
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
from fleetctl.cli.run import parse_env, read_stdin
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import UsageError
from fleetctl.wiring import check_script, fold, make_conditions, make_script

#: Where the context keeps the words behind ``--``.
ARGUMENTS = "fleetctl.arguments"
#: What a script from our own standard input is called.
STDIN_NAME = "stdin"

EXAMPLES = """\b
Examples:
  fleetctl script 'web*' setup.sh
  fleetctl script web setup.sh -- --force 'two words'
  fleetctl script web report.py --stdin names.txt
  fleetctl script web -b --cwd /srv/app --umask 027 deploy.sh -- v1.4
  echo 'df -h / | tail -1' | fleetctl script 'web*' -
"""


class ScriptCommand(SectionedCommand):
    """Words behind ``--`` are the script's, options and all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split off the script's arguments; click sees only what stands before ``--``."""
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[ARGUMENTS] = None if place == len(args) else tuple(args[place + 1 :])
        return super().parse_args(ctx, args[:place])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return our options, but nothing behind ``--``: what stands there is for the hosts."""
        return [] if ctx.meta[ARGUMENTS] is not None else super().shell_complete(ctx, incomplete)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what ``--help`` shows behind the command's name."""
        return [*super().collect_usage_pieces(ctx), "[-- ARG...]"]


@click.command(cls=ScriptCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@click.argument("file", shell_complete=complete_path)
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
def script(
    ctx: click.Context,
    pattern: str,
    file: str,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
    *,
    command: CommandOptions,
    conditions: ConditionOptions,
    exit_status: str | None,
    list_hosts: bool,
) -> int:
    """
    Run a script of this machine on every host of a pattern.

    FILE is read here, - is standard input. It goes to each host by the standard input of a sh, or
    of the interpreter that its #! line names, and nothing is left there. What stands behind -- are
    its arguments; they arrive as they are.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    variables = parse_env(command.env)
    code = read_script(file, stdin=command.stdin)
    check_script(code, file if file != "-" else STDIN_NAME)
    stdin = read_stdin(command.stdin)
    operation = make_script(
        os.path.basename(file) if file != "-" else STDIN_NAME,
        code,
        arguments=ctx.meta[ARGUMENTS] or (),
        stdin=stdin,
        conditions=make_conditions(
            variables, cwd=conditions.cwd, umask=conditions.umask, nice=conditions.nice
        ),
        timeout_s=command.timeout,
        max_output_bytes=command.max_output,
        pty=command.pty,
    )
    hosts = targets_of(pattern, targets, login)
    if list_hosts:
        click.echo(f"{fold(host.name for host in hosts)} ({len(hosts)})")
        return 0
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
        files=files_of(script=file, stdin=command.stdin),
    )


def read_script(file: str, *, stdin: str | None) -> bytes:
    """
    Return the text of the script.

    Args:
        file: A path, or ``-`` for our own standard input up to its end.
        stdin: What ``--stdin`` names.

    Raises:
        UsageError: The file cannot be read, or standard input would be read twice.
    """
    if file == "-":
        if stdin == "-":
            raise UsageError(
                "standard input cannot be the script and what it reads",
                file="--stdin",
                hint="give one of them as a file",
            )
        return sys.stdin.buffer.read()
    try:
        with open(os.path.expanduser(file), "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        hint = None
        if " " in file:
            hint = f"a command line is run by: fleetctl run PATTERN -- {shlex.quote(file)}"
        raise UsageError(f"there is no such file: {file}", hint=hint) from None
    except OSError as error:
        raise UsageError(f"the script cannot be read: {error.strerror}", file=file) from None
