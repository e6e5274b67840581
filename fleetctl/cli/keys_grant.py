"""
``fleetctl keys grant``: a key that logs in for a while.
"""

from __future__ import annotations

import time
from dataclasses import replace

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_path, complete_pattern
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_options import (
    KeyLineOptions,
    KeyPlaceOptions,
    key_line_options,
    key_place_options,
)
from fleetctl.cli.keys_people import find_people, people_option
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
from fleetctl.model.errors import UsageError
from fleetctl.wiring.key_changes import (
    find_keys_of_owner,
    make_grant,
    moment_of,
    read_public_keys,
    with_name,
)
from fleetctl.wiring.keys import FoundKey, make_deploy, with_options

#: What takes keys away where sshd does not know about their end.
REMOVER = "keys expire"

EXAMPLES = """\b
Examples:
  fleetctl keys grant alice --on 'web*' --for 2h --key alice.pub
  fleetctl keys grant alice --on web --for 8h               # her keys in people.yml
  fleetctl keys grant vendor --on db1 --for 1d --key v.pub --from 192.0.2.0/24
  fleetctl keys grant ci --on old1 --for 2h --key ci.pub --remove-with "keys expire"
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("name")
@click.option(
    "--on",
    "pattern",
    required=True,
    metavar="PATTERN",
    shell_complete=complete_pattern,
    help="On which hosts.",
)
@click.option(
    "--for",
    "span",
    required=True,
    metavar="SPAN|TIME",
    help="How long: 2h, 1d12h; or until when: 2027-01-31T18:00.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_path,
    help="Public key, or a file with many; repeatable.  [default: the keys of NAME in people.yml]",
)
@people_option
@click.option(
    "--remove-with",
    "remover",
    metavar=f'"{REMOVER}"',
    help="Where sshd is too old to end it by itself: let the key in, and promise to run this.",
)
@key_line_options
@key_place_options
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def grant(
    ctx: click.Context,
    *,
    name: str,
    pattern: str,
    span: str,
    keys: tuple[str, ...],
    people: str | None,
    remover: str | None,
    line: KeyLineOptions,
    place: KeyPlaceOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Let a key log in for a while, on the hosts of a pattern.

    sshd ends it by itself (expiry-time, since OpenSSH 7.7). On a host with an older one it is
    refused, unless you promise to run ``fleetctl keys expire`` there when the time is over. A key
    that is there already, for good or until another time, is left as it is, and the host fails.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    if remover not in (None, REMOVER):
        message = f'only "{REMOVER}" removes keys, not "{remover}"'
        raise UsageError(message, file="--remove-with")
    if line.expires is not None:
        raise UsageError("--for says when it ends", file="--expires")
    until = moment_of(span, int(time.time()))
    hosts = targets_of(pattern, targets, login)
    found = with_name(with_options(_keys(name, keys, people), line.parsed()), name)
    run_id = new_run_id()
    deploy = make_deploy(
        found,
        way_of(place, run_id),
        verify="login",
        # It is somebody else's key: its private half is not here.
        force=True,
    )
    return perform(
        invocation,
        make_grant(deploy, until, removed_by_us=remover is not None),
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather",
        become=become,
        rollout=replace(rollout, any_output=True),
        limit=targets.limit,
        files=[file for each in keys for file in files_of(key=each)],
        run_id=run_id,
    )


def _keys(name: str, keys: tuple[str, ...], people: str | None) -> tuple[FoundKey, ...]:
    if keys:
        return read_public_keys(keys)
    path = find_people(people)
    if path is None:
        message = f"which key of {name} is not said"
        raise UsageError(message, hint="--key FILE, or a people.yml that has it")
    return find_keys_of_owner(path, name)
