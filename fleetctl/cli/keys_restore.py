"""
``fleetctl keys restore``: an older authorized_keys, of those that every change leaves beside it.
"""

from __future__ import annotations

import os

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
from fleetctl.cli.state import state_directory
from fleetctl.cli.targets import targets_of
from fleetctl.wiring.key_changes import make_list_backups, make_restore

EXAMPLES = """\b
Examples:
  fleetctl keys restore web1 --list
  fleetctl keys restore web1                       # the last one
  fleetctl keys restore 'web*' --backup 2 -C -D    # what would change
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@click.option("--list", "lists", is_flag=True, help="Show which there are, newest first.")
@click.option(
    "--backup",
    metavar="N|PATH",
    default="1",
    show_default=True,
    help="Which one: 1 is the newest; or its path, or the last part of that.",
)
@key_place_options
@removal_options
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def restore(
    ctx: click.Context,
    *,
    pattern: str,
    lists: bool,
    backup: str,
    place: KeyPlaceOptions,
    removal: RemovalOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Put an older authorized_keys back.

    It is a change like any other: what is there now is kept in its turn, the key that you log in
    with must be in the older one too, and a login has to confirm it. A key that was revoked as
    compromised is not brought back.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    hosts = targets_of(pattern, targets, login)
    run_id = new_run_id()
    way = way_of(place, run_id)
    if lists:
        operation = make_list_backups(way)
    else:
        guarded = make_removal(removal, hosts, check=options.check)
        state = state_directory(os.environ)
        operation = make_restore(backup, way, guarded, state=state, hosts=hosts)
        rollout = with_canary(rollout, hosts)
    return perform(
        invocation,
        operation,
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather",
        become=become,
        rollout=rollout,
        limit=targets.limit,
        run_id=run_id,
    )
