"""
One attempt to connect to one host: resolve, dial, negotiate, check the host key, log in.

One absolute deadline covers all of it, started when the attempt is admitted and never moved by
traffic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Protocol, TypeVar

from fleetctl.model.errors import FleetError
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from fleetctl.ssh.agent_forwarding import CHANNEL_KIND, AgentForwarding
from fleetctl.ssh.algorithms import algorithms_for
from fleetctl.ssh.auth import Credentials, Login
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.dial import dial
from fleetctl.ssh.host_key_check import NOT_CHECKED, AskHostKey, HostKeyCheck, HostKeyQuestion
from fleetctl.ssh.host_key_learning import HostKeyLearner
from fleetctl.ssh.host_verdict import HostKeyFiles, Judgement
from fleetctl.ssh.identity import SessionBinding
from fleetctl.ssh.login_report import LoginReport
from fleetctl.ssh.loop_transport import Agreements, LoopTransport
from fleetctl.ssh.pacing import Patience, TurnedAway
from fleetctl.ssh.resolver import Address, Resolver
from fleetctl.ssh.seen_host_keys import SeenHostKeys
from fleetctl.ssh.session import Session
from fleetctl.ssh.standstill import standing_still
from fleetctl.ssh.translate import (
    foreign_greeting,
    has_too_many,
    negotiation_failure,
    negotiation_timeout,
)
from fleetctl.ssh.update_hostkeys import HostKeyUpdate
from fleetctl.ssh.wire import GatewayLost, Wire

__all__ = ["AskHostKey", "ConnectAttempt", "HostKeyQuestion", "Route"]

T = TypeVar("T")


class Route(Protocol):
    """A way to a host other than dialling it: through gateways, or by a program."""

    async def reach(self, hostname: str, port: int) -> Wire:
        """
        Return a stream to the host; the caller bounds the time.

        Raises:
            FleetError: Kinds ``resolve`` to ``connect`` and ``gateway``; nothing stays open.
        """
        ...

    async def explain(self, error: FleetError) -> FleetError:
        """Return what really failed, if the way knows it better, else the error."""
        ...


@dataclass(slots=True, eq=False)
class ConnectAttempt:
    """
    What one attempt needs and has reached.

    Attributes:
        patience: How long the host may take before it lends its turn.
        route: How the host is reached; None to dial it.
        host_key_algorithms: To offer; empty for those of the settings, known keys first.
        learner: Writes down host keys that are accepted.
        seen: Which keys hosts showed before; None if nobody remembers.
        credentials: None if nobody is to log in.
        ask_host_key: None if nobody can be asked.
        warn: Told about risks that were accepted.
        transport: The transport once there is one; closed unless `run` returns.
        addresses: Those that were found.
        judgement: Why the host key is trusted, once it is.
        report: How the login went so far.
    """

    host: Host
    trace: Trace
    resolver: Resolver
    host_key_files: HostKeyFiles
    learner: HostKeyLearner
    seen: SeenHostKeys | None
    credentials: Credentials | None
    identification: str
    agreements: Agreements
    ask_host_key: AskHostKey | None
    warn: Callable[[str], None]
    patience: Patience
    route: Route | None = None
    host_key_algorithms: tuple[str, ...] = ()
    transport: LoopTransport | None = None
    addresses: Sequence[Address] = ()
    judgement: Judgement | None = None
    report: LoginReport = field(default_factory=LoginReport)
    _check: HostKeyCheck | None = None
    _agreed: tuple[Finding, ...] = ()
    _phase_began: float = 0.0

    async def run(self, deadline_at: float, *, open_session: bool) -> SshConnection:
        """
        Return a connection that is logged in.

        Args:
            deadline_at: Time of the loop's clock at which it is given up.

        Raises:
            TurnedAway: The server closed the connection before its version line.
            FleetError: Kinds ``resolve`` to ``auth`` and ``gateway``; nothing stays open.
        """

        async def log_in(transport: LoopTransport, deadline: asyncio.Timeout) -> SshConnection:
            check = self.host_key_check
            judgement = await check.run(transport, deadline, self.trace.address)
            self.judgement = judgement
            update = HostKeyUpdate.start(check, judgement, transport)
            connection = await self._log_in(
                transport,
                deadline,
                open_session=open_session,
                is_verified=judgement.reason != NOT_CHECKED,
            )
            if update is not None:
                connection.before_close = update.finish
            return connection

        return await self._keyed(deadline_at, log_in)

    async def look(self, deadline_at: float) -> LoopTransport:
        """
        Let the server show its host key and prove it, log in to nobody, and close the connection.

        Raises:
            TurnedAway: As `run`.
            FleetError: Kinds ``resolve`` to ``kex`` and ``gateway``.
        """

        async def leave(transport: LoopTransport, _: asyncio.Timeout) -> LoopTransport:
            transport.close()
            await transport.ended
            return transport

        return await self._keyed(deadline_at, leave)

    async def _keyed(
        self,
        deadline_at: float,
        work: Callable[[LoopTransport, asyncio.Timeout], Awaitable[T]],
    ) -> T:
        """Exchange keys and go on with this work, all of it before the deadline."""
        self.trace.start_over()
        try:
            async with asyncio.timeout_at(deadline_at) as deadline:
                return await work(await self._reach(), deadline)
        except TimeoutError:
            self._give_up()
            raise self._timed_out(self.host.settings.connect_timeout_s) from None
        except FleetError as error:
            self._give_up()
            raise await self._explained(error) from error
        except BaseException:
            self._give_up()
            raise
        finally:
            self.patience.forget(self)
            if self.trace.findings is not None:
                self.trace.findings[:] = self._findings()

    def _findings(self) -> Iterator[Finding]:
        """Yield what was found out, whether the attempt succeeded or not."""
        from fleetctl.ssh import examine

        trace, transport = self.trace, self.transport
        yield from examine.describe_reach(
            self.host, trace, self.addresses, is_connected=transport is not None
        )
        if transport is None:
            return
        yield from self._agreed or examine.describe_keys(transport, trace)
        if self.judgement is None:
            return
        shown = self.host_key_check.read_key(transport)
        yield from examine.describe_host_key(shown, self.judgement)
        if self.credentials is not None:
            keys = [identity.blob for identity in self.credentials.identities]
            yield from examine.describe_login(self.report, self.credentials.user, trace, keys)

    def _give_up(self) -> None:
        phase = f"{self.trace.phase}_s"
        if self._phase_began and getattr(self.trace, phase) is None:
            setattr(self.trace, phase, self._phase_s())
        if self.transport is not None:
            self.transport.abort()

    def _enter(self, phase: str) -> None:
        self.trace.phase = phase
        self._phase_began = monotonic()

    def _phase_s(self) -> float:
        return monotonic() - self._phase_began

    async def _explained(self, error: FleetError) -> FleetError:
        """Return the error under the name of what caused it."""
        transport = self.transport
        lost = transport.stream_error if transport is not None else None
        if isinstance(lost, GatewayLost):
            return FleetError("gateway.lost", str(lost), retryable=True, hop=lost.hop)
        greeted = transport is not None and transport.remote_version
        if self.route is not None and not greeted:
            error = await self.route.explain(error)
        if greeted or error.kind not in ("connect.dropped", "connect.reset"):
            return error
        failure = error.failure
        return TurnedAway(
            failure.kind,
            failure.message,
            hint=failure.hint,
            retryable=failure.retryable,
            hop=failure.hop,
            has_reason=transport is not None and has_too_many(transport.banner_lines),
        )

    # -- Watched

    @property
    def has_answered(self) -> bool:
        return self.transport is not None and bool(self.transport.first_received)

    @property
    def has_keys(self) -> bool:
        return self.transport is not None and self.transport.host_key_blob is not None

    def lend_turn(self) -> None:
        if self.trace.turn is not None:
            self.trace.turn.lend()

    # -- the way there

    async def _open_wire(self) -> Wire:
        host, settings, trace = self.host, self.host.settings, self.trace
        if self.route is not None:
            self._enter("connect")
            return await self.route.reach(host.hostname, settings.port)
        self._enter("resolve")
        addresses = await self.resolver.resolve(
            host.hostname, settings.port, settings.address_family
        )
        trace.resolve_s = self._phase_s()
        self._enter("connect")
        self.addresses = addresses
        wire, trace.address = await dial(addresses, settings)
        return wire

    async def _reach(self) -> LoopTransport:
        settings, trace = self.host.settings, self.trace
        algorithms = algorithms_for(settings)
        began = monotonic()
        if trace.turn is not None:
            self.patience.watch(self, began)
        wire = await self._open_wire()
        trace.connect_s = self._phase_s()
        self._enter("kex")
        self.transport = transport = LoopTransport(
            wire, identification=self.identification, agreements=self.agreements
        )
        if settings.rekey_limit_bytes is not None:
            transport.set_rekey_limit(settings.rekey_limit_bytes)
        transport.use_algorithms(
            algorithms,
            host_keys=self.host_key_algorithms or self.host_key_check.order(algorithms.host_keys),
        )
        transport.negotiate()
        await transport.negotiated.future
        if not transport.active:
            raise negotiation_failure(transport)
        trace.kex_s = self._phase_s()
        if trace.findings is not None:
            # The peer's offer is not kept for longer than it is needed.
            from fleetctl.ssh import examine

            self._agreed = tuple(examine.describe_keys(transport, trace))
        self.patience.answer.note(transport.first_received - began)
        self.patience.keys.note(monotonic() - began)
        return transport

    @property
    def host_key_check(self) -> HostKeyCheck:
        """The check of the host's key, made when it is first needed."""
        if self._check is None:
            self._check = HostKeyCheck(
                *(self.host, self.host_key_files, self.ask_host_key, self.warn, self.learner),
                seen=self.seen,
            )
        return self._check

    def _timed_out(self, limit_s: float) -> FleetError:
        phase, transport, settings = self.trace.phase, self.transport, self.host.settings
        if phase == "kex" and transport is not None:
            return foreign_greeting(transport.banner_lines) or negotiation_timeout(
                transport, limit_s
            )
        where = f"{self.trace.address or self.host.hostname} port {settings.port}"
        if phase == "auth":
            return FleetError(
                "auth.timeout",
                f"the login did not end within {limit_s:g} s",
                hint="the host may be overloaded, or waiting for its name service or PAM",
                retryable=True,
            )
        if phase == "connect":
            return FleetError(
                "connect.timeout",
                f"{where} did not answer within {limit_s:g} s",
                hint="is the host up, and does a firewall drop packets?",
                retryable=True,
            )
        return FleetError(
            "resolve.timeout",
            f"{self.host.hostname}: no answer from the name service within {limit_s:g} s",
            hint="check the name servers, or set HostName (ansible_host) to its address",
            retryable=True,
        )

    # -- login

    async def _log_in(
        self,
        transport: LoopTransport,
        deadline: asyncio.Timeout,
        *,
        open_session: bool,
        is_verified: bool,
    ) -> SshConnection:
        self._enter("auth")
        early: list[Session] = []
        # Seen to work with OpenSSH only; others close the connection, and delayed compression
        # breaks it.
        may_open_early = (
            open_session
            and transport.remote_version.startswith("SSH-2.0-OpenSSH_")
            and transport.local_compression == "none"
        )

        def on_sent() -> None:
            if may_open_early:
                early.append(Session(transport))

        def on_refused() -> None:
            while early:
                transport.forget_channel(early.pop().channel)

        assert self.credentials is not None
        binding = SessionBinding(
            transport.host_key_blob or b"", transport.session_id, transport.host_key_signature
        )
        login = Login(
            transport,
            self.credentials,
            on_sent=on_sent,
            on_refused=on_refused,
            asking=partial(standing_still, deadline),
            binding=binding,
            is_verified=is_verified,
            report=self.report,
        )
        report = await login.run()
        self.trace.auth_s = self._phase_s()
        forwarding = None
        if self.credentials.forward_agent is not None and is_verified:
            forwarding = AgentForwarding(self.credentials.forward_agent, binding)
            transport.accept_channels(CHANNEL_KIND, forwarding.accept)
        return SshConnection(
            self.host,
            transport,
            report,
            self.trace.address or "",
            early.pop() if early else None,
            agent_forwarding=forwarding,
        )
