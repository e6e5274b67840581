"""
``@failed``, ``@unreachable``, ``@changed``, ``@class2`` …: hosts of the last run, as targets.

A group of that name in the inventory wins. The last run is the newest one that is over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fleetctl.cli.errors import say
from fleetctl.model.errors import UsageError

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import History, RunRecord

#: What may stand behind the ``@``.
WORDS = ("failed", "unreachable", "changed", "ok", "cancelled", "skipped", "unknown")
_WORD = re.compile(rf"(?:{'|'.join(WORDS)}|class[1-9][0-9]{{0,8}})")
#: Newest runs among which one that is over is looked for.
_LOOKED_AT = 100


def hosts_of_last_run(word: str) -> Sequence[str] | None:
    """
    Return the hosts that a word behind ``@`` stands for, and say which run that was.

    Returns:
        Their names, in the order of that run; None if the word is none of ours.

    Raises:
        UsageError: No run is recorded, it has no such class, or the history cannot be read.
    """
    if _WORD.fullmatch(word) is None:
        return None
    from fleetctl.cli.history_source import ask
    from fleetctl.cli.history_text import render_names, render_time, what_ran
    from fleetctl.wiring.recorded import StoreError

    async def question(history: History) -> tuple[RunRecord, Sequence[str]]:
        runs = await history.runs(limit=_LOOKED_AT)
        run = next((run for run in runs if run.state != "running"), None)
        if run is None:
            raise UsageError(f"@{word}: no run is recorded, and there is no group {word}")
        return run, await history.names(run.id, word)

    try:
        run, names = ask(question)
    except StoreError as error:
        raise UsageError(f"@{word}: {error.message}", hint=error.hint) from None
    which = f"run {run.id} ({render_time(run.started_at)}, {what_ran(run)})"
    say(f"@{word}: {render_names(names)} of {which}" if names else f"@{word}: no host of {which}")
    return names
