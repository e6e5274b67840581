"""
Opens connections, and holds what they share: names, known_hosts, identities and agents.

How many connect at once is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from fleetctl import __version__
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.ports import SecretProvider
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace, Turn
from fleetctl.ssh.auth import Credentials
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.connect import AskHostKey, ConnectAttempt, Route
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.credentials import CredentialStore
from fleetctl.ssh.host_key_check import HostKeyCheck
from fleetctl.ssh.host_key_learning import HostKeyLearner
from fleetctl.ssh.host_verdict import HostKeyFiles, load_host_key_files
from fleetctl.ssh.loop_transport import Agreements, LoopTransport
from fleetctl.ssh.pacing import Pacing, Patience
from fleetctl.ssh.remembered_keys import RememberedKeys
from fleetctl.ssh.resolver import Resolver
from fleetctl.ssh.seen_host_keys import SeenHostKeys

if TYPE_CHECKING:
    from fleetctl.ssh.ending import Crowd
    from fleetctl.ssh.gateway import Gateways
    from fleetctl.ssh.proxy_command import Proxies
    from fleetctl.ssh.send_env import SentVariables


T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class _ConnectOnce(Protocol[T_co]):
    def __call__(self, deadline_at: float, *, route: Route | None) -> Awaitable[T_co]: ...


class SshConnector:
    """
    Opens connections; shared by all runs of a process.

    Args:
        secrets: Asked for passwords and passphrases.
        ask_host_key: Asked about an unknown host key where StrictHostKeyChecking is ``ask``; None
            refuses it.
        warn: Told once about each thing worth knowing, such as a bad line in known_hosts.
        environ: Where SSH_AUTH_SOCK and variables named by IdentityAgent are looked up.
        remembered: Which key each host took the last time; None to remember nothing.
        seen: Which key each host showed the last time, and where; None to remember nothing.
    """

    def __init__(
        self,
        *,
        secrets: SecretProvider,
        ask_host_key: AskHostKey | None = None,
        warn: Callable[[str], None] = lambda _: None,
        environ: Mapping[str, str] = MappingProxyType({}),
        remembered: RememberedKeys | None = None,
        seen: SeenHostKeys | None = None,
    ) -> None:
        self._ask_host_key = ask_host_key
        self._tell = warn
        self._told: set[str] = set()
        self._resolver = Resolver()
        self._credentials = CredentialStore(
            secrets=secrets, warn=self._warn, environ=environ, remembered=remembered
        )
        self._host_key_files: dict[object, asyncio.Task[HostKeyFiles]] = {}
        self._learner = HostKeyLearner()
        self._seen = seen
        self._agreements: Agreements = {}
        self._environ = environ
        self._pacing = Pacing()
        self._patience = Patience()
        self._ending_turns: asyncio.Semaphore | None = None
        # Made when the first host needs them.
        self._gateways: Gateways | None = None
        self._proxies: Proxies | None = None
        self._sent: SentVariables | None = None
        self._identification = f"fleetctl_{__version__}"

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> SshConnection:
        """
        Return a connection that is logged in.

        Args:
            trace: Gets the phase, its times and the address; its turn is lent while the host waits
                for a gateway or a crowded server, or does not answer.
            open_session: A command follows: ask for its session together with the login.
            login: With what; None for all that the host's settings allow.

        Raises:
            FleetError: Kinds ``resolve`` to ``auth`` and ``gateway``; nothing stays open.
        """
        # Files and prompts come before the deadline starts: a person thinking about a passphrase
        # must not cost the host its time.
        host_key_files = await self._load_host_key_files(host.settings)
        credentials = await self._credentials.of(host, login)

        async def once(deadline_at: float, *, route: Route | None) -> SshConnection:
            attempt = self._attempt(host, trace, host_key_files, credentials, route)
            return await attempt.run(deadline_at, open_session=open_session)

        connection = await self._by_its_way(host, trace.turn, once)
        connection.crowd = partial(self._crowd, host)
        if host.settings.send_env:
            sent = self._sent = self._sent or self._make_sent()
            connection.env = {**sent.of(host.settings.send_env), **host.settings.set_env}
        return connection

    async def look(
        self, host: Host, trace: Trace, algorithms: tuple[str, ...] = ()
    ) -> tuple[LoopTransport, HostKeyCheck]:
        """
        Let a host show its key, without logging in.

        Args:
            algorithms: Host key algorithms to offer; empty for those `connect` would offer.

        Returns:
            The connection, which is closed, and what `connect` would check the key with.

        Raises:
            FleetError: Kinds ``resolve`` to ``kex`` and ``gateway``.
        """
        files = await self._load_host_key_files(host.settings)

        async def once(
            deadline_at: float, *, route: Route | None
        ) -> tuple[LoopTransport, HostKeyCheck]:
            attempt = self._attempt(host, trace, files, None, route)
            attempt.host_key_algorithms = algorithms
            return await attempt.look(deadline_at), attempt.host_key_check

        return await self._by_its_way(host, trace.turn, once)

    def _attempt(
        self,
        host: Host,
        trace: Trace,
        files: HostKeyFiles,
        credentials: Credentials | None,
        route: Route | None,
    ) -> ConnectAttempt:
        return ConnectAttempt(
            host=host,
            trace=trace,
            resolver=self._resolver,
            host_key_files=files,
            learner=self._learner,
            seen=self._seen,
            credentials=credentials,
            identification=self._identification,
            agreements=self._agreements,
            ask_host_key=None if host.settings.batch_mode else self._ask_host_key,
            warn=self._warn,
            patience=self._patience,
            route=route,
        )

    async def _by_its_way(
        self,
        host: Host,
        turn: Turn | None,
        once: _ConnectOnce[T],
    ) -> T:
        settings = host.settings
        limit_s = settings.connect_timeout_s
        endpoint: tuple[object, ...] = (host.hostname, settings.port)
        where = f"{host.hostname} port {settings.port}"
        if settings.gateways:
            return await self._through_gateways(host, turn, once)
        if settings.proxy_command is not None:
            proxies = self._proxies = self._proxies or self._make_proxies()
            route = proxies.route(settings.proxy_command)
            # What is the same for all hosts behind it is likely to be one server.
            template = settings.proxy_command.replace(host.hostname, "%h")
            endpoint, where = ("command", template), f"ProxyCommand {route.program}"
            return await self._pacing.connect(
                endpoint, where, partial(once, route=route), limit_s=limit_s, turn=turn
            )
        return await self._pacing.connect(
            endpoint, where, partial(once, route=None), limit_s=limit_s, turn=turn
        )

    async def _through_gateways(
        self,
        host: Host,
        turn: Turn | None,
        once: _ConnectOnce[T],
    ) -> T:
        from fleetctl.ssh.gateway import Gateways, hop_name
        from fleetctl.ssh.stream_refusal import StreamRefused

        gateways = self._gateways = self._gateways or Gateways(self._connect_gateway)
        settings = host.settings
        hops = tuple((hop_name(hop), hop.port) for hop in settings.gateways)
        while True:
            lease = await gateways.lease(settings.gateways, turn)
            try:
                return await self._pacing.connect(
                    (*hops, host.hostname, settings.port),
                    f"{host.hostname} port {settings.port}, behind {hops[-1][0]},",
                    partial(once, route=lease),
                    limit_s=settings.connect_timeout_s,
                    turn=turn,
                )
            except StreamRefused as refused:
                if not gateways.may_be_full(settings.gateways, refused):
                    raise
            finally:
                lease.give_back()

    async def _connect_gateway(self, host: Host) -> SshConnection:
        return await self.connect(host, Trace(), open_session=False)

    def _crowd(self, host: Host) -> Crowd:
        from fleetctl.ssh.ending import MAX_AT_ONCE, Crowd

        if self._ending_turns is None:
            self._ending_turns = asyncio.Semaphore(MAX_AT_ONCE)
        return Crowd(self._ending_turns, partial(self._connect_silently, host))

    async def _connect_silently(self, host: Host) -> SshConnection:
        """Return another connection; nobody is asked for anything, commands are being ended."""
        silent = replace(host, settings=replace(host.settings, batch_mode=True))
        return await self.connect(silent, Trace(), open_session=False)

    def _make_sent(self) -> SentVariables:
        from fleetctl.ssh.send_env import SentVariables

        return SentVariables(self._environ)

    def _make_proxies(self) -> Proxies:
        from fleetctl.ssh.proxy_command import Proxies

        return Proxies(shell=self._environ.get("SHELL") or "/bin/sh")

    async def aclose(self) -> None:
        """Close what connections share; the connections themselves belong to their owner."""
        if self._gateways is not None:
            await self._gateways.aclose()
        if self._proxies is not None:
            await self._proxies.aclose()
        await self._credentials.close()
        await self._learner.close()
        if self._seen is not None:
            await self._seen.save()
        await self._resolver.close()

    def _warn(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._tell(message)

    async def _load_host_key_files(self, settings: HostSettings) -> HostKeyFiles:
        """Return what the files of these settings know; read once for all hosts."""
        known = (*settings.user_known_hosts_files, *settings.global_known_hosts_files)
        key = known, settings.revoked_host_keys_files
        task = self._host_key_files.get(key)
        if task is None:
            task = self._host_key_files[key] = asyncio.ensure_future(
                in_thread(
                    load_host_key_files,
                    [expand_path(file) for file in known],
                    [expand_path(file) for file in settings.revoked_host_keys_files],
                )
            )
        if self._seen is not None:
            await self._seen.load()
        files = task.result() if task.done() else await asyncio.shield(task)
        for warning in files.known.warnings:
            self._warn(warning)
        return files


def expand_path(path: str) -> str:
    """Replace a leading ``~`` by the home directory."""
    return os.path.expanduser(path)
