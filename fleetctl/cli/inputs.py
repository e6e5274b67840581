"""
Which inventories a command uses: kept for the record, and checked if a recorded run is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fleetctl.cli.invocation import Invocation

if TYPE_CHECKING:
    from fleetctl.wiring.inputs import InputFile

#: Where the context keeps them.
SOURCES = "fleetctl.sources"


def use_sources(sources: Sequence[str]) -> None:
    """
    Note the inventories that a command is about to read.

    Raises:
        UsageError: They are not those of the run that is done again, and nobody agreed to that.
    """
    ctx = click.get_current_context()
    ctx.meta[SOURCES] = tuple(sources)
    invocation = ctx.find_object(Invocation)
    if invocation is not None and invocation.repeat is not None:
        invocation.repeat.check_sources(sources)


def used_inputs() -> tuple[InputFile, ...]:
    """Return the inventories of the command that runs, with hashes; none if it used none."""
    from fleetctl.wiring.inputs import inventory_inputs

    return inventory_inputs(click.get_current_context().meta.get(SOURCES, ()))
