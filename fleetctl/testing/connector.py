"""
Hosts that follow a script: an engine runs over them without a network.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.ports import OutputListener
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from fleetctl.testing.answers import FACTS, Answer, Matcher, exited, find_answer

Phase = Literal["resolve", "connect", "kex", "auth", "session", "command"]

_LOGIN_PHASES: tuple[Phase, ...] = ("resolve", "connect", "kex", "auth")
_ANY_COMMAND = re.compile(".*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HostScript:
    """
    What one scripted host does, phase by phase.

    Attributes:
        answers: As for `ScriptedRemote`; by default every command exits with 0 and says nothing.
        delays_s: Phase -> seconds it takes.
        failures: Phase -> what goes wrong the first, second, ... time the phase is entered; None
            goes well, and so does everything after the last one. An exception that is not a
            `FleetError` plays a bug.
        holds: Phase -> an event that the phase waits for.
        closing_s: Seconds that closing the connection takes.
    """

    answers: Mapping[Matcher, Answer] = field(default_factory=lambda: {_ANY_COMMAND: exited()})
    delays_s: Mapping[Phase, float] = field(default_factory=dict)
    failures: Mapping[Phase, Sequence[Exception | None]] = field(default_factory=dict)
    holds: Mapping[Phase, asyncio.Event] = field(default_factory=dict)
    closing_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Received:
    """A command that reached a host: the truth that `ran` is measured by."""

    host: str
    command: str
    trace: Trace


class ScriptedConnector:
    """
    A `fleetctl.model.ports.Connector` to scripted hosts: runs an engine without a network.

    >>> connector = ScriptedConnector({"web1": HostScript(delays_s={"command": 0.5})})

    Args:
        scripts: Host name -> what it does; a host that is missing logs in and does all it is told.

    Attributes:
        attempts: The host and the trace of each try to connect, in order.
        received: Every command that reached a host, in order.
        links: Every connection that was made, in order.
        most_connecting: Most connects in progress at once.
        most_per_endpoint: The same for the busiest address and port.
        is_closed: `aclose` was called.
    """

    def __init__(self, scripts: Mapping[str, HostScript] | None = None) -> None:
        self.attempts: list[tuple[str, Trace]] = []
        self.received: list[Received] = []
        self.links: list[ScriptedLink] = []
        self.most_connecting = 0
        self.most_per_endpoint = 0
        self.is_closed = False
        self._scripts = dict(scripts or {})
        self._connecting: Counter[tuple[str, int]] = Counter()
        self._failures: dict[tuple[str, Phase], deque[Exception | None]] = {}

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> ScriptedLink:
        endpoint = host.hostname, host.settings.port
        self.attempts.append((host.name, trace))
        self._connecting[endpoint] += 1
        self.most_connecting = max(self.most_connecting, self._connecting.total())
        self.most_per_endpoint = max(self.most_per_endpoint, self._connecting[endpoint])
        try:
            for phase in _LOGIN_PHASES:
                await self.enter(phase, host, trace)
        finally:
            self._connecting[endpoint] -= 1
        trace.address = "192.0.2.1"  # RFC 5737: an address for documentation
        link = ScriptedLink(host, self)
        self.links.append(link)
        return link

    async def aclose(self) -> None:
        self.is_closed = True

    def script_of(self, host: Host) -> HostScript:
        return self._scripts.get(host.name, _OBEDIENT)

    async def enter(self, phase: Phase, host: Host, trace: Trace) -> None:
        """
        Spend a phase as scripted.

        Raises:
            Exception: The failure scripted for this time.
        """
        script = self.script_of(host)
        trace.phase = phase
        if phase in script.holds:
            await script.holds[phase].wait()
        await asyncio.sleep(script.delays_s.get(phase, 0.0))
        key, scripted = (host.name, phase), script.failures.get(phase, ())
        failures = self._failures.setdefault(key, deque(scripted))
        failure = failures.popleft() if failures else None
        if failure is not None:
            raise failure


class ScriptedLink:
    """
    A `fleetctl.model.ports.Link` to one scripted host.

    Attributes:
        is_open: False once closed or dropped.
        closings: How often it was closed.
    """

    def __init__(self, host: Host, connector: ScriptedConnector) -> None:
        self.host = host
        self.is_open = True
        self.closings = 0
        self._connector = connector

    def facts(self) -> Mapping[str, object]:
        return FACTS

    async def exec(
        self,
        request: ExecRequest,
        trace: Trace,
        on_output: OutputListener | None,
    ) -> ExecResult:
        """Do what the script says; the command is received between ``session`` and ``command``."""
        if not self.is_open:
            raise FleetError("session.lost", "connection lost: it was closed", retryable=True)
        connector, ran_before = self._connector, trace.ran
        await connector.enter("session", self.host, trace)
        text = request.stdin.decode() if request.is_shell else request.command
        connector.received.append(Received(self.host.name, text, trace))
        trace.ran = "unknown"
        try:
            await connector.enter("command", self.host, trace)
        except asyncio.CancelledError:
            trace.partial = ExecResult(exit_status=None, output_complete=False)
            raise
        except FleetError as error:
            if error.kind in ("exec.refused", "pty.refused"):
                trace.ran = ran_before
            elif error.kind == "session.lost":
                self.drop()
            raise
        result = find_answer(connector.script_of(self.host).answers, text)
        trace.ran = "yes"
        if on_output is not None and result.stdout:
            on_output("stdout", result.stdout)
        if on_output is not None and result.stderr:
            on_output("stderr", result.stderr)
        return result

    def drop(self) -> None:
        """Lose the connection, as when the host goes away."""
        self.is_open = False

    async def close(self) -> None:
        self.is_open = False
        await asyncio.sleep(self._connector.script_of(self.host).closing_s)
        self.closings += 1


_OBEDIENT = HostScript()
