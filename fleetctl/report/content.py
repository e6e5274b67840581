"""
What a report tells: plain data, put together by whoever has the run.

Text is as it came; `fleetctl.report.page` makes it safe to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fleetctl.model.failure import Status
from fleetctl.model.result import PhaseTimes, Ran


@dataclass(frozen=True, slots=True)
class Fact:
    """
    One line of what is known about the run.

    Attributes:
        is_code: Shown as it would be typed.
    """

    name: str
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """
    What the hosts of a class wrote to one stream.

    Attributes:
        name: ``stdout`` or ``stderr``.
        text: As much of it as is shown.
        note: What is not shown, in words; empty if that is nothing.
    """

    name: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """
    Hosts that ended alike and wrote the same.

    Attributes:
        number: Of the output class.
        names: Folded.
        count: How many hosts they are.
        status: None if they have no result.
        ending: How it ended, in a few words.
        lines: What else is known: messages, doubts, what to do.
        is_open: Shown unfolded.
    """

    number: int | None
    names: str
    count: int
    status: Status | None
    ending: str
    lines: Sequence[str] = ()
    streams: Sequence[Stream] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class HostLine:
    """
    One host of the run.

    Attributes:
        status: None if it has no result.
        start_s: From the start of the run; None if it was never started.
        duration_s: From start to end.
    """

    name: str
    status: Status | None
    ran: Ran
    ending: str
    class_number: int | None = None
    address: str | None = None
    attempts: int = 0
    start_s: float | None = None
    duration_s: float = 0.0
    phases: PhaseTimes = field(default_factory=PhaseTimes)


@dataclass(frozen=True, slots=True)
class Message:
    """Something the operator was told during the run."""

    at: datetime
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """
    A run.

    Attributes:
        title: What the user calls it.
        verdict: How it ended, in one line.
        counts: (status or ``no result``, number of hosts), best first.
        warnings: What a reader must know first.
        sections: In the order in which they are shown.
        hosts: In the order of the run.
        made_by: Program and version, for the last line.
    """

    title: str
    run_id: str
    verdict: str
    facts: Sequence[Fact] = ()
    counts: Sequence[tuple[str, int]] = ()
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = ()
    hosts: Sequence[HostLine] = ()
    messages: Sequence[Message] = ()
    made_by: str = "fleetctl"
