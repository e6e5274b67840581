"""
What somebody writes who uses fleetctl as a library; type-checked as strictly as fleetctl itself.

`tests/unit/test_testing.py` runs it as well.
"""

# mypy: disallow-untyped-defs, disallow-incomplete-defs, disallow-untyped-calls
# mypy: disallow-any-generics, disallow-subclassing-any, disallow-untyped-decorators
# mypy: warn-return-any, disallow-any-explicit, disallow-any-expr

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import assert_never, assert_type

from fleetctl.engine.local import LocalEngine
from fleetctl.model.errors import FleetError, UsageError
from fleetctl.model.events import (
    Event,
    HostFinished,
    HostStarted,
    Notice,
    Output,
    RunFinished,
    RunStarted,
)
from fleetctl.model.failure import Failure, Status
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, Operation
from fleetctl.model.ports import Connector, Engine, Sink
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, HostResult, Outcome, Ran
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.model.settings import HostSettings
from fleetctl.testing import (
    EventRecorder,
    HostScript,
    ScriptedConnector,
    ScriptedRemote,
    exited,
    record,
)


@dataclass(frozen=True)
class KernelVersion:
    """An operation of one's own: plain data with a `run`."""

    expected: str

    @property
    def kind(self) -> str:
        return "kernel-version"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        result = await remote.exec(ExecRequest("uname -r", timeout_s=10))
        assert_type(result, ExecResult)
        found = result.stdout.decode().strip()
        if found != self.expected:
            failure = Failure("exec.nonzero", f"kernel {found}", hint="reboot it")
            return Outcome("failed", result=result, failure=failure, data={"kernel": found})
        return Outcome("ok", result=result, data={"kernel": found})


class Tally:
    """A sink of one's own."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def handle(self, event: Event) -> None:
        match event:
            case HostFinished():
                if event.result.outcome.failure is not None:
                    self.failed.append(event.result.host.name)
            case RunStarted() | HostStarted() | Output() | Notice() | RunFinished():
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        self.failed.sort()


def kernel_run(names: Sequence[str]) -> Run:
    """Put an operation on some hosts."""
    settings = HostSettings(user="deploy", connect_timeout_s=5)
    operation: Operation = KernelVersion("6.1.0")
    return Run(
        id="2026-07-01T12:00:00Z",
        label="kernel",
        assignments=[Assignment(Host(name, settings=settings), operation) for name in names],
        limits=Limits(forks=20, retries=2, total_timeout_s=60),
    )


async def failed_hosts(connector: Connector, names: Sequence[str]) -> list[str]:
    """Run it, take the events as they come, and leave early when one host failed."""
    engine = LocalEngine(connector, live_output=True)
    same: Engine = engine
    assert_type(same, Engine)
    tally = Tally()
    sink: Sink = tally
    try:
        async with aclosing(engine.execute(kernel_run(names))) as events:
            async for event in events:
                sink.handle(event)
                if tally.failed:
                    engine.stop()
    finally:
        sink.close()
        await engine.aclose()
    return tally.failed


def explain(result: HostResult) -> str:
    """Put a result into words."""
    status: Status = result.outcome.status
    ran: Ran = result.ran
    failure = result.outcome.failure
    if failure is None:
        return f"{result.host.name}: {status}, ran: {ran}"
    return f"{result.host.name}: {failure.message} ({failure.kind}), ran: {ran}"


async def try_one_operation() -> Outcome:
    """Test an operation without a host."""
    remote = ScriptedRemote({"uname -r": exited(stdout=b"6.1.0\n")}, host=Host("web1"))
    try:
        return await KernelVersion("6.1.0").run(remote, check=False)
    except FleetError as error:
        assert_type(error.failure, Failure)
        raise
    except UsageError as error:
        assert_type(error.exit_code, int)
        raise


async def try_an_engine() -> Mapping[str, HostResult]:
    """Test what depends on a whole run, without a network."""
    old = HostScript({"uname -r": exited(stdout=b"5.10.0\n")}, delays_s={"connect": 0.01})
    away = HostScript(failures={"connect": [FleetError("connect.refused", "closed")]})
    new = HostScript({"uname -r": exited(stdout=b"6.1.0\n")})
    connector = ScriptedConnector({"old": old, "away": away, "new": new})
    recorder = await record(LocalEngine(connector).execute(kernel_run(["old", "away", "new"])))
    assert_type(recorder, EventRecorder)
    assert_type(recorder.of(Notice), list[Notice])
    return recorder.results
