"""
``fleetctl shell``: the login shell of every host of a pattern, fed with a script or talked to.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_path, complete_pattern
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.options import (
    LoginOptions,
    RunOptions,
    TargetOptions,
    bundle,
    login_options,
    parse_bytes,
    parse_seconds,
    run_options,
    target_options,
)
from fleetctl.cli.perform import perform
from fleetctl.cli.rollout import RolloutOptions, rollout_options
from fleetctl.cli.run import parse_env
from fleetctl.cli.script import STDIN_NAME, read_script
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES, Operation
from fleetctl.wiring import check_script, fold, make_shell
from fleetctl.wiring.expect import SecretUse

EXAMPLES = """\b
Examples:
  fleetctl shell 'web*' --script setup.txt
  printf 'uptime\\ndf -h /\\n' | fleetctl shell web --script -
  fleetctl shell web --script steps.txt --wait-prompt --timeout 5m
  fleetctl shell switches --script show.txt --prompt-regex '[\\w-]+[>#]'
  fleetctl shell web01 --expect menu.yml --record casts
"""


@dataclass(frozen=True, slots=True)
class ShellOptions:
    """What the shell is given, and how much of it is kept; see `CommandOptions`."""

    timeout: float | None
    env: tuple[str, ...]
    pty: bool
    max_output: int
    wait_prompt: bool
    prompt_regex: str | None
    record: str | None


_OPTIONS = (
    click.option("--pty", is_flag=True, help="Give the shell a terminal: it shows prompts then."),
    click.option(
        "--wait-prompt",
        is_flag=True,
        help="Type each line when the shell asks for it, with prompts of our own that are not "
        "shown; implies --pty.",
    ),
    click.option(
        "--prompt-regex",
        metavar="REGEX",
        help="The same for a shell that is no POSIX sh, bash, ksh or zsh: what its prompt looks "
        "like.",
    ),
    click.option(
        "--timeout",
        callback=parse_seconds,
        metavar="S",
        help="Time for the shell on each host.  [default: none]",
    ),
    click.option(
        "--env",
        multiple=True,
        metavar="K=V",
        help="Send a variable; a server that does not take it fails the host; no place for "
        "secrets; repeatable.",
    ),
    click.option(
        "--max-output",
        callback=parse_bytes,
        default=str(DEFAULT_MAX_OUTPUT_BYTES),
        metavar="BYTES",
        help="Keep this much of each stream and host, its head and tail.  [default: 16M]",
    ),
    click.option(
        "--record",
        metavar="FOLDER",
        shell_complete=complete_path,
        help="Write a transcript of each host there, which asciinema plays.",
    ),
)


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@click.option(
    "--script",
    metavar="FILE|-",
    shell_complete=complete_path,
    help="Lines for the shell's standard input, as you would type them.",
)
@click.option(
    "--expect",
    metavar="FILE.yml",
    shell_complete=complete_path,
    help="Talk to the shell, or to a command, as this file says.",
)
@target_options
@login_options
@become_options
@run_options
@rollout_options
@lambda command: bundle(command, "shell_options", ShellOptions, _OPTIONS, ask_files=True)
@click.option(
    "--exit-status",
    type=click.Choice(("remote",)),
    help="remote: exit with the largest exit status of a host.",
)
@click.option("--list-hosts", is_flag=True, help="Print the hosts, folded, and contact nobody.")
@click.pass_context
def shell(
    ctx: click.Context,
    pattern: str,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
    *,
    shell_options: ShellOptions,
    script: str | None,
    expect: str | None,
    exit_status: str | None,
    list_hosts: bool,
) -> int:
    """
    Feed the login shell of every host of a pattern.

    With --script it reads the lines of a file, and its exit status is that of the last command or
    of exit. With --expect it is talked to. For a script that is to run whatever the login shell is,
    see `fleetctl script`; to type yourself, `fleetctl connect`.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    _check(pattern, script, expect, shell_options)
    variables = parse_env(shell_options.env)
    uses: Sequence[SecretUse] = ()
    if expect is not None:
        operation, uses = _expecting(expect, shell_options, variables)
    else:
        operation = _typing(script or "", shell_options, variables)
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
        uses=uses,
        files=files_of(script=script, expect=expect),
    )


def _check(pattern: str, script: str | None, expect: str | None, options: ShellOptions) -> None:
    """
    Raises:
        UsageError: There is nothing to do, or twice.
    """
    if script is None and expect is None:
        raise UsageError(
            "there is nothing for the shell to do",
            hint=f"fleetctl shell {shlex.quote(pattern)} --script FILE; to type yourself: fleetctl "
            "connect",
        )
    if expect is None:
        return
    given = {
        "--script": script is not None,
        "--pty": options.pty,
        "--wait-prompt": options.wait_prompt,
        "--prompt-regex": options.prompt_regex is not None,
    }
    problems = [
        Problem("it cannot be combined with --expect, whose file says that", name)
        for name, is_given in given.items()
        if is_given
    ]
    if problems:
        raise UsageError(problems=problems)


def _expecting(
    file: str, options: ShellOptions, variables: Mapping[str, str]
) -> tuple[Operation, Sequence[SecretUse]]:
    from fleetctl.cli.expect import expect_operation

    return expect_operation(
        file,
        env=variables,
        timeout_s=options.timeout,
        max_output_bytes=options.max_output,
        record=options.record,
    )


def _typing(file: str, options: ShellOptions, variables: Mapping[str, str]) -> Operation:
    name = file if file != "-" else STDIN_NAME
    code = read_script(file, stdin=None)
    check_script(code, name)
    waits = options.wait_prompt or options.prompt_regex is not None
    return make_shell(
        code,
        name=name,
        env=variables,
        timeout_s=options.timeout,
        max_output_bytes=options.max_output,
        pty=options.pty or waits,
        waits_for_prompt=waits,
        prompt_regex=options.prompt_regex,
        record=options.record,
    )
