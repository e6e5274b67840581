"""
Where the history is, and how a command asks it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

from fleetctl.cli.errors import say
from fleetctl.cli.history_place import history_place
from fleetctl.cli.state import state_directory

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import History

T = TypeVar("T")

#: Runs offered while a shell completes.
_OFFERED = 50


def history_folder() -> Path:
    """Return the folder that has the history, or what belongs to one elsewhere."""
    return state_directory(os.environ)


def ask(question: Callable[[History], Awaitable[T]]) -> T:
    """
    Open the history, ask, and close it; on a loop of its own.

    Raises:
        UsageError: There is no such run, or the place is not safe.
        StoreError: The history cannot be read or written.
    """
    from fleetctl.wiring import run_loop
    from fleetctl.wiring.history import open_history

    place = history_place(os.environ)

    async def main() -> T:
        async with open_history(place.folder, url=place.url) as history:
            return await question(history)

    return run_loop(main)


def ask_or_end(question: Callable[[History], Awaitable[T]]) -> T:
    """`ask`; if the history cannot be read, say so and end the command with exit code 6."""
    from fleetctl.wiring.recorded import StoreError

    try:
        return ask(question)
    except StoreError as error:
        say(error.message, hint=error.hint)
        raise click.exceptions.Exit(error.exit_code) from None


def complete_run(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Ids of runs, newest first, and ``last``."""
    from fleetctl.model.errors import UsageError
    from fleetctl.wiring.recorded import StoreError

    if not history_folder().is_dir():
        return []
    try:
        runs = ask(lambda history: history.runs(limit=_OFFERED))
    except (UsageError, StoreError, OSError):
        return []
    items = [CompletionItem("last", help=runs[0].label)] if runs else []
    items += [CompletionItem(run.id, help=run.label) for run in runs]
    return [item for item in items if item.value.startswith(incomplete)]
