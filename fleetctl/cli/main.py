"""
The entry point: finds the command, and turns every way it can end into an exit code.

The commands are in files of their own, imported when they are typed: ``fleetctl --help`` must not
pay for them. What is said on errors is `fleetctl.cli.errors`.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from itertools import takewhile

import click

from fleetctl import __version__
from fleetctl.cli.errors import problem_of_click, say, show_internal_error, show_problems
from fleetctl.cli.invocation import Invocation, OpenEngine
from fleetctl.cli.lazy import LazyCommands
from fleetctl.model.errors import UsageError

EXIT_INTERNAL = 5
EXIT_INCOMPLETE = 6
EXIT_INTERRUPTED = 130
EXIT_CLOSED = 141
ASKED_BY_SHELL = "_FLEETCTL_COMPLETE"
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

#: Command -> the module that has it under the same name, and its line in ``fleetctl --help``.
COMMANDS = {
    "run": ("run", "Run a command on every host of a pattern."),
    "script": ("script", "Run a script of this machine on every host of a pattern."),
    "shell": ("shell", "Feed the login shell of every host of a pattern."),
    "connect": ("connect", "Log in to one host and use its shell."),
    "forward": ("forward", "Forward ports and sockets through a host."),
    "expect": ("expect", "Try expect scripts on recorded dialogues."),
    "ping": ("ping", "Reach every host of a pattern and log in."),
    "doctor": ("doctor", "Find out why a host cannot be reached or logged in to."),
    "hosts": ("hosts", "Show which hosts a pattern means; contacts nobody."),
    "lab": ("lab", "A throw-away fleet on this machine, to try things on."),
    "inventory": (
        "inventory",
        "What is in the inventory: list, graph, check, export, import …",
    ),
    "config": ("config", "Show every setting of a host and the line that set it."),
    "history": ("history", "Recorded runs: look at them, compare them, do them again."),
    "keys": ("keys", "Keys that log in: generate, deploy, revoke, rotate, audit …"),
    "ssh-copy-id": ("ssh_copy_id", "As ssh-copy-id, and it proves that the key logs in."),
    "hostkeys": ("hostkeys", "Look at, enroll, check, replace and remove host keys."),
    "trust": ("trust", "Let a project's files run commands or weaken checks."),
    "completion": ("completion", "Print the script that makes a shell complete fleetctl."),
    "demo": ("demo", "See it work: a lab, the main commands, and all cleaned up."),
    "help": ("help", "Show the help of a command."),
}

EXAMPLES = """\b
Examples:
  fleetctl lab start --hosts 20            # a fleet to try things on
  fleetctl run 'web*' -- uptime            # equal answers are shown once
  fleetctl run -i hosts.yml web -- 'df -h / | tail -1'
  fleetctl ping all --format ndjson
  fleetctl run --help                      # everything run can do
"""


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version and end, as ``--version`` does."""
    if value:
        click.echo(f"fleetctl {__version__}")
        ctx.exit()


@click.group(
    cls=LazyCommands,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
    epilog=EXAMPLES,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Print the version and exit.",
)
@click.pass_context
def fleetctl(ctx: click.Context) -> None:
    """Run commands on many hosts over SSH, and lose the result of none."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None, *, open_engine: OpenEngine | None = None) -> int:
    """
    Run one command line.

    Args:
        arguments: The words after ``fleetctl``; None takes them from the process.
        open_engine: How to get an engine; None for the real one.

    Returns:
        The exit code.

    Source: docs of the command line, section "Exit codes".
    """
    _fill_standard_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    asked = os.environ.get(ASKED_BY_SHELL) if arguments is None else None
    debug = "--debug" in takewhile(lambda word: word != "--", words)
    invocation = Invocation(argv=("fleetctl", *words), open_engine=open_engine)

    def redact(text: str) -> str:
        if not invocation.known_secrets:
            return text
        from fleetctl.wiring import make_redactor

        return make_redactor(invocation.known_secrets).text(text)

    # Imports leave no garbage, but enough new objects to start many collections.
    gc.disable()
    try:
        code = _run(invocation) if asked is None else _complete(asked)
        return _flushed(code)
    except UsageError as error:
        show_problems(error.problems, redact=redact)
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        show_problems([problem_of_click(error)])
        return UsageError.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return EXIT_CLOSED
    except Exception as error:  # noqa: BLE001 - whatever is left is a bug here, and told as one
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            say(f"the results cannot all be written: {error.strerror}")
            _let_go_of_stdout()
            return EXIT_INCOMPLETE
        show_internal_error(error, debug=debug, redact=redact)
        return EXIT_INTERNAL
    finally:
        gc.enable()
        if arguments is None:
            gc.freeze()  # the process ends, and need not look through what is left of the run


def _run(invocation: Invocation) -> int:
    words = list(invocation.argv[1:])
    with fleetctl.make_context("fleetctl", words, obj=invocation) as context:
        code = fleetctl.invoke(context)
    return code if isinstance(code, int) else 0


def _complete(asked: str) -> int:
    from fleetctl.cli.completion import answer

    return answer(fleetctl, asked)


def _flushed(code: int) -> int:
    """Return the exit code after writing the rest; an interruption wins over a closed stdout."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
        return code if code > 128 else EXIT_CLOSED
    return code


def _let_go_of_stdout() -> None:
    """Point stdout at nothing, or Python complains about what it cannot write when it exits."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _fill_standard_streams() -> None:
    """Open what was closed by the caller (``>&-``), or the next socket would be our stdout."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is fd
            setattr(sys, name, os.fdopen(fd, "w" if fd else "r", encoding="utf-8"))
