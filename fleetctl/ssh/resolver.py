"""
Names to addresses: off the loop, each name once per run.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TypeAlias, cast

from fleetctl.model.errors import FleetError
from fleetctl.ssh.lookup import Lookups

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


#: Source: socket(3), AF_INET and AF_INET6.
InetAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Address:
    """One socket address to try."""

    family: int
    sockaddr: InetAddress

    @property
    def ip(self) -> str:
        return self.sockaddr[0]


def parse_literal(hostname: str, port: int, address_family: str) -> Address | None:
    """Return the address if the name is an IP address already, else None."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, hostname)
        except OSError:
            continue
        if _FAMILIES[address_family] not in (socket.AF_UNSPEC, family):
            raise FleetError(
                "resolve.dns",
                f"{hostname} is not an address of AddressFamily {address_family}",
                hint="set AddressFamily any",
            )
        sockaddr = (hostname, port) if family == socket.AF_INET else (hostname, port, 0, 0)
        return Address(family, sockaddr)
    return None


class Resolver:
    """Resolves names; equal questions of one run share one answer."""

    def __init__(self) -> None:
        self._lookups = Lookups()
        self._answers: dict[tuple[str, int, str], asyncio.Task[tuple[Address, ...]]] = {}

    async def resolve(self, hostname: str, port: int, address_family: str) -> tuple[Address, ...]:
        """
        Return the addresses of a name, in the resolver's order of preference.

        Raises:
            FleetError: ``resolve.dns``.
        """
        literal = parse_literal(hostname, port, address_family)
        if literal is not None:
            return (literal,)
        key = (hostname, port, address_family)
        task = self._answers.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._answers[key] = asyncio.ensure_future(_look_up(self._lookups, *key))
        return await asyncio.shield(task)

    async def close(self) -> None:
        for task in self._answers.values():
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)


async def _look_up(
    lookups: Lookups, hostname: str, port: int, address_family: str
) -> tuple[Address, ...]:
    try:
        found = await lookups.run(
            socket.getaddrinfo,
            hostname,
            port,
            _FAMILIES[address_family],
            socket.SOCK_STREAM,
            0,
            socket.AI_ADDRCONFIG if address_family == "any" else 0,
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        is_temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise FleetError(
            "resolve.dns",
            f"{hostname}: {reason}",
            hint="check the name, or set HostName (ansible_host) to its address",
            retryable=is_temporary,
        ) from error
    inet = (socket.AF_INET, socket.AF_INET6)
    usable = [Address(entry[0], _inet(entry[4])) for entry in found if entry[0] in inet]
    if not usable:
        raise FleetError("resolve.dns", f"{hostname}: the name has no IP address")
    return tuple(dict.fromkeys(usable))


def _inet(sockaddr: tuple[object, ...]) -> InetAddress:
    return cast("InetAddress", sockaddr)  # of AF_INET or AF_INET6: the caller looked
