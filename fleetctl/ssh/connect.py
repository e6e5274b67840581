"""
One attempt to connect to one host: resolve, dial, negotiate, check the host key, log in.

One absolute deadline covers all of it, started when the attempt is admitted and never moved by
traffic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from fleetctl.ssh.algorithms import algorithms_for, order_host_keys
from fleetctl.ssh.auth import Credentials, Login
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.dial import dial
from fleetctl.ssh.hostkeys import Judgement, KnownHosts, add_line, lookup_names, render_line
from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.loop_transport import Agreements, LoopTransport
from fleetctl.ssh.resolver import Resolver
from fleetctl.ssh.session import Session
from fleetctl.ssh.translate import foreign_greeting, negotiation_failure, negotiation_timeout


@dataclass(frozen=True, slots=True)
class HostKeyQuestion:
    """
    Asked when a host key is not known and somebody is there to answer.

    Attributes:
        known_elsewhere: Lines that know other keys of the host, as ``file:line``.
    """

    host: Host
    address: str
    key_type: str
    fingerprint: str
    known_elsewhere: tuple[str, ...] = ()


AskHostKey = Callable[[HostKeyQuestion], Awaitable[bool]]


@dataclass(slots=True)
class ConnectAttempt:
    """
    What one attempt needs and has reached.

    Attributes:
        ask_host_key: None if nobody can be asked.
        warn: Told about risks that were accepted.
        transport: The transport once there is one; closed unless `run` returns.
    """

    host: Host
    trace: Trace
    resolver: Resolver
    known_hosts: KnownHosts
    credentials: Credentials
    identification: str
    agreements: Agreements
    ask_host_key: AskHostKey | None
    warn: Callable[[str], None]
    transport: LoopTransport | None = None
    _phase_began: float = 0.0

    async def run(self, *, open_session: bool) -> SshConnection:
        """
        Return a connection that is logged in.

        Raises:
            FleetError: Kinds ``resolve`` to ``auth``; nothing stays open.
        """
        limit_s = self.host.settings.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s) as deadline:
                transport = await self._reach()
                await self._check_host_key(transport, deadline)
                return await self._log_in(transport, open_session=open_session)
        except TimeoutError:
            self._give_up()
            raise self._timed_out(limit_s) from None
        except BaseException:
            self._give_up()
            raise

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

    async def _reach(self) -> LoopTransport:
        host, settings, trace = self.host, self.host.settings, self.trace
        algorithms = algorithms_for(settings)
        self._enter("resolve")
        addresses = await self.resolver.resolve(
            host.hostname, settings.port, settings.address_family
        )
        trace.resolve_s = self._phase_s()
        self._enter("connect")
        wire, trace.address = await dial(addresses, settings)
        trace.connect_s = self._phase_s()
        self._enter("kex")
        self.transport = transport = LoopTransport(
            wire, identification=self.identification, agreements=self.agreements
        )
        if settings.rekey_limit_bytes is not None:
            transport.set_rekey_limit(settings.rekey_limit_bytes)
        known_types = [key.key_type for key in self.known_hosts.lookup(self._names())]
        transport.use_algorithms(
            algorithms, host_keys=order_host_keys(algorithms.host_keys, known_types)
        )
        transport.negotiate()
        await transport.negotiated.future
        if not transport.active:
            raise negotiation_failure(transport)
        trace.kex_s = self._phase_s()
        return transport

    def _names(self) -> tuple[str, ...]:
        settings = self.host.settings
        if settings.host_key_alias:
            return (settings.host_key_alias.lower(),)
        return lookup_names(self.host.hostname, settings.port)

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
            retryable=True,
        )

    # -- host key

    async def _check_host_key(self, transport: LoopTransport, deadline: asyncio.Timeout) -> None:
        blob = transport.host_key_blob
        assert blob is not None
        key_type = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
        names = self._names()
        judgement = self.known_hosts.judge(names, key_type, blob)
        if judgement.verdict == "trusted":
            return
        if judgement.verdict != "unknown":
            raise self._refuse_key(judgement, blob)
        strictness = self.host.settings.strict_host_key_checking
        if strictness == "no":
            self.warn(
                f"{self.host.name}: host key {fingerprint(blob)} is not known and was not checked "
                "(StrictHostKeyChecking no)"
            )
            return
        if strictness == "ask" and self.ask_host_key is not None:
            question = HostKeyQuestion(
                host=self.host,
                address=self.trace.address or "",
                key_type=key_type,
                fingerprint=fingerprint(blob),
                known_elsewhere=tuple(key.where for key in judgement.known),
            )
            # A person who compares fingerprints must not be hurried.
            remaining_s = (deadline.when() or 0.0) - transport.loop.time()
            deadline.reschedule(None)
            accepted = await self.ask_host_key(question)
            deadline.reschedule(transport.loop.time() + max(remaining_s, 1.0))
            if not accepted or not transport.active:
                raise self._refuse_key(judgement, blob)
        elif strictness != "accept-new":
            raise self._refuse_key(judgement, blob)
        await self._learn(names, key_type, blob)

    async def _learn(self, names: tuple[str, ...], key_type: str, blob: bytes) -> None:
        settings = self.host.settings
        if not settings.user_known_hosts_files:
            return
        file = settings.user_known_hosts_files[0]
        line = render_line(names[0], key_type, blob, hashed=settings.hash_known_hosts)
        try:
            judgement = await in_thread(add_line, file, names, line, key_type, blob)
        except OSError as error:
            self.warn(f"{file}: the key of {self.host.name} was not written: {error.strerror}")
            return
        if judgement.verdict != "trusted":
            raise self._refuse_key(judgement, blob)
        self.known_hosts.learn(names[0], key_type, blob, file)

    def _refuse_key(self, judgement: Judgement, blob: bytes) -> FleetError:
        names, sent = self._names(), fingerprint(blob)
        if judgement.verdict == "revoked":
            return FleetError(
                "hostkey.revoked",
                f"{judgement.known[0].where} revokes the key the server sent, {sent}",
                hint="do not log in; find out who answers at this address",
            )
        if judgement.verdict == "changed":
            known = ", ".join(f"{key.where} has {key.fingerprint}" for key in judgement.known)
            file = judgement.known[0].file
            return FleetError(
                "hostkey.changed",
                f"host key changed: {known}, server sent {sent}",
                hint=f"if {self.host.name} was rebuilt: ssh-keygen -R '{names[0]}' -f {file}",
            )
        files = self.host.settings.user_known_hosts_files or ("~/.ssh/known_hosts",)
        port = self.host.settings.port
        return FleetError(
            "hostkey.unknown",
            f"no known_hosts file knows {names[0]}; the server sent {sent}",
            hint=(
                "compare the fingerprint, then: "
                f"ssh-keyscan -p {port} {self.host.hostname} >> {files[0]}"
                "; or -o StrictHostKeyChecking=accept-new"
            ),
        )

    # -- login

    async def _log_in(self, transport: LoopTransport, *, open_session: bool) -> SshConnection:
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

        login = Login(transport, self.credentials, on_sent=on_sent, on_refused=on_refused)
        report = await login.run()
        self.trace.auth_s = self._phase_s()
        return SshConnection(
            self.host, transport, report, self.trace.address or "", early.pop() if early else None
        )
