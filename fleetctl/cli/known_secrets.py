"""
The secrets that a command line has come to know, so that nothing it writes shows one (S24).

A run learns them where they come from: the command line and the inventory before it, whoever
answers its logins and operations meanwhile. Kept light: ``fleetctl --help`` imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from fleetctl.model.secret import Secret

if TYPE_CHECKING:
    from fleetctl.model.challenge import Challenge
    from fleetctl.model.failure import Failure
    from fleetctl.model.host import Host
    from fleetctl.model.redaction import Redaction
    from fleetctl.wiring.words import Redactor


class KnownSecrets:
    """
    All that one command line knows, and the one redactor that looks for them.

    A secret that is added is taken out of whatever is written from then on.
    """

    def __init__(self) -> None:
        self._secrets: set[Secret] = set()
        self._redactor: Redactor | None = None

    def add(self, secret: Secret) -> None:
        """Know one more."""
        if secret not in self._secrets:
            self._secrets.add(secret)
            if self._redactor is not None:
                self._redactor.add(secret)

    def update(self, *secrets: Iterable[Secret]) -> None:
        """Know all of these."""
        new = {secret for some in secrets for secret in some} - self._secrets
        self._secrets |= new
        if self._redactor is not None:
            self._redactor.add(*new)

    def __iter__(self) -> Iterator[Secret]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    @property
    def redactor(self) -> Redactor:
        """What takes them out, those that are added later as well; always the same one."""
        if self._redactor is None:
            from fleetctl.wiring import make_redactor

            self._redactor = make_redactor(self._secrets)
        return self._redactor

    def redact(self, text: str) -> str:
        """Return the text without any of them."""
        return self.redactor.text(text) if self._secrets else text


class KnowingSecrets(Protocol):
    """What answers logins and operations, and can tell some of it before it is asked."""

    def known(self) -> Iterable[Secret]: ...

    async def password(self, host: Host, user: str) -> Secret | None: ...

    async def passphrase(self, path: str, attempt: int) -> Secret | None: ...

    async def answers(
        self, host: Host, user: str, challenge: Challenge
    ) -> Sequence[Secret] | None: ...

    async def become_password(self, host: Host, user: str) -> Secret | None: ...

    async def secret(self, host: Host, source: str) -> Secret | None: ...


def watched(known: KnownSecrets, secrets: KnowingSecrets, hosts: Iterable[Host]) -> WatchedSecrets:
    """
    Return the same secrets, watched by who knows all: the hosts' and those that can be told are
    known at once, the others before a host gets them.
    """
    known.update(secrets.known(), *map(secrets_of, hosts))
    return WatchedSecrets(secrets, known)


class WatchedSecrets:
    """
    Makes `RunSecrets` of those of somebody else.

    Args:
        known: Told each secret, whenever it is asked for, before it is given to a host.
    """

    def __init__(self, secrets: KnowingSecrets, known: KnownSecrets) -> None:
        self._secrets = secrets
        self._known = known

    async def password(self, host: Host, user: str) -> Secret | None:
        return self._told(await self._secrets.password(host, user))

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        return self._told(await self._secrets.passphrase(path, attempt))

    async def answers(self, host: Host, user: str, challenge: Challenge) -> Sequence[Secret] | None:
        answers = await self._secrets.answers(host, user, challenge)
        for answer in answers or ():
            self._known.add(answer)
        return answers

    async def become_password(self, host: Host, user: str) -> Secret | None:
        return self._told(await self._secrets.become_password(host, user))

    async def secret(self, host: Host, source: str) -> Secret | None:
        return self._told(await self._secrets.secret(host, source))

    def redaction(self) -> Redaction:
        return self._known.redactor

    def _told(self, secret: Secret | None) -> Secret | None:
        if secret is not None:
            self._known.add(secret)
        return secret


def secrets_in(value: object) -> Iterator[Secret]:
    """Yield the secrets in a value made of mappings and lists, such as the variables of a host."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            if isinstance(each, Secret | Mapping | list | tuple):
                yield from secrets_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            if isinstance(each, Secret | Mapping | list | tuple):
                yield from secrets_in(each)


def secrets_of(host: Host) -> Iterator[Secret]:
    """Yield the secrets in the variables of a host: vaulted values, and passwords in plain text."""
    from fleetctl.cli.secrets import BECOME_PASSWORD_VARIABLES, PASSWORD_VARIABLES

    yield from secrets_in(host.vars)
    for name in (*PASSWORD_VARIABLES, *BECOME_PASSWORD_VARIABLES):
        value = host.vars.get(name)
        if isinstance(value, str) and value:
            yield Secret(value)


def without_secrets(failure: Failure, known: KnownSecrets) -> Failure:
    """Return the failure as it may be shown."""
    if not known:
        return failure
    from dataclasses import replace

    hint = known.redact(failure.hint) if failure.hint else failure.hint
    return replace(failure, message=known.redact(failure.message), hint=hint)
