"""
``fleetctl ping``: reach every host of a pattern and log in, run nothing.
"""

from __future__ import annotations

import click

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
from fleetctl.wiring import make_ping

EXAMPLES = """\b
Examples:
  fleetctl ping all
  fleetctl ping 'web*' -T 3 --retries 2
  fleetctl ping -i 'root@10.0.0.5:2222,' all --format json
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@target_options
@login_options
@run_options
@click.pass_context
def ping(
    ctx: click.Context,
    pattern: str,
    targets: TargetOptions,
    login: LoginOptions,
    options: RunOptions,
) -> int:
    """
    Reach every host of a pattern and log in.

    Nothing is run and nothing is changed. A host is ok if its key is trusted and the login worked.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    return perform(
        invocation,
        make_ping(),
        pattern=pattern,
        hosts=targets_of(pattern, targets, login),
        login=login,
        options=options,
        auto_format="oneline",
    )
