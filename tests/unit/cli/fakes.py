"""
An engine without hosts, and a way to type command lines at it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleetctl.cli.main import main
from fleetctl.model.events import HostFinished, HostStarted, Output, RunFinished, RunStarted
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.result import ExecResult, HostResult, Outcome
from fleetctl.ssh.loop import new_event_loop

# libuv opens a pipe for signals once per process; no test is to blame for it.
new_event_loop("uvloop").close()

NOW = datetime(2026, 11, 21, 1, 22, 33, tzinfo=UTC)


def ok(stdout=b"up\n"):
    return Outcome("ok", changed=True, result=ExecResult(exit_status=0, stdout=stdout))


def nonzero(status):
    return Outcome(
        "failed",
        changed=True,
        result=ExecResult(exit_status=status),
        failure=Failure("exec.nonzero", f"exit status {status}"),
    )


def failure(kind):
    return Outcome(status_of(kind), failure=Failure(kind, "it did not work", hint="try it"))


@dataclass
class FakeEngine:
    """
    Gives each host the outcome a test wants.

    Attributes:
        outcomes: Host name -> outcome; others are ok.
        before_each: Called with each host's name just before its result.
        runs: What was to be executed.
        given: The arguments it was opened with.
        asked: ``stop`` and ``cancel``, as they came.
    """

    outcomes: dict = field(default_factory=dict)
    before_each: Callable | None = None
    runs: list = field(default_factory=list)
    given: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    @asynccontextmanager
    async def open(self, **given):
        self.given = given
        yield self

    async def execute(self, run):
        self.runs.append(run)
        hosts = tuple(assignment.host for assignment in run.assignments)
        yield RunStarted(run.id, run.label, hosts, NOW)
        for host in hosts:
            if self.asked:
                outcome = failure("run.cancelled")
            else:
                yield HostStarted(host, NOW)
                if self.before_each is not None:
                    await self.before_each(host.name)
                outcome = self.outcomes.get(host.name, ok())
                if self.given.get("live_output") and outcome.result and outcome.result.stdout:
                    yield Output(host, "stdout", outcome.result.stdout, NOW)
            yield HostFinished(HostResult(host, outcome), NOW)
        yield RunFinished(run.id, NOW, 0.1)

    def stop(self):
        self.asked.append("stop")

    def cancel(self):
        self.asked.append("cancel")

    @property
    def operations(self):
        (run,) = self.runs
        return {each.host.name: each.operation for each in run.assignments}


def fleetctl(*words, engine=None):
    """Type a command line; return its exit code."""
    return main(words, open_engine=(engine or FakeEngine()).open)
