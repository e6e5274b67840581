"""
``fleetctl forward``: ports and sockets that lead through a host, for as long as it runs.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass

import click
from click.shell_completion import CompletionItem

from fleetctl import wiring
from fleetctl.cli.complete import complete_host
from fleetctl.cli.forward_drive import Forwarder, Wish, raise_limit_of_files
from fleetctl.cli.forward_report import JsonReport, Report, TextReport
from fleetctl.cli.invocation import known_secrets
from fleetctl.cli.logs import set_up_logging
from fleetctl.cli.options import (
    Command,
    LoginOptions,
    TargetOptions,
    bundle,
    login_options,
    parse_seconds,
    target_options,
)
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import UsageError
from fleetctl.wiring.forwards import (
    configured_forwards,
    read_forwards,
)

#: Where the context keeps the words behind ``--``; None without ``--``.
COMMAND = "fleetctl.forward.command"

EXAMPLES = """\b
Examples:
  fleetctl forward web01 -L 8080:localhost:80          # http://127.0.0.1:8080 is web01's
  fleetctl forward db1 -L 5433:/run/postgresql/.s.PGSQL.5432
  fleetctl forward bastion -D 1080                     # a SOCKS proxy
  fleetctl forward web01 -R 0:localhost:3000           # the host finds a free port
  fleetctl forward db1 -L 5433:localhost:5432 -- pg_dump -p 5433 -h localhost shop
"""


class ForwardCommand(SectionedCommand):
    """What stands behind ``--`` is a command of this machine; its options are its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split off the command; click sees only what stands before ``--``."""
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[COMMAND] = tuple(args[place + 1 :]) if place < len(args) else None
        return super().parse_args(ctx, args[:place])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return our options, but nothing behind ``--``."""
        return super().shell_complete(ctx, incomplete) if ctx.meta[COMMAND] is None else []

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what ``--help`` shows behind the command's name."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND [ARG]...]"]


_WHAT = (
    click.option(
        "-L",
        "local",
        multiple=True,
        metavar="[BIND:]PORT:HOST:PORT",
        help="Listen here, connect from the host; either side may be the path of a socket; "
        "port 0 takes a free one; repeatable.",
    ),
    click.option(
        "-R",
        "remote",
        multiple=True,
        metavar="[BIND:]PORT:HOST:PORT",
        help="Listen on the host, connect from here; PORT alone is a SOCKS proxy; repeatable.",
    ),
    click.option(
        "-D",
        "dynamic",
        multiple=True,
        metavar="[BIND:]PORT",
        help="Be a SOCKS proxy here (4, 4a, 5) that connects from the host; repeatable.",
    ),
    click.option(
        "--no-configured",
        is_flag=True,
        help="Leave out LocalForward, RemoteForward and DynamicForward of the settings.",
    ),
    click.option(
        "--for",
        "duration",
        callback=parse_seconds,
        metavar="S",
        help="End after this time, such as 2h.  [default: Ctrl-C]",
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice(("text", "ndjson")),
        default="text",
        show_default=True,
        help="For people on stderr, or one JSON event per line on stdout.",
    ),
    click.option("-v", "--verbose", count=True, help="Log to stderr; -vv more."),
    click.option("--debug", is_flag=True, help="Show tracebacks of internal errors."),
)


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """
    The fields are the values of the options of the same name.

    Attributes:
        duration: Seconds, or None for no limit.
    """

    local: tuple[str, ...]
    remote: tuple[str, ...]
    dynamic: tuple[str, ...]
    no_configured: bool
    duration: float | None
    form: str
    verbose: int
    debug: bool

    @property
    def given(self) -> list[tuple[str, str]]:
        """Letter and value of each forwarding."""
        letters = (("L", self.local), ("R", self.remote), ("D", self.dynamic))
        return [(letter, spec) for letter, specs in letters for spec in specs]


def forward_options(command: Command) -> Command:
    """Add what to forward, and for how long; the command gets it as ``options``."""
    return bundle(command, "options", ForwardOptions, _WHAT)


@click.command(cls=ForwardCommand, epilog=EXAMPLES)
@click.argument("host", shell_complete=complete_host)
@forward_options
@target_options
@login_options
@click.pass_context
def forward(
    ctx: click.Context,
    host: str,
    options: ForwardOptions,
    targets: TargetOptions,
    login: LoginOptions,
) -> int:
    """
    Forward ports and sockets through a host, until Ctrl-C.

    Written as for ssh: addresses in brackets if they have colons, * for all addresses. Without an
    address only this machine can connect. What LocalForward, RemoteForward and DynamicForward of
    the host's settings say is forwarded as well. A COMMAND runs on this machine while they are
    there, and its exit status is ours.
    """
    found = targets_of(host, targets, login)
    if len(found) > 1:
        names = wiring.fold(each.name for each in found)
        raise UsageError(
            f"forward goes through one host, not {len(found)}: {names}",
            hint=f"choose one: fleetctl forward {shlex.quote(found[0].name)} …",
        )
    (only,) = found
    if only.connection == "local":
        raise UsageError(
            f"{only.name} is this machine itself: nothing leads through it",
            hint="give the host that connects: fleetctl forward web01 -L 8080:localhost:80",
        )
    wanted = dict.fromkeys(read_forwards(only, options.given))
    if not options.no_configured:
        wanted |= dict.fromkeys(configured_forwards(only))
    if not wanted:
        name = shlex.quote(host)
        raise UsageError(
            "there is nothing to forward",
            hint=f"say what: fleetctl forward {name} -L 8080:localhost:80",
        )
    command: tuple[str, ...] | None = ctx.meta[COMMAND]
    if command is not None and not any(word.strip() for word in command):
        raise UsageError("there is no command behind --", hint="leave -- out, or name one")
    known = known_secrets()
    set_up_logging(options.verbose, debug=options.debug, stderr=sys.stderr, redact=known.redact)
    wish = Wish(tuple(wanted), options.duration, command or ())
    report: Report = TextReport(only.name)
    if options.form == "ndjson":
        report = JsonReport(only.name, write=_write, known=known)
    raise_limit_of_files()
    return Forwarder(only, login, wish, report, known).run()


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
