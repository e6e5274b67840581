"""
``fleetctl keys sync``: hosts brought to what ``people.yml`` says.
"""

from __future__ import annotations

from typing import Literal

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.errors import say
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_lockout import RemovalOptions, make_removal, removal_options, with_canary
from fleetctl.cli.keys_people import find_people, people_option, read_wishes
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
from fleetctl.model.errors import UsageError
from fleetctl.wiring import fold

EXAMPLES = """\b
Examples:
  fleetctl keys sync all -b -C -D                # what would change
  fleetctl keys sync all -b --people people.yml
  fleetctl keys sync 'web*' -b --canary 1 --max-fail 2
  fleetctl keys sync all -b --options replace    # people.yml knows better
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@people_option
@click.option(
    "--options",
    "on_other_options",
    type=click.Choice(("keep", "replace", "fail")),
    default="fail",
    show_default=True,
    help="What to do where a key stands outside of the managed block with other options.",
)
@click.option(
    "--follow-links",
    is_flag=True,
    help="Where a file is a symbolic link, change what it leads to; else it is refused.",
)
@click.option("-s", "--sftp", is_flag=True, help="By SFTP, without running anything there.")
@click.option(
    "--non-atomic",
    is_flag=True,
    help="By SFTP also where the server cannot put a file in the place of another in one step.",
)
@removal_options
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def sync(
    ctx: click.Context,
    pattern: str,
    *,
    people: str | None,
    on_other_options: Literal["keep", "replace", "fail"],
    follow_links: bool,
    sftp: bool,
    non_atomic: bool,
    removal: RemovalOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Let people in where people.yml says so, and nowhere else.

    Each user that a rule is about gets the keys of the rule: in a block of lines that is ours, or,
    with mode: exact, as the only ones. Keys of people who are absent are taken out of every file
    of the host. Other users of other hosts are left alone. The key that you log in with is never
    taken away.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    hosts = targets_of(pattern, targets, login)
    path = find_people(people)
    if path is None:
        raise UsageError("there is no people.yml", hint="--people FILE")
    wishes = read_wishes(path, targets)
    without = [host.name for host in hosts if host.name not in wishes.hosts]
    if len(without) == len(hosts) and not wishes.never:
        raise UsageError(f"no rule of {path} is about {pattern}", hint="fleetctl hosts PATTERN")
    if without:
        say(f"no rule of {path} is about {fold(without)} ({len(without)})")
    from fleetctl.wiring.access import make_sync

    guarded = make_removal(removal, hosts, check=options.check)
    run_id = new_run_id()
    operation = make_sync(
        {host.name: wishes.hosts[host.name] for host in hosts if host.name in wishes.hosts},
        run_id,
        never=wishes.never,
        removal=guarded,
        on_other_options=on_other_options,
        follow_links=follow_links,
        sftp=sftp,
        non_atomic=non_atomic,
    )
    return perform(
        invocation,
        operation,
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather",
        become=become,
        rollout=with_canary(rollout, hosts),
        limit=targets.limit,
        files=list(files_of(people=path)),
        run_id=run_id,
    )
