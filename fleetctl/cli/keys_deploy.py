"""
``fleetctl keys deploy``: keys that log in to every host of a pattern, and the proof that they do.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_options import (
    KeyLineOptions,
    KeyPlaceOptions,
    Verify,
    fix_modes_option,
    key_line_options,
    key_option,
    key_place_options,
    keys_of,
    login_targets,
    verify_option,
)
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
from fleetctl.model.host import Host
from fleetctl.wiring.keys import OnOtherOptions, make_deploy

EXAMPLES = """\b
Examples:
  fleetctl keys deploy 'web*' --key ~/.ssh/fleet_ed25519.pub -k
  fleetctl keys deploy web --key team.keys --force          # keys of other people
  fleetctl keys deploy db1 --key ci.pub --restrict --command /usr/local/bin/backup
  fleetctl keys deploy all --key new.pub -C -D              # what would change
  fleetctl keys deploy all --key new.pub --canary 1 --max-fail 2
  fleetctl keys deploy web -b --for-user www --key www.pub
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@key_option
@key_line_options
@click.option(
    "--options",
    "on_other_options",
    type=click.Choice(("keep", "replace", "fail")),
    default="fail",
    show_default=True,
    help="What to do where a key is there with other options.",
)
@key_place_options
@verify_option
@fix_modes_option
@click.option(
    "--force",
    is_flag=True,
    help="Also keys that cannot be tried from here, because their private halves are elsewhere.",
)
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def deploy(
    ctx: click.Context,
    *,
    pattern: str,
    keys: tuple[str, ...],
    line: KeyLineOptions,
    place: KeyPlaceOptions,
    on_other_options: OnOtherOptions,
    verify: Verify,
    fix_modes: bool,
    force: bool,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Let keys log in to every host of a pattern, and prove it.

    A key is put into authorized_keys once, whatever is there stays as it is, and then it has to log
    in: alone, over a connection of its own. Where it does not, the file is put back as it was, and
    it is said why. Log in for it with a password (-k) or with another key (--identity).
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    wanted = keys_of(keys, line)
    hosts = login_targets(pattern, targets, login)
    run_id = new_run_id()
    operation = make_deploy(
        wanted,
        way_of(place, run_id),
        on_other_options=on_other_options,
        verify=verify.how,
        sample=_sample(hosts, verify),
        fix_modes=fix_modes,
        force=force,
    )
    return perform(
        invocation,
        operation,
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather" if sys.stdout.isatty() else "stream",
        become=become,
        rollout=rollout,
        limit=targets.limit,
        files=[file for each in keys for file in files_of(key=each)],
        run_id=run_id,
    )


def _sample(hosts: Sequence[Host], verify: Verify) -> frozenset[str] | None:
    """Return the names of the hosts on which keys are proved by logging in; None for all."""
    if verify.sample is None:
        return None
    names = [host.name for host in hosts]
    count = min(verify.sample, len(names))
    return frozenset(random.sample(names, count))
