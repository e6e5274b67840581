"""
One authenticated connection to one host, and the commands run on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult, Ran
from fleetctl.model.trace import Trace
from fleetctl.ssh.agent_forwarding import AgentForwarding
from fleetctl.ssh.execution import Execution
from fleetctl.ssh.login_report import LoginReport
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.opening import Opening
from fleetctl.ssh.session import OutputCallback, Session
from fleetctl.ssh.starts import RunAs, Starts
from fleetctl.ssh.wire import GatewayLost, SocketWire

if TYPE_CHECKING:
    from fleetctl.ssh.ending import Crowd, Ended, Endings

#: What a command may take that only ends others.
_END_WITH_S = 1.0


class SshConnection:
    """
    A transport that is logged in.

    Attributes:
        login: How the login went.
        before_close: Something else that goes on over the connection, to be brought to an end.
        env: Variables for each of its commands.
        crowd: Returns what it shares with other connections when it ends commands.
    """

    def __init__(
        self,
        host: Host,
        transport: LoopTransport,
        login: LoginReport,
        address: str,
        early_session: Session | None,
        agent_forwarding: AgentForwarding | None = None,
    ) -> None:
        """
        Args:
            early_session: A session that was asked for together with the login.
            agent_forwarding: Serves programs on the host that use the agent; closed with it.
        """
        self.host = host
        self.login = login
        self.address = address
        self._transport = transport
        self._opening = Opening(
            transport, early_session, host.settings.connect_timeout_s, self._lost
        )
        self._agent_forwarding = agent_forwarding
        self._sessions = 0
        self._keepalive: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._asked_at = 0.0
        self._is_silent = False
        self.before_close: Callable[[], Awaitable[None]] | None = None
        self.env: Mapping[str, str] = host.settings.set_env
        self.crowd: Callable[[], Crowd] | None = None
        self._starts = Starts()
        self._made_endings: Endings | None = None
        self._mark(is_interactive=False)

    @property
    def is_open(self) -> bool:
        return bool(self._transport.active)

    @property
    def transport(self) -> LoopTransport:
        """For channels that are no sessions, such as those of a gateway."""
        return self._transport

    def watch_channel(self) -> None:
        """Such a channel is open: from now on a server that has gone silent is noticed."""
        self._watch(+1)

    def unwatch_channel(self) -> None:
        """It is closed; once for each `watch_channel`."""
        self._watch(-1)

    def end_reason(self) -> str:
        """Say in one line why the connection ended, in the server's words if it gave a reason."""
        transport = self._transport
        if self._is_silent:
            return f"{self._unanswered} keepalives in a row got no answer"
        cause: BaseException | None = transport.stream_error or transport.saved_exception
        text = "" if cause is None else str(cause)
        if transport.disconnected is not None:
            text = transport.disconnected[1]
        return next(iter(text.splitlines()), "") or "the server closed it"

    def facts(self) -> Mapping[str, object]:
        """Return what was agreed on: JSON types only."""
        transport = self._transport
        return {
            "server_version": transport.remote_version.removeprefix("SSH-2.0-"),
            "cipher": transport.local_cipher,
            "host_key_type": transport.host_key_type,
            "auth_method": self.login.method,
            "auth_key": self.login.key,
        }

    async def exec(
        self, request: ExecRequest, trace: Trace, on_output: OutputCallback | None
    ) -> ExecResult:
        """
        Run one command and wait for its end.

        Being cancelled ends it on the host before this returns, as its time limit does.

        Raises:
            FleetError: ``session.refused``, ``exec.refused``, ``pty.refused`` if it did not start;
                ``exec.timeout``, ``session.lost``, ``session.no_status`` with what came till then;
                what the request's dialogue raised, the command ended.
        """
        session = await self._open_session(trace)
        self._mark(is_interactive=request.pty is not None)
        self._watch(+1)
        started = monotonic()
        execution = Execution(session, request, on_output)
        before = trace.ran  # by an earlier command of the same operation
        try:
            if request.pty is not None:
                limit_s = self.host.settings.connect_timeout_s
                await execution.get_terminal(request.pty, limit_s)
                if session.lost:
                    raise self._lost(None)
            if not session.ended.done():
                trace.ran = "unknown"
                self._starts.add(session, self._ending_rights(request))
                env = self.env
                execution.start(
                    {**env, **request.env} if request.env else env,
                    forward_agent=self._agent_forwarding is not None,
                )
            try:
                is_in_time = await execution.follow()
            except FleetError as error:  # the dialogue's
                await self._give_up(session, trace, error, before=before, started=started)
                raise
            except Exception:
                await self._end(session)
                raise
            # Of a command that has ended in time only more output could come.
            ended = await self._end(session) if session.bug or not is_in_time else None
            execution.hear_out()
            if ended is not None and session.bug is None:
                trace.command_s = monotonic() - started
                trace.ran = "yes" if session.accepted or session.has_ending else "unknown"
                raise ended.timed_out(self.host.name, request, session.result(trace.command_s))
            trace.command_s = monotonic() - started
            return self._finished(session, trace, before)
        except asyncio.CancelledError:
            execution.stop()
            trace.left = await self._end_all_the_same(session) or trace.left
            execution.hear_out()
            trace.command_s = monotonic() - started
            if trace.ran == "unknown":
                trace.ran = "yes" if session.accepted or session.has_ending else "unknown"
                trace.partial = session.result(trace.command_s)
            raise
        finally:
            self._watch(-1)
            self._forget(session)
            await execution.close()

    def _forget(self, session: Session) -> None:
        self._starts.remove(session)
        if self._made_endings is not None:
            self._made_endings.over(session)
        session.close()
        self._opening.one_ended()

    async def close(self) -> None:
        """End the connection; what was written is still sent."""
        if self.before_close is not None:
            await self.before_close()
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._transport.close()
        await self._transport.ended
        if self._made_endings is not None:
            await self._made_endings.close()
        if self._agent_forwarding is not None:
            await self._agent_forwarding.close()

    def _mark(self, *, is_interactive: bool) -> None:
        setting = self.host.settings.ip_qos
        if setting is not None:
            from fleetctl.ssh.ip_qos import mark

            mark(self._transport.wire, setting, is_interactive=is_interactive)

    # -- one command

    async def _open_session(self, trace: Trace) -> Session:
        trace.phase = "session"
        started = monotonic()
        session = await self._opening.open()
        trace.session_s = monotonic() - started
        return session

    async def _give_up(
        self, session: Session, trace: Trace, error: FleetError, *, before: Ran, started: float
    ) -> None:
        """
        End a program whose dialogue has failed.

        Raises:
            FleetError: What had gone wrong with the session before: that is the reason then.
        """
        await self._end(session)
        trace.command_s = monotonic() - started
        if session.refused is not None or session.lost:
            self._finished(session, trace, before)
        trace.ran = before if error.failure.phase == "become" else "yes"
        error.result = session.result(trace.command_s)

    def _finished(self, session: Session, trace: Trace, before: Ran) -> ExecResult:
        if session.bug is not None:
            raise session.bug
        result = session.result(trace.command_s or 0.0)
        if session.refused is not None:
            trace.ran = before
            kind = "pty.refused" if session.refused == "pty-req" else "exec.refused"
            raise FleetError(
                kind,
                f"the server refused the {session.refused} request",
                hint="the account may only be allowed sftp or a forced command",
                result=result,
            )
        if session.has_ending:
            trace.ran = "yes"
            return result
        if session.lost:
            raise self._lost(result)
        trace.ran = "yes" if session.accepted else "unknown"
        raise FleetError(
            "session.no_status",
            "the command ended and the server sent no exit status",
            hint="the process that served the connection may have been killed there",
            result=result,
        )

    def _lost(self, result: ExecResult | None) -> FleetError:
        cause = self._transport.stream_error
        at_gateway = isinstance(cause, GatewayLost)
        return FleetError(
            "gateway.lost" if at_gateway and result is None else "session.lost",
            f"connection lost: {self.end_reason()}",
            hint="whether the command went on there is not known" if result else None,
            retryable=result is None,
            hop=cause.hop if isinstance(cause, GatewayLost) else None,
            result=result,
        )

    async def _end(self, session: Session) -> Ended | None:
        """End what was asked for; None if nothing was, or that has ended by itself."""
        if session not in self._starts or not self._endings.may_end(session):
            return None
        ended = await self._endings.end(session)
        return None if ended.is_own_end else ended

    @property
    def _endings(self) -> Endings:
        """Ends commands that run here; most connections never need it."""
        if self._made_endings is None:
            from fleetctl.ssh.ending import MAX_AT_ONCE, Crowd, Endings

            wire = self._transport.wire
            client = wire.local_end if isinstance(wire, SocketWire) else None
            crowd = Crowd(asyncio.Semaphore(MAX_AT_ONCE)) if self.crowd is None else self.crowd()
            self._made_endings = Endings(self._transport, client, self._starts, crowd)
        return self._made_endings

    def _ending_rights(self, request: ExecRequest) -> RunAs | None:
        """Return what runs a line that ends processes of a command of another user."""
        end_with = request.end_with
        if end_with is None:
            return None

        async def run(line: str) -> None:
            command = replace(end_with(line), timeout_s=_END_WITH_S, end_with=None)
            with suppress(FleetError):  # what it did is seen by looking at the processes
                await self.exec(command, Trace(), None)

        return run

    async def _end_all_the_same(self, session: Session) -> str | None:
        """End it although this task is cancelled, once more or once again; return its hint."""
        while True:
            try:
                ended = await self._end(session)
            except asyncio.CancelledError:
                continue
            return ended.hint(self.host.name) if ended is not None else None

    # -- keepalive while a session is open

    def _watch(self, change: int) -> None:
        self._sessions += change
        interval_s = self.host.settings.server_alive_interval_s
        if self._sessions == 0 and self._keepalive is not None:
            self._keepalive.cancel()
            self._keepalive = None
        elif self._sessions and self._keepalive is None and interval_s > 0:
            self._unanswered = 0
            self._keepalive = self._transport.loop.call_later(interval_s, self._ask_alive)

    def _ask_alive(self) -> None:
        """Whatever was received is a sign of life; else ask, and count what is not answered."""
        interval_s = self.host.settings.server_alive_interval_s
        last_received, now = self._transport.last_received, monotonic()
        if last_received > self._asked_at:
            self._unanswered = 0
        if self._unanswered == self.host.settings.server_alive_count_max:
            self._is_silent = True
            self._transport.abort()
            return
        if now - last_received >= interval_s or self._unanswered:
            self._unanswered += 1
            self._asked_at = now
            self._transport.request_global("keepalive@openssh.com")
        self._keepalive = self._transport.loop.call_later(interval_s, self._ask_alive)
