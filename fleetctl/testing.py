"""
Doubles for tests: hosts that follow a script instead of a network, and a clock that does not wait.

Made for users' tests as much as for our own. An operation is tried on one `ScriptedRemote`; an
engine runs over a `ScriptedConnector`. What a script does not foresee fails loudly. Nothing here
opens a socket to anybody; real hosts are `fleetctl.lab`'s business.
"""

from __future__ import annotations

import asyncio
import difflib
import re
import selectors
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from fleetctl.model.errors import FleetError
from fleetctl.model.events import Event, HostFinished, Stream
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.model.trace import Trace

T = TypeVar("T")

#: Which command an answer is for: its exact text, or a pattern that matches all of it.
Matcher: TypeAlias = str | re.Pattern[str]
#: What happens then: a result, an exception that is raised, or a function that decides.
Answer: TypeAlias = ExecResult | Exception | Callable[[str], ExecResult]

Phase = Literal["resolve", "connect", "kex", "auth", "session", "command"]

_LOGIN_PHASES: tuple[Phase, ...] = ("resolve", "connect", "kex", "auth")
_FACTS: Mapping[str, object] = {
    "server_version": "SSH-2.0-Scripted",
    "cipher": "none",
    "host_key_type": "ssh-ed25519",
    "auth_method": "publickey",
}
_ANY_COMMAND = re.compile(".*", re.DOTALL)


def exited(exit_status: int = 0, *, stdout: bytes = b"", stderr: bytes = b"") -> ExecResult:
    """
    Return the result of a command that ended by itself.

    >>> exited(3, stderr=b"no such file").stderr_bytes
    12
    """
    return ExecResult(
        exit_status=exit_status,
        stdout=stdout,
        stderr=stderr,
        stdout_bytes=len(stdout),
        stderr_bytes=len(stderr),
    )


def find_answer(answers: Mapping[Matcher, Answer], command: str) -> ExecResult:
    """
    Answer a command; an exact text wins over patterns, which are tried in their order.

    Raises:
        AssertionError: Nothing is scripted for the command.
        Exception: The one that is scripted.
    """
    patterns = {key: value for key, value in answers.items() if isinstance(key, re.Pattern)}
    matching = (value for key, value in patterns.items() if key.fullmatch(command))
    answer = answers.get(command) or next(matching, None)
    if answer is None:
        raise AssertionError(_not_scripted(answers, command))
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, ExecResult) else answer(command)


def _not_scripted(answers: Mapping[Matcher, Answer], command: str) -> str:
    texts = [key.pattern if isinstance(key, re.Pattern) else key for key in answers]
    near = difflib.get_close_matches(command, texts, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"nothing is scripted for {command!r}{hint} (scripted: {texts})"


class ScriptedRemote:
    """
    A `fleetctl.model.remote.Remote` that answers from a script, for tests of one operation.

    >>> remote = ScriptedRemote({"uname -r": exited(stdout=b"6.1.0")})
    >>> asyncio.run(remote.exec(ExecRequest("uname -r"))).stdout
    b'6.1.0'
    >>> remote.commands
    ['uname -r']

    Args:
        answers: Command line -> answer. The text of a `ShellScript` is answered in the same way.
        login_failure: Raised by everything that needs a login, instead of an answer.
        facts: What `connect` returns.

    Attributes:
        requests: Everything that was asked, in order.
        logins: How often `connect` was called.
    """

    def __init__(
        self,
        answers: Mapping[Matcher, Answer] | None = None,
        *,
        host: Host | None = None,
        login_failure: FleetError | None = None,
        facts: Mapping[str, object] = _FACTS,
    ) -> None:
        self.requests: list[ExecRequest | ShellScript] = []
        self.logins = 0
        self._answers = dict(answers or {})
        self._host = host or Host("scripted")
        self._login_failure = login_failure
        self._facts = facts

    @property
    def host(self) -> Host:
        return self._host

    @property
    def commands(self) -> list[str]:
        """The command lines that were asked for, in order."""
        return [r.command for r in self.requests if isinstance(r, ExecRequest)]

    async def exec(self, request: ExecRequest) -> ExecResult:
        return self._answer(request, request.command)

    async def shell(self, script: ShellScript) -> ExecResult:
        return self._answer(script, script.script.decode())

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        self.logins += 1
        if self._login_failure is not None:
            raise self._login_failure
        return self._facts

    def _answer(self, request: ExecRequest | ShellScript, text: str) -> ExecResult:
        if self._login_failure is not None:
            raise self._login_failure
        self.requests.append(request)
        return find_answer(self._answers, text)


class EventRecorder:
    """
    A `fleetctl.model.ports.Sink` that keeps everything.

    Attributes:
        events: In the order they came.
        is_closed: The sink was told that no more will come.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_closed = False

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.is_closed = True

    @property
    def results(self) -> dict[str, HostResult]:
        """
        The result of each host that has one, by name.

        Raises:
            AssertionError: A host got two.
        """
        found: dict[str, HostResult] = {}
        for event in self.of(HostFinished):
            name = event.result.host.name
            assert name not in found, f"{name} got two results"
            found[name] = event.result
        return found

    def of(self, kind: type[T]) -> list[T]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


async def record(events: AsyncIterator[Event]) -> EventRecorder:
    """Return a recorder with all events of a run, such as ``engine.execute(run)``."""
    recorder = EventRecorder()
    async for event in events:
        recorder.handle(event)
    recorder.close()
    return recorder


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

    async def connect(self, host: Host, trace: Trace, *, open_session: bool) -> ScriptedLink:
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
        return _FACTS

    async def exec(
        self,
        request: ExecRequest,
        trace: Trace,
        on_output: Callable[[Stream, bytes], None] | None,
    ) -> ExecResult:
        """Do what the script says; the command is received between ``session`` and ``command``."""
        if not self.is_open:
            raise FleetError("session.lost", "connection lost: it was closed", retryable=True)
        connector, ran_before = self._connector, trace.ran
        await connector.enter("session", self.host, trace)
        connector.received.append(Received(self.host.name, request.command, trace))
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
        result = find_answer(connector.script_of(self.host).answers, request.command)
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


class _Skipping(selectors.DefaultSelector):
    """Moves a clock instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits for something that nobody will do")
        self.now_s += timeout
        return []


def run_in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run ``main()`` on a loop whose clock jumps to the next timer instead of waiting for it.

    An hour of sleeping takes no time, and a deadlock is an error at once. For code without threads,
    sockets and child processes: the clock does not wait for those.

    >>> run_in_virtual_time(lambda: asyncio.sleep(3600, "done"))
    'done'

    Raises:
        RuntimeError: All tasks wait and no timer is set.
    """
    selector = _Skipping()

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(selector)
        # The loop asks itself for the time before every timer.
        setattr(loop, "time", lambda: selector.now_s)  # noqa: B010 - mypy: a method
        return loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main())
