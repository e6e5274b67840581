"""
The options that say how results are shown, for every command that contacts hosts.
"""

from __future__ import annotations

from typing import Literal, get_args

import click

from fleetctl.cli.complete import complete_path
from fleetctl.model.errors import UsageError
from fleetctl.wiring import Format

FormatChoice = Literal[
    "auto", "stream", "gather", "oneline", "table", "csv", "junit", "json", "ndjson"
]

OUTPUT = (
    click.option(
        "--format",
        type=click.Choice(get_args(FormatChoice)),
        default="auto",
        show_default=True,
        help="How results are shown.",
    ),
    click.option(
        "--compare",
        is_flag=True,
        help="Show the most common output whole, and how each of the others differs from it.",
    ),
    click.option(
        "--output-dir",
        metavar="DIR",
        shell_complete=complete_path,
        help="Write HOST.stdout, HOST.stderr and HOST.json for every host, all of it, into a new "
        "folder.",
    ),
    click.option("--no-progress", is_flag=True, help="Do not show on a terminal how far it is."),
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="When to use colour; NO_COLOR is honoured.",
    ),
)


def choose_format(wanted: FormatChoice, automatic: Format, *, compare: bool) -> Format:
    """
    Return the format to use.

    Args:
        automatic: What ``auto`` means for this command now.
        compare: Outputs are to be compared, which only one format does.

    Raises:
        UsageError: Another format was asked for.
    """
    if not compare:
        return automatic if wanted == "auto" else wanted
    if wanted not in ("auto", "gather"):
        raise UsageError(
            f"outputs are compared in the format gather, not in {wanted}",
            file="--compare",
            hint="add --format gather",
        )
    return "gather"
