"""
The options several commands share: same letter, same meaning, checked before anybody is contacted.

A decorator adds a family of options to a command and hands them over as one value. What the values
do is decided in the commands and in `fleetctl.wiring`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import click
from click.core import ParameterSource

from fleetctl.cli.complete import (
    complete_inventory,
    complete_limit,
    complete_path,
    complete_pattern,
    complete_setting,
)
from fleetctl.cli.defaults import defaults
from fleetctl.cli.output import OUTPUT, FormatChoice
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES
from fleetctl.model.run import DEFAULT_FORKS
from fleetctl.model.setting_values import parse_size_bytes, parse_time_s

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Which hosts. The fields are the values of the options of the same name."""

    inventory: tuple[str, ...]
    limit: str | None = None
    exclude: str | None = None
    vault_password_file: str | None = None
    vault_id: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """How to reach them and log in."""

    user: str | None
    ask_pass: bool
    password_file: str | None
    identity: tuple[str, ...]
    identity_passphrase_file: str | None
    prompt: tuple[str, ...]
    option: tuple[str, ...]
    connect_timeout: str | None
    ssh_config: str | None = None
    jump: str | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How hard to push, and how to show what comes back."""

    forks: int
    retries: int
    format: FormatChoice
    color: Literal["auto", "always", "never"]
    label: str | None
    verbose: int
    debug: bool
    compare: bool = False
    output_dir: str | None = None
    no_progress: bool = False
    history: bool = True
    check: bool = False
    diff: bool = False


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """
    What a command is given, and how much of it is kept.

    Attributes:
        timeout: Seconds, or None for no limit.
        max_output: Bytes per stream and host.
    """

    timeout: float | None
    stdin: str | None
    env: tuple[str, ...]
    pty: bool
    max_output: int


def at_most_once(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str | None:
    """
    Return the value of an option that must not be repeated, or None.

    Raises:
        click.BadParameter: It was given twice; click alone would take the last one silently.
    """
    if len(values) > 1:
        raise click.BadParameter(f"may be given once, not as {' and '.join(values)}", ctx, param)
    return values[0] if values else None


def parse_seconds(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """
    Parse ``90``, ``0.5`` or ``1m30s`` for an option.

    Raises:
        click.BadParameter: It is not a time, or not above 0.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parse_time_s(text)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    if not 0 < seconds < float("inf"):
        raise click.BadParameter(f'a time above 0 is expected, not "{text}"', ctx, param)
    return seconds


def parse_bytes(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """
    Parse ``4096``, ``64K`` or ``16M`` for an option.

    Raises:
        click.BadParameter: It is not a size, or 0.
    """
    if text is None:
        return None
    try:
        size = parse_size_bytes(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if size == 0:
        raise click.BadParameter("a size above 0 is expected", ctx, param)
    return size


#: Which inventory, for commands that need no other option about hosts.
inventory_option = click.option(
    "-i",
    "--inventory",
    multiple=True,
    metavar='PATH|"h1,h2,"',
    shell_complete=complete_inventory,
    help="Inventory file, or a list of hosts with a trailing comma; repeatable. "
    "Default: FLEETCTL_INVENTORY, the settings file, the lab that runs.",
)

#: How to show what is not the result of a run.
form_option = click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="For people, or one JSON object.",
)

_TARGETS = (
    inventory_option,
    click.option(
        "-l",
        "--limit",
        multiple=True,
        callback=at_most_once,
        metavar="PATTERN|@FILE",
        shell_complete=complete_limit,
        help="Only those hosts of PATTERN that are also in this one, or in the lines of a file.",
    ),
    click.option(
        "-x",
        "--exclude",
        multiple=True,
        callback=at_most_once,
        metavar="PATTERN",
        shell_complete=complete_pattern,
        help="Leave these hosts out.",
    ),
    click.option(
        "--vault-password-file",
        metavar="FILE",
        shell_complete=complete_path,
        help="Read the password of vaulted values from a file's first line; prompt asks for it.",
    ),
    click.option(
        "--vault-id",
        multiple=True,
        metavar="LABEL@FILE|prompt",
        help="The same for values vaulted under a label; prompt asks; may be given several times.",
    ),
)

_LOGIN = (
    click.option("-u", "--user", metavar="NAME", help="Name to log in as."),
    click.option(
        "-k", "--ask-pass", is_flag=True, help="Ask for the login password, once for all hosts."
    ),
    click.option(
        "--password-file",
        metavar="FILE|SOURCE",
        shell_complete=complete_path,
        help="Read the login password from the first line of a file, or from env:NAME or "
        "cmd:COMMAND.",
    ),
    click.option(
        "--identity",
        multiple=True,
        metavar="FILE",
        shell_complete=complete_path,
        help="Private key to log in with; repeatable.",
    ),
    click.option(
        "--identity-passphrase-file",
        metavar="FILE|SOURCE",
        shell_complete=complete_path,
        help="Read the passphrase of the private keys from the first line of a file, or from "
        "env:NAME or cmd:COMMAND.",
    ),
    click.option(
        "--prompt",
        multiple=True,
        metavar="TEXT=SOURCE",
        help="Answer hosts that ask TEXT when logging in; SOURCE is prompt, file:PATH, env:NAME or "
        "cmd:COMMAND; repeatable.",
    ),
    click.option(
        "-o",
        "option",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=complete_setting,
        help="Any honoured ssh_config option, such as -o Port=2222; repeatable.",
    ),
    click.option(
        "-F",
        "ssh_config",
        metavar="FILE",
        shell_complete=complete_path,
        help="Read this ssh_config in place of ~/.ssh/config and the system's; none: read none.",
    ),
    click.option(
        "-J",
        "jump",
        metavar="[USER@]HOST[:PORT],…",
        help="Go through these hosts, in this order; the same as -o ProxyJump=…",
    ),
    click.option(
        "-T",
        "--connect-timeout",
        metavar="S",
        help="Time for a host from the start to logged in.  [default: 10]",
    ),
)

#: How hard to push.
EFFORT = (
    click.option(
        "-f",
        "--forks",
        type=click.IntRange(min=1),
        default=DEFAULT_FORKS,
        show_default=True,
        metavar="N",
        help="Most hosts at once.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Try a host again while nothing has run on it.",
    ),
)

_RUN = (
    *EFFORT,
    *OUTPUT,
    click.option(
        "-C", "--check", is_flag=True, help="Change nothing: say what would be different."
    ),
    click.option(
        "-D", "--diff", is_flag=True, help="Show what is, or would be, different in files."
    ),
    click.option("--label", metavar="TEXT", help="What to call the run in its results."),
    click.option(
        "--no-history", "history", flag_value=False, default=True, help="Do not record the run."
    ),
    click.option(
        "-v", "--verbose", count=True, help="Log to stderr; -vv more, -vvv with Paramiko's log."
    ),
    click.option("--debug", is_flag=True, help="Show tracebacks of internal errors."),
)


_COMMAND = (
    click.option(
        "--timeout",
        callback=parse_seconds,
        metavar="S",
        help="Time for the command on each host.  [default: none]",
    ),
    click.option(
        "--stdin",
        metavar="FILE|-",
        shell_complete=complete_path,
        help="Give this to the command's standard input; without it, it is empty.",
    ),
    click.option(
        "--env",
        multiple=True,
        metavar="K=V",
        help="Set a variable for the command, whatever the server's AcceptEnv says; no place for "
        "secrets; repeatable.",
    ),
    click.option("--pty", is_flag=True, help="Give the command a terminal; merges its streams."),
    click.option(
        "--max-output",
        callback=parse_bytes,
        default=str(DEFAULT_MAX_OUTPUT_BYTES),
        metavar="BYTES",
        help="Keep this much of each stream and host, its head and tail.  [default: 16M]",
    ),
)


def target_options(command: Command) -> Command:
    """Add the options that choose hosts; the command gets them as ``targets``."""
    return bundle(command, "targets", TargetOptions, _TARGETS)


def login_options(command: Command) -> Command:
    """Add the options for reaching hosts; the command gets them as ``login``."""
    return bundle(command, "login", LoginOptions, _LOGIN)


def run_options(command: Command) -> Command:
    """Add the options of everything that runs on hosts; the command gets them as ``options``."""
    return bundle(command, "options", RunOptions, _RUN, ask_files=True)


def command_options(command: Command) -> Command:
    """Add the options of what runs a command; the command gets them as ``command``."""
    return bundle(command, "command", CommandOptions, _COMMAND, ask_files=True)


def bundle(
    command: Command,
    name: str,
    kind: Callable[..., object],
    options: Sequence[Callable[[Any], Any]],
    *,
    ask_files: bool = False,
) -> Command:
    """
    Add a family of options to a command, which gets them as one value.

    Args:
        name: Of the parameter that takes the value.
        kind: A dataclass whose fields are named as the options.
        ask_files: Settings files may say what the command line does not.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # always a dataclass

    @functools.wraps(command)
    def with_value(**values: Any) -> Any:
        given = {key: values.pop(key) for key in names}
        if ask_files:
            given |= _configured(names)
        return command(**{name: kind(**given)}, **values)

    for option in reversed(options):
        with_value = option(with_value)
    return with_value  # type: ignore[return-value]  # click passes options by keyword, whatever they are


def _configured(names: Sequence[str]) -> dict[str, Any]:
    """Return what settings files say about options that the command line does not have."""
    source_of = click.get_current_context().get_parameter_source
    return {
        name: default.value
        for name, default in defaults().items()
        if name in names and source_of(name) is ParameterSource.DEFAULT
    }
