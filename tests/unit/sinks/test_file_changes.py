"""
What changed in files is shown behind what a host said, once for all hosts with the same change.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fleetctl.model.events import HostFinished, HostStarted
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult, HostResult, Outcome
from fleetctl.sinks.file_changes import with_diff

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DIFF = "--- a\n+++ a\n@@ -0,0 +1 @@\n+new\n"


def finished(outcome):
    return HostFinished(HostResult(Host("web1"), outcome), NOW)


def shown(outcome):
    """Return what is shown of a host's result."""
    event = with_diff(finished(outcome))
    assert isinstance(event, HostFinished)
    assert event.result.outcome.result is not None
    return event.result.outcome.result


def test_the_diff_follows_what_was_said():
    """
    Both are one text, so hosts that say and change the same are one class.
    """
    said = ExecResult(0, stdout=b"added 1\n", stdout_bytes=8)
    run = shown(Outcome("ok", changed=True, result=said, diff=DIFF))
    assert run.stdout == b"added 1\n" + DIFF.encode()
    assert run.stdout_bytes == len(run.stdout)


def test_a_diff_alone_is_shown_too():
    """
    An operation need not say anything else.
    """
    assert shown(Outcome("ok", changed=True, diff=DIFF)).stdout == DIFF.encode()


def test_nothing_else_is_changed():
    """
    Without a diff, and for other events, all is as it was.
    """
    for event in (finished(Outcome("ok")), HostStarted(Host("web1"), NOW)):
        assert with_diff(event) is event
