"""
What may be offered to which host: keys of files and agents, in order, and who knows passwords.

Files and agents are read once for all hosts that name them.
"""

from __future__ import annotations

import asyncio
import functools
import getpass
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from fleetctl.model.challenge import Challenge
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.ports import SecretProvider
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.agent import AgentClient, AgentFailed
from fleetctl.ssh.auth import Credentials
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.certificate import (
    CERTIFIED_TYPES,
    CertifiedIdentity,
    UserCertificate,
    plain_key,
    read_certificate_file,
)
from fleetctl.ssh.identity import Identity, fingerprint
from fleetctl.ssh.key_file import (
    IdentityStore,
    check_rsa_size,
    parse_private_key,
    read_public_blob,
)
from fleetctl.ssh.key_offer import allowed_algorithms
from fleetctl.ssh.remembered_keys import RememberedKeys

#: As ssh looks for them. Source: ssh(1), IdentityFile.
DEFAULT_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
_METHODS = {"publickey", "keyboard-interactive", "password"}

#: Keys to offer, and why others cannot be offered.
Identities: TypeAlias = tuple[tuple[Identity, ...], tuple[FleetError, ...]]
NONE: Identities = ((), ())


class CredentialStore:
    """
    Finds what may be offered to a host; shared by all connections of a process.

    Args:
        secrets: Asked for passwords, passphrases and the answers to a host's questions.
        warn: Told about what cannot be used and was not configured, such as a dead agent.
        environ: Where SSH_AUTH_SOCK and variables named by IdentityAgent are looked up.
        remembered: Which key each host took the last time; None to remember nothing.
    """

    def __init__(
        self,
        *,
        secrets: SecretProvider,
        warn: Callable[[str], None],
        environ: Mapping[str, str],
        remembered: RememberedKeys | None = None,
    ) -> None:
        self._secrets = secrets
        self._warn = warn
        self._environ = environ
        self._remembered = remembered
        self._identities = IdentityStore(secrets)
        self._collected: dict[object, asyncio.Task[Identities]] = {}
        self._agents: dict[str, AgentClient] = {}

    async def of(self, host: Host, login: Login | None = None) -> Credentials:
        """
        Return what may be offered to this host.

        Args:
            login: Offer nothing but its credential, if it has one.

        Raises:
            FleetError: ``auth.no_method`` if PreferredAuthentications names nothing that is spoken;
                ``auth.key_file`` if the credential of the login cannot be used.
        """
        settings = host.settings
        user = settings.user or getpass.getuser()
        if login is not None and not login.is_usual:
            return await self._of_login(user, settings, login)
        methods = _methods_of(settings)
        identities, problems = NONE
        if "publickey" in methods:
            identities, problems = await self._identities_of(settings)
        key_accepted: Callable[[str], None] = _forget
        if self._remembered is not None and len(identities) > 1:
            # With one key there is nothing to choose, and nothing is read or written.
            where = f"{user}@{host.hostname}:{settings.port}"
            first = await self._remembered.of(where)
            identities = tuple(sorted(identities, key=lambda key: _fingerprint(key.blob) != first))
            key_accepted = functools.partial(self._remembered.learn, where)

        async def ask_password() -> Secret | None:
            return await self._secrets.password(host, user)

        async def answer(challenge: Challenge) -> Sequence[Secret] | None:
            return await self._secrets.answers(host, user, challenge)

        return Credentials(
            user=user,
            methods=methods,
            identities=identities,
            signatures=allowed_algorithms(settings),
            ask_password=ask_password,
            answer=answer,
            password_prompts=settings.number_of_password_prompts,
            question=f"{user}@{host.name}'s password: ",
            key_accepted=key_accepted,
            forward_agent=_forwarded_agent(settings, self._environ),
            problems=problems,
        )

    async def _of_login(self, user: str, settings: HostSettings, login: Login) -> Credentials:
        if login.private_key is not None:
            text = login.private_key.reveal().encode()
            only: Identity = await in_thread(parse_private_key, "a key made for this login", text)
        else:
            # One file, or one blob, is looked for once for all hosts with these settings.
            key = login.identity_file, login.key, settings.identity_files, settings.identity_agent
            task = self._collected.get(key)
            if task is None:
                task = asyncio.ensure_future(self._find_only(settings, login))
                self._collected[key] = task
            found, _ = await asyncio.shield(task)
            only = found[0]
        return Credentials(
            user=user,
            methods=("publickey",),
            identities=(only,),
            signatures=allowed_algorithms(settings),
            ask_password=_no_password,
        )

    async def _find_only(self, settings: HostSettings, login: Login) -> Identities:
        agent_keys = await self._agent_identities(settings)
        if login.identity_file is not None:
            path = _expand(login.identity_file)
            return (await self._identity_of_file(path, agent_keys),), ()
        assert login.key is not None
        if login.key in agent_keys:
            return (agent_keys[login.key],), ()
        for path in map(_expand, settings.identity_files or DEFAULT_IDENTITIES):
            if await in_thread(read_public_blob, path) == login.key:
                return (await self._identities.load(path),), ()
        raise FleetError(
            "auth.key_file",
            f"the private half of {fingerprint(login.key)} is not in the agent, and no IdentityFile"
            " is it",
            hint="name its file with --identity, or load it into the agent: ssh-add FILE",
        )

    def agent_for(self, path: str) -> AgentClient | None:
        """
        Return the agent that a setting means, or None for no agent.

        Args:
            path: Of its socket; ``SSH_AUTH_SOCK``, ``$NAME`` or ``none``.
                Source: ssh_config(5), IdentityAgent.
        """
        found = agent_path(path, self._environ)
        return None if found is None else self._agents.setdefault(found, AgentClient(found))

    async def close(self) -> None:
        """End what is being read, close the sockets to agents, and keep what was learnt."""
        for task in self._collected.values():
            task.cancel()
        await asyncio.gather(*self._collected.values(), return_exceptions=True)
        await self._identities.close()
        for agent in self._agents.values():
            await agent.close()
        if self._remembered is not None:
            await self._remembered.save()

    async def _identities_of(self, settings: HostSettings) -> Identities:
        """Return what hosts with these settings are offered; found once for all of them."""
        key = (
            settings.identity_files,
            settings.certificate_files,
            settings.identities_only,
            settings.identity_agent,
            settings.required_rsa_size,
        )
        task = self._collected.get(key)
        if task is None:
            task = asyncio.ensure_future(self._collect_identities(settings))
            self._collected[key] = task
        return task.result() if task.done() else await asyncio.shield(task)

    async def _collect_identities(self, settings: HostSettings) -> Identities:
        """
        Find the keys of a host.

        The agent's keys that are not configured are left out where IdentitiesOnly says so. A file
        that cannot be used is a problem only if it was configured.
        """
        configured = bool(settings.identity_files)
        problems: list[FleetError] = []
        agent_keys = await self._agent_identities(settings)
        certificates = await self._certificates(settings, problems)
        plain: dict[bytes, Identity] = {}
        for path in map(_expand, settings.identity_files or DEFAULT_IDENTITIES):
            try:
                identity = await self._identity_of_file(path, agent_keys)
                check_rsa_size(path, identity.blob, settings.required_rsa_size)
            except FleetError as error:
                if configured:
                    problems.append(error)
                elif not isinstance(error.__cause__, FileNotFoundError):
                    self._warn(str(error))
                continue
            plain.setdefault(identity.blob, identity)
        configured_only = (
            configured if settings.identities_only is None else settings.identities_only
        )
        found = _arrange(plain, agent_keys, certificates, configured_only=configured_only)
        if settings.certificate_files:
            problems += [_without_key(one) for one in certificates if one.blob not in found]
        return tuple(found.values()), tuple(problems)

    async def _identity_of_file(self, path: str, agent_keys: Mapping[bytes, Identity]) -> Identity:
        """Return the agent's key if it has that of the file: then nobody needs a passphrase."""
        public = await in_thread(read_public_blob, path)
        if public is not None and public in agent_keys:
            return agent_keys[public]
        return await self._identities.load(path)

    async def _certificates(
        self, settings: HostSettings, problems: list[FleetError]
    ) -> list[UserCertificate]:
        """Read CertificateFile, or without one what lies beside the keys. Source: ssh_config(5)."""
        named = settings.certificate_files
        beside = [f"{path}-cert.pub" for path in settings.identity_files or DEFAULT_IDENTITIES]
        found = []
        for path in map(_expand, named or beside):
            try:
                certificate = await in_thread(read_certificate_file, path)
            except FleetError as error:
                if named or not isinstance(error.__cause__, FileNotFoundError):
                    problems.append(error)
                continue
            problem = certificate.problem_at(time.time())
            if problem is None:
                found.append(certificate)
            else:
                problems.append(problem)
        return found

    async def _agent_identities(self, settings: HostSettings) -> dict[bytes, Identity]:
        agent = self.agent_for(settings.identity_agent or "SSH_AUTH_SOCK")
        found: dict[bytes, Identity] = {}
        if agent is None:
            return found
        try:
            for key in await agent.identities():
                try:
                    check_rsa_size(key.label, plain_key(key.blob), settings.required_rsa_size)
                except FleetError as error:
                    self._warn(str(error))
                else:
                    found[key.blob] = key
        except AgentFailed as error:
            self._warn(str(error))
        return found


def agent_path(setting: str, environ: Mapping[str, str]) -> str | None:
    """Return the socket that IdentityAgent or ForwardAgent means, or None for none."""
    if setting.lower() == "none":
        return None
    if setting == "SSH_AUTH_SOCK":
        setting = environ.get("SSH_AUTH_SOCK", "")
    elif setting.startswith("$"):
        setting = environ.get(setting.strip("${}"), "")
    return _expand(setting) if setting else None


def _arrange(
    plain: Mapping[bytes, Identity],
    agent_keys: Mapping[bytes, Identity],
    certificates: Sequence[UserCertificate],
    *,
    configured_only: bool,
) -> dict[bytes, Identity]:
    """
    Put keys in the order they are offered: certificates, keys of files, other keys of the agent.

    A certificate was made so that its key is not known to the hosts; offering the key first would
    cost an attempt.
    """
    found: dict[bytes, Identity] = {}
    for signer in (*plain.values(), *agent_keys.values()):
        for certificate in certificates:
            if certificate.plain_blob == signer.blob:
                found.setdefault(certificate.blob, CertifiedIdentity(certificate, signer))
    for key in agent_keys.values():
        # The agent's certificate of a configured key is as good as configured.
        if key.key_type in CERTIFIED_TYPES and plain_key(key.blob) in plain:
            found.setdefault(key.blob, key)
    for keys in (plain, {} if configured_only else agent_keys):
        for blob, key in keys.items():
            found.setdefault(blob, key)
    return found


def _forwarded_agent(settings: HostSettings, environ: Mapping[str, str]) -> str | None:
    """Return the socket to forward, or None. Source: ssh_config(5), ForwardAgent."""
    setting = settings.forward_agent
    if setting is None or setting.lower() in ("no", "none", "false"):
        return None
    if setting.lower() in ("yes", "true"):
        setting = settings.identity_agent or "SSH_AUTH_SOCK"
    return agent_path(setting, environ)


def _without_key(certificate: UserCertificate) -> FleetError:
    return FleetError(
        "auth.key_file",
        f"{certificate.label}: there is no private key for this certificate",
        hint="name its key with IdentityFile, or load it into the agent",
    )


def _methods_of(settings: HostSettings) -> list[str]:
    preferred = settings.preferred_authentications
    if not _METHODS.intersection(preferred):
        raise FleetError(
            "auth.no_method",
            f"PreferredAuthentications {','.join(preferred)} names no method that is supported",
            hint="publickey (hardware keys through the agent), keyboard-interactive and password"
            " are; not gssapi, hostbased",
        )
    allowed = {
        "publickey": settings.pubkey_authentication,
        "keyboard-interactive": settings.kbd_interactive_authentication,
        "password": settings.password_authentication,
    }
    return [method for method in preferred if allowed.get(method)]


@functools.lru_cache(maxsize=1024)
def _fingerprint(blob: bytes) -> str:
    return fingerprint(plain_key(blob))


async def _no_password() -> Secret | None:
    return None


def _forget(_fingerprint: str) -> None:
    """Remember nothing."""


def _expand(path: str) -> str:
    return os.path.expanduser(path)
