"""
Counting results and choosing the exit code.
"""

from __future__ import annotations

import pytest

from fleetctl.model.events import HostFinished
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult, Outcome
from fleetctl.sinks.tally import Tally, Trouble
from tests.unit.sinks import samples

OK = samples.ok("web1")
NONZERO = samples.failed("web2", 7)
KILLED = samples.killed("web3")
REFUSED = samples.broken("web4", "connect.refused", "refused")
TIMED_OUT = samples.broken("web5", "exec.timeout", "no end within 1 s", ran="yes")
LATE = samples.broken("web6", "run.cancelled", "interrupted")
BUG = samples.broken("web7", "operation.bug", "internal error")
NO_SHELL = samples.broken("web8", "session.no_shell", "this account has no shell")
SKIPPED = HostResult(Host("web9"), Outcome("skipped"))
BARE = HostResult(Host("web10"), Outcome("unreachable"))


def tally_of(*results: HostResult, interrupted_by: str | None = None) -> Tally:
    tally = Tally()
    for event in samples.run_of(results, interrupted_by=interrupted_by):
        tally.handle(event)
    tally.close()
    return tally


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([], 0),
        ([OK], 0),
        ([OK, SKIPPED], 0),
        ([OK, NONZERO], 1),
        ([OK, KILLED], 1),
        ([OK, TIMED_OUT], 1),
        ([OK, LATE], 1),
        ([OK, REFUSED], 4),
        ([NO_SHELL], 4),
        ([BARE], 4),
        ([NONZERO, REFUSED], 4),
        ([NONZERO, REFUSED, BUG], 5),
    ],
)
def test_highest_code_wins(results, code):
    """
    Internal errors win over unreachable hosts, those over failed commands, those over success.
    """
    assert tally_of(*results).exit_code() == code


@pytest.mark.parametrize(("signal", "code"), [("INT", 130), ("TERM", 143), ("HUP", 129)])
def test_interruption_wins_over_everything(signal, code):
    """
    An interrupted run says so, whatever its results.
    """
    tally = tally_of(OK, BUG, interrupted_by=signal)
    assert tally.exit_code(incomplete=True, remote=True) == code


def test_lost_results_win_over_results():
    """
    If the disk took not all of the results, that is what the exit code says.
    """
    assert tally_of(OK).exit_code(incomplete=True) == 6
    assert tally_of(BUG).exit_code(incomplete=True) == 6


def test_remote_variant_returns_the_largest_remote_status():
    """
    ``--exit-status remote`` gives the largest status of any host.
    """
    tally = tally_of(OK, NONZERO, samples.failed("web9", 3), REFUSED)
    assert tally.exit_code(remote=True) == 7


def test_remote_variant_never_hides_an_unreachable_host():
    """
    Without a status other than 0 the usual code counts: a host nobody reached is no success.
    """
    assert tally_of(OK, REFUSED).exit_code(remote=True) == 4
    assert tally_of(OK, KILLED).exit_code(remote=True) == 1
    assert tally_of(OK).exit_code(remote=True) == 0


def test_missing_result_is_an_internal_error():
    """
    A host of the run without a result is never taken for success.
    """
    tally = Tally()
    for event in samples.run_of([OK, NONZERO]):
        if not isinstance(event, HostFinished) or event.result is OK:
            tally.handle(event)
    assert tally.missing == 1
    assert tally.exit_code() == 5


def test_counts_and_troubles_are_kept_without_output():
    """
    What is kept of a failed host is small: how it ended, and what to do about it.
    """
    tally = tally_of(OK, OK, SKIPPED, NONZERO)
    assert tally.counts == {"ok": 2, "skipped": 1, "failed": 1}
    assert tally.total == 4
    assert list(tally.troubles) == [
        Trouble("web2", "failed", "exec.nonzero", "exit status 7", None, "yes")
    ]
