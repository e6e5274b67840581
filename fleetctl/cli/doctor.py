"""
``fleetctl doctor``: go through everything between here and a command on a host, and say what is
wrong.
"""

from __future__ import annotations

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.options import (
    LoginOptions,
    RunOptions,
    TargetOptions,
    login_options,
    run_options,
    target_options,
)
from fleetctl.cli.perform import perform
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.targets import targets_of
from fleetctl.wiring import make_doctor

EXAMPLES = """\b
Examples:
  fleetctl doctor web01
  fleetctl doctor web01 db1 -v               # what is good, too, in detail
  fleetctl doctor web01 -k                   # log in with a password and look why the key fails
  fleetctl doctor web01 -b -K                # and whether sudo works
  fleetctl doctor web01 --format json
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("host", nargs=-1, required=True, shell_complete=complete_pattern)
@target_options
@login_options
@become_options
@run_options
@click.pass_context
def doctor(
    ctx: click.Context,
    host: tuple[str, ...],
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
) -> int:
    """
    Find out why a host cannot be reached, or logged in to.

    Goes through name, TCP connection, version exchange, key exchange, host key, login, session,
    account and SFTP, and with --become another user, each with its time; what is wrong comes with
    the line that mends it. Nothing is changed.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    pattern = ",".join(host)
    return perform(
        invocation,
        make_doctor(),
        pattern=pattern,
        hosts=targets_of(pattern, targets, login),
        login=login,
        options=options,
        auto_format="doctor",
        become=become,
    )
