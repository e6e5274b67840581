"""
Sample hosts, results and events, made of real model objects with fixed times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from fleetctl.model.events import (
    Event,
    HostFinished,
    HostStarted,
    Output,
    RunFinished,
    RunStarted,
    Stream,
)
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult, HostResult, Outcome, PhaseTimes, Ran

START = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
RUN_ID = "01J1SAMPLE"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def exec_result(
    status: int | None = 0,
    stdout: bytes = b"",
    stderr: bytes = b"",
    *,
    signal: str | None = None,
    stdout_bytes: int | None = None,
    output_complete: bool = True,
) -> ExecResult:
    total = len(stdout) if stdout_bytes is None else stdout_bytes
    return ExecResult(
        exit_status=status,
        exit_signal=signal,
        stdout=stdout,
        stderr=stderr,
        stdout_bytes=total,
        stderr_bytes=len(stderr),
        truncated=total > len(stdout),
        output_complete=output_complete,
        duration_s=0.25,
    )


def ok(name: str, stdout: bytes = b"", stderr: bytes = b"", **fields: object) -> HostResult:
    """A command that ended with status 0; ``fields`` are those of `exec_result`."""
    run = exec_result(0, stdout, stderr, **fields)  # type: ignore[arg-type]
    return _result(name, Outcome("ok", changed=True, result=run))


def failed(name: str, status: int, stdout: bytes = b"", stderr: bytes = b"") -> HostResult:
    failure = Failure("exec.nonzero", f"exit status {status}")
    run = exec_result(status, stdout, stderr)
    return _result(name, Outcome("failed", changed=True, result=run, failure=failure))


def killed(name: str, signal: str = "KILL", stdout: bytes = b"") -> HostResult:
    failure = Failure("exec.signal", f"killed by signal {signal}")
    run = exec_result(None, stdout, signal=signal)
    return _result(name, Outcome("failed", changed=True, result=run, failure=failure))


def broken(
    name: str,
    kind: str,
    message: str,
    *,
    hint: str | None = None,
    hop: str | None = None,
    ran: Ran = "no",
    run: ExecResult | None = None,
) -> HostResult:
    """Any other failure."""
    failure = Failure(kind, message, hint=hint, hop=hop, retryable=ran == "no")
    return _result(name, Outcome(status_of(kind), result=run, failure=failure), ran=ran)


def _result(name: str, outcome: Outcome, ran: Ran = "yes") -> HostResult:
    return HostResult(
        host=Host(name),
        outcome=outcome,
        ran=ran,
        started_at=at(0.01),
        duration_s=0.31234567,
        phases=PhaseTimes(None, 0.0012345678, 0.1, 0.05, 0.01, 0.15)
        if ran != "no"
        else PhaseTimes(),
        attempts=1,
        address="10.0.3.7" if ran != "no" else None,
    )


def run_of(
    results: Sequence[HostResult], *, interrupted_by: str | None = None, check: bool = False
) -> Iterator[Event]:
    """The events of a run in which the hosts finish in the order given."""
    yield RunStarted(RUN_ID, "uptime", tuple(result.host for result in results), at(0), check)
    for result in results:
        yield HostStarted(result.host, at(0.01))
    for result in results:
        yield HostFinished(result, at(0.5))
    counts: Counter[str] = Counter(result.outcome.status for result in results)
    yield RunFinished(RUN_ID, at(4.2), 4.2, counts, interrupted_by)


def output(name: str, content: bytes, stream: Stream = "stdout") -> Output:
    return Output(Host(name), stream, content, at(0.2))


CHANGED_KEY = (
    "host key changed: known_hosts:14 has SHA256:abQ1, the host sent SHA256:9fZ2",
    "if web22 was rebuilt: fleetctl hostkeys replace web22",
)


def mixed_run() -> list[HostResult]:
    """Nineteen equal hosts, an outlier, and every common way to fail."""
    common = b"Linux 6.1.0-18-amd64 x86_64\nDebian GNU/Linux 12 (bookworm)\n"
    equal = [ok(f"web{number:02}", common) for number in [*range(1, 19), 20]]
    return [
        broken("web22", "hostkey.changed", CHANGED_KEY[0], hint=CHANGED_KEY[1]),
        *equal[:7],
        ok("web19", b"Linux 5.10.0-28-amd64 x86_64\nDebian GNU/Linux 11 (bullseye)\n"),
        killed("web21", "KILL", b"Linux 6.1.0-18-amd64 x86_64\n"),
        *equal[7:],
        failed("web23", 3, b"Linux 4.19.0\n", b"cat: /etc/os-release: No such file\n"),
        broken(
            "db1",
            "connect.refused",
            "10.0.4.1 port 22 refused the connection",
            hint="is sshd running there? fleetctl doctor db1",
        ),
        broken(
            "db2",
            "connect.refused",
            "10.0.4.2 port 22 refused the connection",
            hint="is sshd running there? fleetctl doctor db2",
        ),
        broken(
            "db3",
            "exec.timeout",
            "no end within 30 s; it was ended",
            ran="yes",
            run=exec_result(None, b"waiting for lock\n", output_complete=False),
        ),
        broken("db4", "session.lost", "connection lost: the server closed it", ran="unknown"),
    ]
