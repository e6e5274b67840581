"""
What changed in files, as part of what a host said: so equal changes are shown once.
"""

from __future__ import annotations

from dataclasses import replace

from fleetctl.model.events import Event, HostFinished
from fleetctl.model.result import ExecResult


def with_diff(event: Event) -> Event:
    """Return the result of a host with its unified diff behind its standard output."""
    if not isinstance(event, HostFinished) or not event.result.outcome.diff:
        return event
    outcome = event.result.outcome
    diff = (outcome.diff or "").encode(errors="surrogateescape")
    run = outcome.result or ExecResult(exit_status=None)
    run = replace(run, stdout=run.stdout + diff, stdout_bytes=run.stdout_bytes + len(diff))
    return replace(event, result=replace(event.result, outcome=replace(outcome, result=run)))
