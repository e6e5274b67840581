"""
Trying one assignment until it has a result: the only place where exceptions become values.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_hex
from time import monotonic

from fleetctl.engine.ending import Ending
from fleetctl.engine.pool import Pool
from fleetctl.engine.remote import PooledRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.ports import Journal, OperationSecrets, OutputListener
from fleetctl.model.result import HostResult, Outcome
from fleetctl.model.run import Assignment
from fleetctl.model.trace import Trace, Turn

#: Between attempts: full jitter below 0.5 s x 2^n, at most this.
LONGEST_BACKOFF_S = 30.0
MAX_BUG_CHARACTERS = 200

INTERRUPTED = "the run was interrupted"

log = logging.getLogger(__name__)

RetryCallback = Callable[[Host, Failure, float], None]


def failed(failure: Failure, error: FleetError | None = None) -> Outcome:
    """Return the outcome of a failure, with what a command had written until then."""
    return Outcome(
        status=status_of(failure.kind),
        failure=failure,
        result=error.result if error is not None else None,
    )


def never_started(host: Host, why: str, kind: str = "run.cancelled") -> HostResult:
    """Return the result of a host whose turn never came."""
    failure = Failure(kind, f"not started: {why}")
    return HostResult(host=host, outcome=failed(failure))


def backoff_s(attempts: int) -> float:
    """Return how long to wait after so many attempts; random, so that hosts come back apart."""
    longest_s = min(LONGEST_BACKOFF_S, 0.5 * 2 ** min(attempts, 10))
    return random.uniform(0, longest_s)  # noqa: S311 - jitter


async def attempt(  # noqa: PLR0913 - all that a run knows of a host
    assignment: Assignment,
    pool: Pool,
    ending: Ending,
    *,
    check: bool,
    retries: int,
    journal: Journal | None = None,
    on_output: OutputListener | None = None,
    on_retry: RetryCallback | None = None,
    turn: Turn | None = None,
    secrets: OperationSecrets | None = None,
) -> HostResult:
    """
    Run an assignment and return its result, whatever happens; being cancelled is a result too.

    Tried again only while nothing ran on the host, the failure may pass by itself, and the run is
    not to end.

    Args:
        turn: Lent while the host waits; it may be lent still when this returns.
        secrets: What operations may ask for; None if there is nothing.
    """
    host = assignment.host
    started_at, started = datetime.now(UTC), monotonic()
    attempts = 0
    while True:
        attempts += 1
        trace = Trace(turn=turn)
        remote = PooledRemote(host, trace, pool, journal, on_output, secrets)
        outcome = await _try_once(assignment.operation, remote, trace, ending, check=check)
        failure = outcome.failure
        if failure is not None and failure.retryable and trace.ran == "no" and attempts <= retries:
            wait_s = backoff_s(attempts)
            if not ending.why and on_retry is not None:
                on_retry(host, failure, wait_s)
            if await _may_go_on(ending, wait_s, turn):
                continue
        return HostResult(
            host=host,
            outcome=outcome,
            ran=trace.ran,
            started_at=started_at,
            duration_s=monotonic() - started,
            phases=trace.phases(),
            attempts=attempts,
            address=trace.address,
        )


async def _try_once(
    operation: Operation, remote: PooledRemote, trace: Trace, ending: Ending, *, check: bool
) -> Outcome:
    try:
        try:
            outcome = await operation.run(remote, check=check)
        finally:
            remote.release()
        if not isinstance(outcome, Outcome):
            raise TypeError(f"{operation.kind} returned {type(outcome).__name__}, not an Outcome")
    except FleetError as error:
        return failed(error.failure, error)
    except asyncio.CancelledError as stray:
        # One that nobody asked this task for comes from the inside: something was cancelled that
        # the operation waited for.
        task = asyncio.current_task()
        is_stray = task is not None and not task.cancelling()
        return failed(_bug(remote.host, stray)) if is_stray else _cancelled(trace, ending)
    except Exception as bug:
        return failed(_bug(remote.host, bug))
    return outcome


async def _may_go_on(ending: Ending, wait_s: float, turn: Turn | None) -> bool:
    try:
        if turn is None:
            return await ending.passes(wait_s)
        turn.lend()
        if not await ending.passes(wait_s):
            return False
        await turn.take_back()
        return not ending.why
    except asyncio.CancelledError:
        return False  # the failure that was waited after is the better result


def _cancelled(trace: Trace, ending: Ending) -> Outcome:
    partial = trace.partial
    if partial is not None and partial.gone:
        when = "while the command was running; it was ended"
    elif partial is not None and (partial.exit_status, partial.exit_signal) != (None, None):
        when = "while the command was running; it has ended"
        if partial.gone is False:
            when += ", but what it had started may go on there"
    elif partial is not None or trace.ran == "unknown":
        when = "while the command was running; it may go on there"
    else:
        when = "before anything ran" if trace.ran == "no" else "after the command had ended"
    failure = Failure("run.cancelled", f"{ending.why or INTERRUPTED} {when}", hint=trace.left)
    return Outcome(status="cancelled", failure=failure, result=trace.partial)


def _bug(host: Host, bug: BaseException) -> Failure:
    incident = token_hex(4)
    log.error("incident %s on %s", incident, host.name, exc_info=bug)
    text = beginning(next(iter(str(bug).splitlines()), ""), MAX_BUG_CHARACTERS)
    return Failure(
        "operation.bug",
        f"internal error {incident}: {type(bug).__name__}" + (f": {text}" if text else ""),
        hint="run again with --debug and report what it prints",
    )
