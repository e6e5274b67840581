"""
The journal of a key change: what was about to be done on each host, and what was done.

One line per step, written and flushed to the disk of the controller before the host is touched, so
that after a crash whatever may have happened is known. The text is made and read here; where it is
kept is `fleetctl.keys.journal_file`'s business, and what a host is really like only a look tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

#: In the order in which a host reaches them. ``adding`` and ``removing`` come before the host is
#: touched, ``undone`` and ``refused`` in the place of what follows; ``confirmed`` is the end.
Step = Literal[
    "planned",
    "adding",
    "added",
    "proved",
    "removing",
    "removed",
    "refused",
    "undone",
    "confirmed",
]

STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One line.

    Attributes:
        at: The controller's clock, RFC 3339 in UTC.
        facts: JSON types only; never a secret.
    """

    step: Step
    at: str
    facts: Mapping[str, object] = field(default_factory=dict)


class Journal(Protocol):
    """Where the steps of one host are written down."""

    async def note(self, step: Step, **facts: object) -> None:
        """
        Write a line and return when it is on the disk.

        Raises:
            OSError: It cannot be; then the step must not be taken.
        """
        ...


class NoJournal:
    """Implements `Journal` for changes that one look at the host can take up again."""

    async def note(self, step: Step, **facts: object) -> None:
        """Write nothing."""


@dataclass(frozen=True, slots=True)
class NoJournals:
    """Journals of nobody, for what changes nothing."""

    def of(self, host: str) -> NoJournal:
        """Return a journal that writes nothing."""
        return NoJournal()

    def entries(self, host: str) -> tuple[Entry, ...]:
        """Return nothing."""
        return ()


def render_entry(entry: Entry) -> str:
    """Return a line with its end."""
    fields = {"step": entry.step, "at": entry.at, **entry.facts}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True) + "\n"


def parse_entries(text: str) -> tuple[Entry, ...]:
    """
    Return the entries of a journal.

    A last line without its end was being written when the controller died, and does not count: what
    it announces was not begun.

    Raises:
        ValueError: A line is not one of ours; names its number.
    """
    entries = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or fields.get("step") not in STEPS:
            raise ValueError(f"line {number} is not a line of a journal")
        step, at = fields.pop("step"), str(fields.pop("at", ""))
        entries.append(Entry(step, at, fields))
    return tuple(entries)


def is_finished(entries: Sequence[Entry]) -> bool:
    """Tell whether nothing is left to be done on the host."""
    return bool(entries) and entries[-1].step == "confirmed"


def last_step(entries: Sequence[Entry]) -> Step | None:
    """Return how far the host came; None if it was never begun."""
    return entries[-1].step if entries else None
