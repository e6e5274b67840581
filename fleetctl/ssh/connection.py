"""
One authenticated connection to one host, and the commands run on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult, Ran
from fleetctl.model.trace import Trace
from fleetctl.ssh.agent_forwarding import AgentForwarding
from fleetctl.ssh.execution import Execution
from fleetctl.ssh.login_report import LoginReport
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.session import OutputCallback, Session
from fleetctl.ssh.wire import GatewayLost

#: From TERM to KILL, and from KILL to closing the channel, when a command ran out of time. Short,
#: so that a deadline is kept to half a second.
TERM_GRACE_S = 0.3
KILL_GRACE_S = 0.1

#: Between attempts to open a session on a connection that had one before.
_REOPEN_WAITS_S = (0.01, 0.03, 0.1, 0.3)

_OPEN_REFUSED = {
    1: "administratively prohibited",
    2: "connect failed",
    3: "unknown channel type",
    4: "resource shortage",
}


class SshConnection:
    """
    A transport that is logged in.

    Attributes:
        login: How the login went.
        before_close: Something else that goes on over the connection, to be brought to an end.
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
        self._spare = early_session
        self._agent_forwarding = agent_forwarding
        self._sessions = 0
        self._keepalive: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._asked_at = 0.0
        self._is_silent = False
        self._had_session = False
        self.before_close: Callable[[], Awaitable[None]] | None = None
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
        }

    async def exec(
        self, request: ExecRequest, trace: Trace, on_output: OutputCallback | None
    ) -> ExecResult:
        """
        Run one command and wait for its end.

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
            if not session.ended.done():
                trace.ran = "unknown"
                env = self.host.settings.set_env
                execution.start(
                    {**env, **request.env} if request.env else env,
                    forward_agent=self._agent_forwarding is not None,
                )
            try:
                is_in_time = await execution.follow()
            except FleetError as error:  # the dialogue's
                await self._give_up(session, trace, error, before=before, started=started)
                raise
            if not is_in_time:
                await self._end_remote(session)
                trace.command_s = monotonic() - started
                trace.ran = "yes" if session.accepted or session.has_ending else "unknown"
                raise self._timed_out(session, request, trace.command_s)
            trace.command_s = monotonic() - started
            return self._finished(session, trace, before)
        except asyncio.CancelledError:
            trace.command_s = monotonic() - started
            if trace.ran == "unknown":
                trace.ran = "yes" if session.accepted or session.has_ending else "unknown"
                trace.partial = session.result(trace.command_s)
            raise
        finally:
            self._watch(-1)
            session.close()
            await execution.close()

    async def close(self) -> None:
        """End the connection; what was written is still sent."""
        if self.before_close is not None:
            await self.before_close()
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._transport.close()
        await self._transport.ended
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
        if not self.is_open:
            raise self._lost(None)
        session, self._spare = self._spare or Session(self._transport), None
        await self._opened(session)
        waits_s = iter(_REOPEN_WAITS_S if self._had_session else ())
        while session.channel.open_refused is not None:
            # sshd counts a session until some time after it has closed its channel.
            wait_s = next(waits_s, None)
            if wait_s is None:
                raise _session_refused(session.channel.open_refused)
            await asyncio.sleep(wait_s)
            session = Session(self._transport)
            await self._opened(session)
        trace.session_s = monotonic() - started
        if not session.channel.active or session.channel.closed:
            raise self._lost(None)
        self._had_session = True
        return session

    async def _opened(self, session: Session) -> None:
        """Wait for the answer to a session's open."""
        opened = session.channel.opened
        try:
            async with asyncio.timeout(self.host.settings.connect_timeout_s):
                await opened.future
        except TimeoutError:
            self._transport.forget_channel(session.channel)
            raise FleetError(
                "session.refused",
                f"no session within {self.host.settings.connect_timeout_s:g} s",
                hint="the host may be overloaded, or at its MaxSessions",
                retryable=True,
            ) from None
        except BaseException:
            self._transport.forget_channel(session.channel)
            raise

    async def _give_up(
        self, session: Session, trace: Trace, error: FleetError, *, before: Ran, started: float
    ) -> None:
        """
        End a program whose dialogue has failed.

        Raises:
            FleetError: What had gone wrong with the session before: that is the reason then.
        """
        if not session.ended.done():
            await self._end_remote(session)
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

    async def _end_remote(self, session: Session) -> None:
        """Ask the server to end the command: TERM, then KILL. Source: RFC 4254 section 6.9."""
        for signal, grace_s in (("TERM", TERM_GRACE_S), ("KILL", KILL_GRACE_S)):
            session.channel.request("signal", signal, want_reply=False)
            await asyncio.wait((session.ended,), timeout=grace_s)
            if session.ended.done():
                return

    def _timed_out(self, session: Session, request: ExecRequest, command_s: float) -> FleetError:
        gone = "it was ended" if session.has_ending else "it may still be running there"
        return FleetError(
            "exec.timeout",
            f"no end within {request.timeout_s:g} s; {gone}",
            hint="give it more with --timeout",
            result=session.result(command_s),
        )

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


def _session_refused(answer: tuple[int, str]) -> FleetError:
    code, text = answer
    return FleetError(
        "session.refused",
        f"the server refused a session: {text or _OPEN_REFUSED.get(code, code)}",
        hint="see MaxSessions in its sshd_config",
        retryable=True,
    )
