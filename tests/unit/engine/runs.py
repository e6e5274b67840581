"""Runs over scripted hosts, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, Operation
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome
from fleetctl.model.run import Assignment, Limits, Run


@dataclass(frozen=True)
class Uptime:
    """Runs one command and is content with whatever it says."""

    @property
    def kind(self) -> str:
        return "uptime"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        if check:
            return Outcome("skipped")
        return Outcome("ok", result=await remote.exec(ExecRequest("uptime")))


@dataclass(frozen=True)
class Raising:
    """Raises what it was given, after its command if it is to have run."""

    error: BaseException
    runs_first: bool = False

    @property
    def kind(self) -> str:
        return "raising"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        if self.runs_first:
            await remote.exec(ExecRequest("uptime"))
        raise self.error


@dataclass(frozen=True)
class Returning:
    """Returns something that is no outcome."""

    value: object

    @property
    def kind(self) -> str:
        return "returning"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        return self.value  # type: ignore[return-value] # the mistake


@dataclass(frozen=True)
class Seen:
    """Calls back when it runs."""

    hosts: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return "seen"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        self.hosts.append(remote.host.name)
        return Outcome("ok")


def run_on(
    names: Iterable[str],
    operation: Operation | None = None,
    *,
    limits: Limits | None = None,
    check: bool = False,
) -> Run:
    """Return a run of one operation (`Uptime` unless given) on hosts with these names."""
    return Run(
        id="r1",
        label="uptime",
        assignments=[Assignment(Host(name), operation or Uptime()) for name in names],
        limits=limits or Limits(),
        check=check,
    )
