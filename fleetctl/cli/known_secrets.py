"""
The secrets that a command line has come to know, so that nothing it writes shows one (S24).

A run learns them where they come from: the command line and the inventory before it, whoever
answers its logins and operations meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from fleetctl.model.challenge import Challenge
from fleetctl.model.host import Host
from fleetctl.model.ports import RunSecrets
from fleetctl.model.secret import Secret


class WatchedSecrets:
    """
    The `RunSecrets` of somebody else, and who is told each secret before it is given to a host.

    Args:
        learn: Told each secret, whenever it is asked for.
    """

    def __init__(self, secrets: RunSecrets, learn: Callable[[Secret], None]) -> None:
        self._secrets = secrets
        self._learn = learn

    async def password(self, host: Host, user: str) -> Secret | None:
        return self._told(await self._secrets.password(host, user))

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        return self._told(await self._secrets.passphrase(path, attempt))

    async def answers(self, host: Host, user: str, challenge: Challenge) -> Sequence[Secret] | None:
        answers = await self._secrets.answers(host, user, challenge)
        for answer in answers or ():
            self._learn(answer)
        return answers

    async def become_password(self, host: Host, user: str) -> Secret | None:
        return self._told(await self._secrets.become_password(host, user))

    async def secret(self, host: Host, source: str) -> Secret | None:
        return self._told(await self._secrets.secret(host, source))

    def _told(self, secret: Secret | None) -> Secret | None:
        if secret is not None:
            self._learn(secret)
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
