"""
What is said of a host whose command was running when the run was ended.
"""

from __future__ import annotations

import pytest

from fleetctl.engine.attempt import _cancelled
from fleetctl.engine.ending import Ending
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace

RUNNING = "the run was interrupted while the command was running; "


@pytest.mark.parametrize(
    ("partial", "text"),
    [
        (ExecResult(None, "TERM", gone=True), "it was ended"),
        (ExecResult(None, gone=True), "it was ended"),
        (ExecResult(0), "it has ended"),
        (ExecResult(None, "TERM", gone=False), "it has ended, but what it had started may go on"),
        (ExecResult(None, gone=False), "it may go on there"),
        (ExecResult(None), "it may go on there"),
    ],
)
def test_what_is_known_of_the_processes_is_said(partial, text):
    """
    Ended from here, by itself, or nobody knows; what is left is named in the hint.
    """
    trace = Trace(ran="yes", partial=partial, left="left on web01: 4711 (sleep)")
    outcome = _cancelled(trace, Ending())
    assert outcome.failure is not None
    assert outcome.failure.message.startswith(RUNNING + text)
    assert outcome.failure.hint == "left on web01: 4711 (sleep)"
    assert (outcome.status, outcome.result) == ("cancelled", partial)
