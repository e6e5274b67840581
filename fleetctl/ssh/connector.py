"""
Opens connections, and holds what they share: names, known_hosts, identities and agents.

How many connect at once is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from fleetctl import __version__
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.ports import SecretProvider
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.ssh.agent import AgentClient, AgentFailed
from fleetctl.ssh.algorithms import algorithms_for
from fleetctl.ssh.auth import Credentials
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.connect import AskHostKey, ConnectAttempt
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.hostkeys import KnownHosts, load_known_hosts
from fleetctl.ssh.identity import Identity, IdentityStore
from fleetctl.ssh.loop_transport import Agreements
from fleetctl.ssh.resolver import Resolver

#: As ssh looks for them. Source: ssh(1), IdentityFile.
DEFAULT_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_METHODS = {"publickey", "password"}

#: Keys to offer, and why others cannot be offered.
Identities: TypeAlias = tuple[tuple[Identity, ...], tuple[FleetError, ...]]
NONE: Identities = ((), ())


class SshConnector:
    """
    Opens connections; shared by all runs of a process.

    Args:
        secrets: Asked for passwords and passphrases.
        ask_host_key: Asked about an unknown host key where StrictHostKeyChecking is ``ask``; None
            refuses it.
        warn: Told once about each thing worth knowing, such as a bad line in known_hosts.
        environ: Where SSH_AUTH_SOCK and variables named by IdentityAgent are looked up.
    """

    def __init__(
        self,
        *,
        secrets: SecretProvider,
        ask_host_key: AskHostKey | None = None,
        warn: Callable[[str], None] = lambda _: None,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._secrets = secrets
        self._ask_host_key = ask_host_key
        self._tell = warn
        self._environ = environ
        self._told: set[str] = set()
        self._resolver = Resolver()
        self._identities = IdentityStore(secrets)
        self._known_hosts: dict[tuple[str, ...], asyncio.Task[KnownHosts]] = {}
        self._collected: dict[object, asyncio.Task[Identities]] = {}
        self._agents: dict[str, AgentClient] = {}
        self._agreements: Agreements = {}
        self._identification = f"fleetctl_{__version__}"

    async def connect(self, host: Host, trace: Trace, *, open_session: bool) -> SshConnection:
        """
        Return a connection that is logged in.

        Args:
            trace: Gets the phase, its times and the address.
            open_session: A command follows: ask for its session together with the login.

        Raises:
            FleetError: Kinds ``resolve`` to ``auth``; nothing stays open.
        """
        # Files and prompts come before the deadline starts: a person thinking about a passphrase
        # must not cost the host its time.
        known_hosts = await self._load_known_hosts(host.settings)
        attempt = ConnectAttempt(
            host=host,
            trace=trace,
            resolver=self._resolver,
            known_hosts=known_hosts,
            credentials=await self._credentials(host),
            identification=self._identification,
            agreements=self._agreements,
            ask_host_key=None if host.settings.batch_mode else self._ask_host_key,
            warn=self._warn,
        )
        return await attempt.run(open_session=open_session)

    async def aclose(self) -> None:
        """Close what connections share; the connections themselves belong to their owner."""
        for task in self._collected.values():
            task.cancel()
        await asyncio.gather(*self._collected.values(), return_exceptions=True)
        await self._identities.close()
        await self._resolver.close()
        for agent in self._agents.values():
            await agent.close()

    def _warn(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._tell(message)

    async def _load_known_hosts(self, settings: HostSettings) -> KnownHosts:
        files = (*settings.user_known_hosts_files, *settings.global_known_hosts_files)
        task = self._known_hosts.get(files)
        if task is None:
            task = self._known_hosts[files] = asyncio.ensure_future(
                in_thread(load_known_hosts, [expand_path(file) for file in files])
            )
        known = task.result() if task.done() else await asyncio.shield(task)
        for warning in known.warnings:
            self._warn(warning)
        return known

    async def _credentials(self, host: Host) -> Credentials:
        settings = host.settings
        user = settings.user or getpass.getuser()
        methods = [
            method
            for method in settings.preferred_authentications
            if method in _METHODS
            and (method != "publickey" or settings.pubkey_authentication)
            and (method != "password" or settings.password_authentication)
        ]
        identities, problems = (
            await self._identities_of(settings) if "publickey" in methods else NONE
        )

        async def ask_password() -> Secret | None:
            return await self._secrets.password(host, user)

        return Credentials(
            user=user,
            methods=methods,
            identities=identities,
            signatures=algorithms_for(settings).signatures,
            ask_password=ask_password,
            problems=problems,
        )

    async def _identities_of(self, settings: HostSettings) -> Identities:
        """Return what hosts with these settings are offered; found once for all of them."""
        key = (settings.identity_files, settings.identities_only, settings.identity_agent)
        task = self._collected.get(key)
        if task is None:
            task = asyncio.ensure_future(self._collect_identities(settings))
            self._collected[key] = task
        return task.result() if task.done() else await asyncio.shield(task)

    async def _collect_identities(self, settings: HostSettings) -> Identities:
        """
        Find the keys of a host.

        Configured files come first; the agent's other keys follow unless IdentitiesOnly.

        A file that cannot be used is a problem only if it was configured.
        """
        found: dict[bytes, Identity] = {}
        problems: list[FleetError] = []
        agent_keys = {key.blob: key for key in await self._agent_identities(settings)}
        configured = settings.identity_files
        for path in map(expand_path, configured or DEFAULT_IDENTITIES):
            public = _read_public_blob(path)
            if public is not None and public in agent_keys:
                found[public] = agent_keys[public]
                continue
            try:
                identity: Identity = await self._identities.load(path)
            except FleetError as error:
                if configured:
                    problems.append(error)
                elif not isinstance(error.__cause__, FileNotFoundError):
                    self._warn(str(error))
                continue
            found.setdefault(identity.blob, identity)
        identities_only = settings.identities_only
        if not (bool(configured) if identities_only is None else identities_only):
            for blob, identity in agent_keys.items():
                found.setdefault(blob, identity)
        return tuple(found.values()), tuple(problems)

    async def _agent_identities(self, settings: HostSettings) -> tuple[Identity, ...]:
        path = settings.identity_agent or "SSH_AUTH_SOCK"
        if path.lower() == "none":
            return ()
        if path == "SSH_AUTH_SOCK":
            path = self._environ.get("SSH_AUTH_SOCK", "")
        elif path.startswith("$"):
            path = self._environ.get(path.strip("${}"), "")
        if not path:
            return ()
        path = expand_path(path)
        agent = self._agents.setdefault(path, AgentClient(path))
        try:
            return await agent.identities()
        except AgentFailed as error:
            self._warn(str(error))
            return ()


def expand_path(path: str) -> str:
    """Replace a leading ``~`` by the home directory."""
    return os.path.expanduser(path)


def _read_public_blob(path: str) -> bytes | None:
    """Return the key of ``PATH.pub``, or of PATH itself if that is a public key."""
    import base64

    for candidate in (path, f"{path}.pub"):
        try:
            with open(candidate, "rb") as file:
                fields = file.read(16 * 1024).split(None, 2)
        except OSError:
            continue
        if len(fields) >= 2 and not fields[0].startswith(b"-"):
            try:
                return base64.b64decode(fields[1])
            except ValueError:
                continue
    return None
