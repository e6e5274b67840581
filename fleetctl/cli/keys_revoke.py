"""
``fleetctl keys revoke``: keys that log in nowhere any more, and the proof that they do not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fleetctl.cli.become import BecomeOptions, become_options
from fleetctl.cli.complete import complete_path, complete_pattern
from fleetctl.cli.facts import files_of
from fleetctl.cli.invocation import Invocation
from fleetctl.cli.keys_candidates import choose_by_comment
from fleetctl.cli.keys_lockout import RemovalOptions, make_removal, removal_options, with_canary
from fleetctl.cli.keys_options import KeyPlaceOptions, key_place_options
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
from fleetctl.cli.state import state_directory
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import Problem, UsageError
from fleetctl.wiring.key_changes import (
    choose_doomed,
    find_keys_of_owner,
    make_revoke,
    read_public_keys,
    remember_compromised,
)

if TYPE_CHECKING:
    from fleetctl.wiring.key_changes import FoundKey

#: Source: ssh-keygen(1), -E.
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}|MD5(?::[0-9a-f]{2}){16}")

EXAMPLES = """\b
Examples:
  fleetctl keys revoke all --key old.pub
  fleetctl keys revoke 'web*' --fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
  fleetctl keys revoke all --owner alice -b --for-user www     # keys of people.yml
  fleetctl keys revoke all --key stolen.pub --compromised      # it never comes back
  fleetctl keys revoke all --comment 'alice@*'                 # shows them, and asks
  fleetctl keys revoke all --key old.pub -C -D                 # what would change
"""


@click.command(cls=SectionedCommand, epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_path,
    help="Public key, or a file with many; .pub is added to the name of a private one; repeatable.",
)
@click.option(
    "--fingerprint",
    "fingerprints",
    multiple=True,
    metavar="SHA256:…",
    help="The key with this fingerprint, SHA256 or MD5; repeatable.",
)
@click.option("--owner", metavar="NAME", help="All keys that people.yml has of somebody.")
@people_option
@click.option(
    "--comment",
    metavar="PATTERN",
    help="Look for keys whose comment is like this, such as 'alice@*', show them and ask which are "
    "meant. A comment proves nothing.",
)
@click.option("--also-disabled", is_flag=True, help="Lines that are commented out, too.")
@click.option(
    "--compromised",
    is_flag=True,
    help="Others may have the keys: they never come back, not by a dead man and not by restore.",
)
@key_place_options
@removal_options
@target_options
@login_options
@become_options
@run_options
@rollout_options
@click.pass_context
def revoke(
    ctx: click.Context,
    *,
    pattern: str,
    keys: tuple[str, ...],
    fingerprints: tuple[str, ...],
    owner: str | None,
    people: str | None,
    comment: str | None,
    also_disabled: bool,
    compromised: bool,
    place: KeyPlaceOptions,
    removal: RemovalOptions,
    targets: TargetOptions,
    login: LoginOptions,
    become: BecomeOptions,
    options: RunOptions,
    rollout: RolloutOptions,
) -> int:
    """
    Take keys away from every host of a pattern, and prove that they are refused.

    Every line of a key goes, all others stay as they are. The key that you log in with is refused;
    a host waits for a login that confirms the change, or undoes it. A key that still logs in, by
    another file or by a command of the server, is a failure.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    hosts = targets_of(pattern, targets, login)
    found = _keys(keys, fingerprints, owner, people, comment)
    run_id = new_run_id()
    way = way_of(place, run_id)
    if comment is not None:
        chosen = choose_by_comment(
            invocation, comment, way, hosts, login=login, options=options, become=become
        )
        if not chosen:
            return 0
        fingerprints = (*fingerprints, *chosen)
    doomed = choose_doomed(found, fingerprints, also_disabled=also_disabled)
    check = options.check
    guarded = make_removal(removal, hosts, check=check)
    if compromised and not check:
        remember_compromised(
            [*(one.key.fingerprint for one in found), *doomed.fingerprints],
            run_id,
            state=state_directory(os.environ),
        )
    return perform(
        invocation,
        make_revoke(doomed, way, guarded, compromised=compromised, hosts=hosts),
        pattern=pattern,
        hosts=hosts,
        login=login,
        options=options,
        auto_format="gather",
        become=become,
        rollout=with_canary(rollout, hosts),
        limit=targets.limit,
        files=[file for each in keys for file in files_of(key=each)],
        run_id=run_id,
    )


def _keys(
    keys: Sequence[str],
    fingerprints: Sequence[str],
    owner: str | None,
    people: str | None,
    comment: str | None,
) -> tuple[FoundKey, ...]:
    """
    Return the keys that are known now.

    Raises:
        UsageError: None is meant, or what should name one does not.
    """
    problems = [
        Problem(f'not a fingerprint: "{one}"', "--fingerprint", hint="as ssh-keygen -l prints it")
        for one in fingerprints
        if not _FINGERPRINT.fullmatch(one)
    ]
    if problems:
        raise UsageError(problems=problems)
    if not (keys or fingerprints or owner is not None or comment is not None):
        raise UsageError("no key is named", hint="--key FILE, or --fingerprint SHA256:…")
    found = read_public_keys(keys)
    if owner is None:
        return found
    path = find_people(people)
    if path is None:
        raise UsageError(
            "there is no people.yml to look them up in", file="--owner", hint="--people FILE"
        )
    return (*found, *find_keys_of_owner(path, owner))
