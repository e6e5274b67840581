"""
The options of a run in batches, and what they mean.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from fleetctl.cli.options import Command, bundle, parse_seconds
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host

if TYPE_CHECKING:
    from fleetctl.model.rollout import Order, Rollout, Size

#: Seeds are short enough to be typed again.
_MAX_SEED = 10**6


@dataclass(frozen=True, slots=True)
class RolloutOptions:
    """In which order and steps. The fields are the values of the options of the same name."""

    serial: str | None
    canary: str | None
    any_output: bool
    gate: str | None
    soak: float | None
    pause: float | None
    max_fail: str | None
    max_down: tuple[str, ...]
    order: str | None
    once: bool
    total_timeout: float | None
    yes: bool


_ROLLOUT = (
    click.option(
        "--serial",
        metavar="N|P%,…",
        help="Work in batches of so many hosts, or a part of all; of a list the last size repeats.",
    ),
    click.option(
        "--canary",
        metavar="N|P%,…",
        help="Begin with batches of these sizes, and stop if a host in them fails, or if a later "
        "host ends or prints as none of them did.",
    ),
    click.option(
        "--any-output", is_flag=True, help="What hosts print may differ from what the canary did."
    ),
    click.option(
        "--gate",
        metavar="CMD",
        help="Run this on this machine after each batch; go on only if it exits with 0.",
    ),
    click.option(
        "--soak", callback=parse_seconds, metavar="S", help="Wait so long after each canary."
    ),
    click.option(
        "--pause", callback=parse_seconds, metavar="S", help="Wait so long between batches."
    ),
    click.option(
        "--max-fail",
        metavar="N|P%",
        help="Start nothing new once more hosts than this have failed or were unreachable.",
    ),
    click.option(
        "--max-down",
        multiple=True,
        metavar="VARIABLE=N",
        help="Of hosts that share a variable's value, such as rack, at most N at work or failed; "
        "repeatable.",
    ),
    click.option(
        "--order",
        metavar="inventory|reverse|shuffle[:SEED]",
        help="The order in which hosts come.  [default: inventory]",
    ),
    click.option(
        "--run-once", "once", is_flag=True, help="Only on the first host; skip the others."
    ),
    click.option(
        "--total-timeout", callback=parse_seconds, metavar="S", help="Time for the whole run."
    ),
    click.option("--yes", is_flag=True, help="Do not ask for a confirmation of many hosts."),
)


def rollout_options(command: Command) -> Command:
    """Add the options of a run in batches; the command gets them as ``rollout``."""
    return bundle(command, "rollout", RolloutOptions, _ROLLOUT, ask_files=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What the options mean for a run.

    Attributes:
        rollout: None for all hosts at once, in their order.
        gate: A command line of this machine.
    """

    rollout: Rollout | None = None
    gate: str | None = None
    total_timeout_s: float | None = None
    max_down: Mapping[str, int] = field(default_factory=dict)


def make_plan(options: RolloutOptions, hosts: Sequence[Host]) -> Plan:
    """
    Return what the options say.

    Raises:
        UsageError: All mistakes in them.
    """
    if not _says_anything(options):
        return Plan()
    from fleetctl.model.rollout import Rollout

    problems: list[Problem] = []
    order, seed = _order(options.order, problems)
    rollout = Rollout(
        order=order,
        seed=seed,
        canary=_sizes(options.canary, "--canary", problems),
        serial=_sizes(options.serial, "--serial", problems),
        soak_s=options.soak or 0.0,
        pause_s=options.pause or 0.0,
        max_fail=_limit(options.max_fail, problems),
        stops_at_new_output=options.canary is not None and not options.any_output,
        once=options.once,
    )
    if options.soak is not None and not options.canary:
        problems.append(Problem("it is a canary that soaks", "--soak", hint="add --canary 1"))
    for name, value in (("--gate", options.gate), ("--pause", options.pause)):
        if value is not None and not (options.serial or options.canary):
            message = "there is only one batch, and nothing after it"
            hint = "add --serial 10% or --canary 1"
            problems.append(Problem(message, name, hint=hint))
    max_down = _max_down(options.max_down, hosts, problems)
    if problems:
        raise UsageError(problems=problems)
    return Plan(
        None if rollout == Rollout() else rollout, options.gate, options.total_timeout, max_down
    )


def _says_anything(options: RolloutOptions) -> bool:
    values = (getattr(options, name) for name in options.__slots__ if name != "yes")
    return any(value not in (None, False, ()) for value in values)


def _max_down(
    texts: Sequence[str], hosts: Sequence[Host], problems: list[Problem]
) -> dict[str, int]:
    limits: dict[str, int] = {}
    for text in texts:
        match = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)=([1-9][0-9]{0,8})", text)
        if match is None:
            message = f'VARIABLE=N with N from 1 is expected, not "{text}"'
            problems.append(Problem(message, "--max-down", hint="--max-down rack=1"))
        elif not any(match[1] in host.vars for host in hosts):
            hint = "fleetctl inventory show HOST lists the variables of a host"
            message = f'none of the hosts has a variable "{match[1]}"'
            problems.append(Problem(message, "--max-down", hint=hint))
        else:
            limits[match[1]] = int(match[2])
    return limits


def _sizes(text: str | None, option: str, problems: list[Problem]) -> tuple[Size, ...]:
    from fleetctl.model.rollout import parse_size

    sizes = []
    for part in text.split(",") if text is not None else ():
        try:
            sizes.append(parse_size(part))
        except ValueError as error:
            problems.append(Problem(str(error), option, hint=f"{option} 1,5,20%"))
    return tuple(sizes)


def _limit(text: str | None, problems: list[Problem]) -> Size | None:
    if text is None:
        return None
    from fleetctl.model.rollout import parse_size

    try:
        return parse_size(text, lowest=0)
    except ValueError as error:
        problems.append(Problem(str(error), "--max-fail", hint="--max-fail 3, or --max-fail 5%"))
        return None


def _order(text: str | None, problems: list[Problem]) -> tuple[Order, int | None]:
    match: Any = re.fullmatch(
        r"(inventory|reverse|shuffle)|shuffle:([0-9]{1,9})", text or "inventory"
    )
    if match is None:
        message = f'inventory, reverse, shuffle or shuffle:SEED is expected, not "{text}"'
        problems.append(Problem(message, "--order", hint="--order shuffle:42"))
        return "inventory", None
    if match[2] is not None:
        return "shuffle", int(match[2])
    if match[1] == "shuffle":
        return "shuffle", secrets.randbelow(_MAX_SEED)
    return match[1], None
