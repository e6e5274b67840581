"""
The options that say under which conditions a command runs: folder, umask and niceness.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import click

from fleetctl.cli.options import Command, bundle


@dataclass(frozen=True, slots=True)
class ConditionOptions:
    """What is not as usual for the command; None is usual. ``umask`` is a number of mode bits."""

    cwd: str | None = None
    umask: int | None = None
    nice: int | None = None


def condition_options(command: Command) -> Command:
    """Add the options; the command gets them as ``conditions``."""
    return bundle(command, "conditions", ConditionOptions, _CONDITIONS, ask_files=True)


def parse_folder(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """
    Return the folder of ``--cwd``.

    Raises:
        click.BadParameter: It is empty, which would be the home folder by mistake.
    """
    if text == "":
        raise click.BadParameter('a folder is expected, not ""', ctx, param)
    return text


def parse_umask(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """
    Parse ``027`` for ``--umask``.

    Raises:
        click.BadParameter: It is no octal number up to 777.
    """
    if text is None:
        return None
    if not re.fullmatch(r"0?[0-7]{1,3}", text):
        message = f'an octal number such as 027 is expected, not "{text}"'
        raise click.BadParameter(message, ctx, param)
    return int(text, 8)


_CONDITIONS = (
    click.option(
        "--cwd",
        callback=parse_folder,
        metavar="DIR",
        help="Run in this folder of the host; ~ is the home there.  [default: the home]",
    ),
    click.option(
        "--umask",
        callback=parse_umask,
        metavar="MODE",
        help="Mode bits that new files do not get, such as 027.",
    ),
    click.option(
        "--nice",
        type=click.IntRange(-20, 19),
        metavar="N",
        help="Run with lower priority, 1 to 19; root may give it a higher one, -1 to -20.",
    ),
)
