"""
What people and scripts read, on one line or folded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetctl.model.events import Event
    from fleetctl.model.secret import Secret
    from fleetctl.sinks.redact import Redactor as Redactor  # noqa: PLC0414 - for annotations of cli


def one_visible_line(text: str) -> str:
    """Return the text in one line, with control characters escaped."""
    from fleetctl.sinks.escape import visible_line

    return visible_line(text)


def visible_text(text: str) -> str:
    """Return the text with control characters escaped, newline and tab excepted."""
    from fleetctl.sinks.escape import visible

    return visible(text)


def make_redactor(secrets: Iterable[Secret]) -> Redactor:
    """Return what takes these secrets, and those it is told later, out of texts and bytes."""
    from fleetctl.sinks.redact import Redactor

    redactor = Redactor()
    redactor.add(*secrets)
    return redactor


def redact_cut_output(event: Event, redactor: Redactor) -> Event:
    """Return the event as it may be recorded: no half of a secret where output was cut."""
    if redactor.is_idle:
        return event
    from fleetctl.sinks.redact_events import redact_cut_output as redacted

    return redacted(event, redactor)


def fold(names: Iterable[str]) -> str:
    """Return ``web[01-18,20]``."""
    from fleetctl.model.nodeset import fold as fold_names

    return fold_names(names)
