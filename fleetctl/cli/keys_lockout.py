"""
The options of commands that take keys away, and the last question before the lock-out guard is
overruled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from fleetctl.cli.options import bundle
from fleetctl.cli.rollout import RolloutOptions
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.wiring import fold
from fleetctl.wiring.key_changes import DEAD_MAN_S, Removal

Command = TypeVar("Command", bound=Callable[..., Any])

#: The first hosts of a change that could lock somebody out: one, then a hundredth of all.
CANARY = "1,1%"


@dataclass(frozen=True, slots=True)
class RemovalOptions:
    """How keys are taken away. The fields are the values of the options of the same name."""

    fix_modes: bool
    dead_man: int
    no_dead_man: bool
    force: bool
    yes_lock_out: int | None


_REMOVAL = (
    click.option(
        "--fix-modes",
        is_flag=True,
        help="Mend owners and modes for which sshd refuses all keys (StrictModes).",
    ),
    click.option(
        "--dead-man",
        type=click.IntRange(5, 3600),
        default=DEAD_MAN_S,
        show_default=True,
        metavar="S",
        help="The host waits so long for a login to confirm the change, then undoes it by itself.",
    ),
    click.option(
        "--no-dead-man", is_flag=True, help="Do without that, as where there is only SFTP."
    ),
    click.option(
        "--force",
        is_flag=True,
        help="Do it although nobody may get in afterwards. Asks for the number of the hosts.",
    ),
    click.option(
        "--yes-lock-out",
        type=click.IntRange(min=1),
        metavar="N",
        help="Answer that question in a script: the number of the hosts.",
    ),
)


def removal_options(command: Command) -> Command:
    """Add the options of taking keys away; the command gets them as ``removal``."""
    return bundle(command, "removal", RemovalOptions, _REMOVAL)


def make_removal(options: RemovalOptions, hosts: Sequence[Host], *, check: bool = False) -> Removal:
    """
    Return how keys are taken away, after asking whether a lock-out is meant.

    Args:
        check: Nothing will be done, so nobody is asked.

    Raises:
        UsageError: It was not meant, or nobody can be asked; nobody was contacted.
    """
    if options.force and not check:
        _confirm_lock_out(hosts, options.yes_lock_out)
    elif options.yes_lock_out is not None and not options.force:
        raise UsageError("it answers a question that only --force asks", file="--yes-lock-out")
    return Removal(
        fix_modes=options.fix_modes,
        dead_man_s=None if options.no_dead_man else options.dead_man,
        force=options.force,
    )


def _confirm_lock_out(hosts: Sequence[Host], typed: int | None) -> None:
    count = len(hosts)
    if typed is not None:
        if typed != count:
            raise UsageError(
                f"{typed} is not the number of the hosts, which is {count}; nobody was contacted",
                file="--yes-lock-out",
            )
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nobody is here to be asked whether a lock-out is meant; nobody was contacted",
            file="--force",
            hint=f"--yes-lock-out {count}",
        )
    click.echo(f"{fold(host.name for host in hosts)} ({count})", err=True)
    question = "Nobody may be able to log in there afterwards. Type the number of hosts to go on"
    answer = click.prompt(question, default="", show_default=False, err=True)
    if str(answer).strip() != str(count):
        raise UsageError("not confirmed: nobody was contacted")


def with_canary(rollout: RolloutOptions, hosts: Sequence[Host]) -> RolloutOptions:
    """
    Return the rollout as it was asked for; without a word about batches it begins with a canary.

    What hosts print differs with their files, so that never stops it.
    """
    from dataclasses import replace

    if len(hosts) < 2 or rollout.once:
        return rollout
    if rollout.canary is None and rollout.serial is None:
        return replace(rollout, canary=CANARY, any_output=True)
    return replace(rollout, any_output=True)
