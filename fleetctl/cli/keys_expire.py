"""
``fleetctl keys expire``: keys whose time is over are removed, and proved to be refused.
"""

from __future__ import annotations

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_lockout import RemovalOptions, make_removal, removal_options, with_canary
from fleetctl.cli.keys_options import KeyPlaceOptions, key_place_options
from fleetctl.cli.keys_way import way_of
from fleetctl.cli.options import (
    LoginOptions,
    RunOptions,
    TargetOptions,
    login_options,
    run_options,
    target_options,
)
from fleetctl.cli.perform import new_run_id, perform
from fleetctl.cli.rollout import RolloutOptions, rollout_options
from fleetctl.cli.sections import SectionedCommand
from fleetctl.cli.targets import targets_of
from fleetctl.wiring.key_changes import make_expire

EXAMPLES = """\b
Examples:
  fleetctl keys expire all
  fleetctl keys expire all -C -D             # what is due
  fleetctl keys expire all -b --for-user www
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern, required=False, default="all")
@key_place_options
@removal_options
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def expire(
    ctx: click.Context,
    *,
    pattern: str,
    place: KeyPlaceOptions,
    removal: RemovalOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Remove the keys whose time is over from the hosts of a pattern; of all, without one.

    These are lines with expiry-time, which sshd skips already, and those that were granted with
    --remove-with "keys expire", which log in until this comes. The host's clock counts.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    hosts = targets_of(pattern, targets, login)
    run_id = new_run_id()
    guarded = make_removal(removal, hosts, check=options.check)
    return perform(
        invocation,
        make_expire(way_of(place, run_id), guarded, hosts=hosts),
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather",
        become=become,
        rollout=with_canary(rollout, hosts),
        limit=targets.limit,
        run_id=run_id,
    )
