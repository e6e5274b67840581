"""
One assignment until it has a result: exceptions become values, and only what is safe is repeated.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC

import pytest

from fleetctl.engine.attempt import LONGEST_BACKOFF_S, attempt, backoff_s, never_started
from fleetctl.engine.ending import Ending
from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.pool import Pool
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.model.run import Assignment
from fleetctl.testing import HostScript, ScriptedConnector, exited, run_in_virtual_time
from tests.unit.engine.runs import Raising, Returning, Uptime

WEB1 = Host("web1")
DROPPED = FleetError("connect.dropped", "closed before its version", retryable=True)


class Try:
    """Tries an operation on web1; what can happen meanwhile is called at a virtual time."""

    def __init__(self, script: HostScript | None = None) -> None:
        self.connector = ScriptedConnector({"web1": script or HostScript()})
        self.announced: list[tuple[Failure, float]] = []
        self.ending: Ending | None = None
        self.took_s = 0.0

    def run(
        self,
        operation: Operation | None = None,
        *,
        retries: int = 0,
        end_at_s: float | None = None,
        cancel_at_s: float | None = None,
    ) -> HostResult:
        async def main() -> HostResult:
            loop = asyncio.get_running_loop()
            pool = Pool(self.connector, HandshakeGate(total=8, per_endpoint=8), keep=8)
            ending = Ending()
            task = asyncio.ensure_future(
                attempt(
                    Assignment(WEB1, operation or Uptime()),
                    pool,
                    ending,
                    check=False,
                    retries=retries,
                    on_retry=lambda host, failure, wait_s: self.announced.append((failure, wait_s)),
                )
            )
            if end_at_s is not None:
                loop.call_later(end_at_s, ending.ask, "the run was interrupted")
            if cancel_at_s is not None:
                loop.call_later(cancel_at_s, ending.ask, "the run was interrupted")
                loop.call_later(cancel_at_s, task.cancel)
            result = await task
            self.took_s = loop.time()
            await pool.close()
            return result

        return run_in_virtual_time(main)


def test_a_result_says_what_happened():
    """
    The outcome comes with the truth of `ran`, the address, the attempts and aware times.
    """
    result = Try(HostScript({"uptime": exited(stdout=b"up 3 days")})).run()
    assert result.outcome.status == "ok"
    assert result.outcome.result == exited(stdout=b"up 3 days")
    assert (result.ran, result.attempts, result.address) == ("yes", 1, "192.0.2.1")
    assert result.started_at is not None
    assert result.started_at.tzinfo is UTC


def test_a_failure_keeps_what_the_command_had_written():
    """
    Bytes that were received before a timeout are in the result.
    """
    partial = ExecResult(exit_status=None, stdout=b"half", stdout_bytes=4, output_complete=False)
    late = FleetError("exec.timeout", "no end within 5 s", result=partial)
    result = Try(HostScript(failures={"command": [late]})).run()
    assert result.outcome.status == "timed_out"
    assert result.outcome.result is partial
    assert result.ran == "unknown"


@pytest.mark.parametrize(
    "operation",
    [
        Raising(ValueError("no such\nthing")),
        Raising(ValueError("x" * 10_000)),
        Raising(ValueError()),
        Raising(asyncio.CancelledError()),
        Returning(None),
        Returning("ok"),
    ],
    ids=["two lines", "endless", "wordless", "stray cancellation", "nothing", "no outcome"],
)
def test_F87_a_bug_in_an_operation_becomes_a_result(operation, caplog):
    """
    F87: the host keeps its row: operation.bug, one line with an id that is in the log as well.
    """
    with caplog.at_level(logging.ERROR, logger="fleetctl.engine.attempt"):
        result = Try().run(operation)
    failure = result.outcome.failure
    assert failure is not None
    assert failure.kind == "operation.bug"
    assert result.outcome.status == "failed"
    assert len(failure.message.splitlines()) == 1
    assert len(failure.message) < 300
    incident = failure.message.split()[2].rstrip(":")
    assert f"incident {incident} on web1" in caplog.text


def test_F87_a_bug_after_the_command_does_not_hide_that_it_ran(caplog):
    """
    F87: an operation that fails on its own account after a command says ran=yes.
    """
    caplog.set_level(logging.CRITICAL, logger="fleetctl.engine.attempt")
    assert Try().run(Raising(ZeroDivisionError(), runs_first=True)).ran == "yes"


def test_F87_a_bug_in_the_connection_layer_is_one_host(caplog):
    """
    F87: what a link raises that it should not becomes operation.bug, and ran stays careful.
    """
    caplog.set_level(logging.CRITICAL, logger="fleetctl.engine.attempt")
    result = Try(HostScript(failures={"command": [KeyError("window")]})).run()
    assert result.outcome.failure is not None
    assert result.outcome.failure.kind == "operation.bug"
    assert result.ran == "unknown"


def test_what_may_pass_by_itself_is_tried_again():
    """
    A connection that was dropped before anything ran is tried again, and each wait is announced.
    """
    trial = Try(HostScript(failures={"connect": [DROPPED, DROPPED]}))
    result = trial.run(retries=2)
    assert (result.outcome.status, result.attempts) == ("ok", 3)
    assert [failure for failure, _ in trial.announced] == [DROPPED.failure] * 2
    assert trial.took_s == pytest.approx(sum(wait_s for _, wait_s in trial.announced))


def test_retries_are_bounded():
    """
    After the last allowed try, the failure is the result.
    """
    trial = Try(HostScript(failures={"connect": [DROPPED] * 9}))
    result = trial.run(retries=2)
    assert result.outcome.failure == DROPPED.failure
    assert (result.attempts, len(trial.announced)) == (3, 2)


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        ("auth", FleetError("auth.denied", "no", retryable=False)),
        ("command", FleetError("session.lost", "reset", retryable=True)),
        ("command", FleetError("exec.refused", "no", retryable=False)),
    ],
)
def test_what_will_not_pass_or_may_have_run_is_not_tried_again(phase, error):
    """
    A refusal is final, and a command that was sent is never sent a second time.
    """
    trial = Try(HostScript(failures={phase: [error]}))
    result = trial.run(retries=5)
    assert result.attempts == 1
    assert result.outcome.failure == error.failure


def test_waits_spread_out_and_are_bounded():
    """
    Waits grow with the attempts, up to a limit, and hosts that failed together come back apart.
    """
    for attempts, longest_s in ((1, 1.0), (3, 4.0), (6, 30.0), (5000, LONGEST_BACKOFF_S)):
        waits = [backoff_s(attempts) for _ in range(200)]
        assert all(0 <= wait_s <= longest_s for wait_s in waits)
        assert max(waits) > longest_s / 2 > min(waits)


def test_a_run_that_ends_tries_nothing_again():
    """
    When a run is to end, a host that waits for its next try gets the failure of the last one.
    """
    trial = Try(HostScript(failures={"connect": [DROPPED] * 99}))
    result = trial.run(retries=99, end_at_s=20)
    assert result.outcome.failure == DROPPED.failure
    assert trial.took_s == 20
    assert len(trial.connector.attempts) == result.attempts


@pytest.mark.parametrize(
    ("phase", "ran", "text"),
    [("auth", "no", "before anything ran"), ("command", "unknown", "may go on there")],
)
def test_a_cancelled_attempt_has_a_result_too(phase, ran, text):
    """
    Whoever ends a run still learns of each host whether its command may have run, and why it ended.
    """
    result = Try(HostScript(delays_s={phase: 60})).run(cancel_at_s=5)
    failure = result.outcome.failure
    assert failure is not None
    assert (result.outcome.status, failure.kind, result.ran) == ("cancelled", "run.cancelled", ran)
    assert failure.message.startswith("the run was interrupted ")
    assert text in failure.message
    # What the command had written until then is not lost.
    assert (result.outcome.result is not None) == (ran == "unknown")


def test_a_cancelled_wait_keeps_the_failure():
    """
    A host that was waiting for its next try says why the last one failed.
    """
    trial = Try(HostScript(failures={"connect": [DROPPED] * 99}))
    result = trial.run(retries=99, cancel_at_s=20)
    assert result.outcome.failure == DROPPED.failure
    assert trial.took_s == 20


def test_a_host_whose_turn_never_came_ran_nothing():
    """
    A result without a start: no attempts, no time, ran=no.
    """
    result = never_started(WEB1, "the run was interrupted")
    assert result.outcome.failure == Failure(
        "run.cancelled", "not started: the run was interrupted"
    )
    assert (result.outcome.status, result.ran, result.attempts) == ("cancelled", "no", 0)
    assert result.started_at is None
