"""
TCP: happy eyeballs over all addresses, and the socket options an SSH client wants.

Source: RFC 8305 (happy eyeballs version 2).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence

from fleetctl.model.errors import FleetError
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.resolver import Address
from fleetctl.ssh.wire import SocketWire

#: When the next address is tried beside the present one. Source: RFC 8305 section 5.
STAGGER_S = 0.25
#: "One per second". Source: ssh_config(5), ConnectionAttempts.
BETWEEN_ATTEMPTS_S = 1.0
#: Unacknowledged data for this long means the link is dead, without a packet of ours.
TCP_USER_TIMEOUT_MS = 30_000

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EHOSTDOWN)


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Alternate address families, keeping the order within each. Source: RFC 8305 section 4."""
    first_family = addresses[0].family
    first = [address for address in addresses if address.family == first_family]
    other = [address for address in addresses if address.family != first_family]
    ordered = []
    while first or other:
        if first:
            ordered.append(first.pop(0))
        if other:
            ordered.append(other.pop(0))
    return ordered


async def dial(addresses: Sequence[Address], settings: HostSettings) -> tuple[SocketWire, str]:
    """
    Connect to the first address that answers; ConnectionAttempts says how often all are tried.

    The caller bounds the time. Nothing stays open when this is cancelled or fails.

    Returns:
        The stream and the IP address reached.

    Raises:
        FleetError: ``connect.refused`` or ``connect.unreachable``, naming every address tried.
    """
    for _ in range(settings.connection_attempts - 1):
        try:
            return await _dial_once(addresses, settings)
        except FleetError:
            await asyncio.sleep(BETWEEN_ATTEMPTS_S)
    return await _dial_once(addresses, settings)


async def _dial_once(
    addresses: Sequence[Address], settings: HostSettings
) -> tuple[SocketWire, str]:
    if len(addresses) == 1:
        try:
            sock = await _connect(addresses[0], settings)
        except OSError as error:
            raise _failed([(addresses[0], error)], settings) from error
        return await _open_wire(sock), addresses[0].ip
    sock, address = await _race(interleave(addresses), settings)
    return await _open_wire(sock), address.ip


async def _open_wire(sock: socket.socket) -> SocketWire:
    loop = asyncio.get_running_loop()
    try:
        _, wire = await loop.create_connection(lambda: SocketWire(sock), sock=sock)
    except BaseException:
        sock.close()
        raise
    return wire


async def _connect(address: Address, settings: HostSettings) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.tcp_keep_alive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)
        if settings.bind_address is not None:
            sock.bind((settings.bind_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(
    addresses: Sequence[Address], settings: HostSettings
) -> tuple[socket.socket, Address]:
    waiting = list(addresses)
    racing: dict[asyncio.Task[socket.socket], Address] = {}
    errors: list[tuple[Address, OSError]] = []
    try:
        while waiting or racing:
            if waiting:
                address = waiting.pop(0)
                racing[asyncio.ensure_future(_connect(address, settings))] = address
            done, _ = await asyncio.wait(
                racing,
                timeout=STAGGER_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                address = racing.pop(task)
                error = task.exception()
                if error is None:
                    return task.result(), address
                if not isinstance(error, OSError):
                    raise error
                errors.append((address, error))
    finally:
        for task in racing:
            task.cancel()
        for result in await asyncio.gather(*racing, return_exceptions=True):
            if isinstance(result, socket.socket):
                result.close()
    raise _failed(errors, settings)


def _failed(errors: Sequence[tuple[Address, OSError]], settings: HostSettings) -> FleetError:
    refused = [e for _, e in errors if isinstance(e, ConnectionRefusedError)]
    tried = ", ".join(
        f"{address.ip} port {settings.port}: {_reason(error)}" for address, error in errors
    )
    if len(refused) == len(errors):
        return FleetError(
            "connect.refused",
            tried,
            hint="is sshd running there, and is Port right?",
        )
    if any(isinstance(e, ConnectionResetError) for _, e in errors):
        return FleetError(
            "connect.reset", tried, hint="a firewall, or sshd at its MaxStartups", retryable=True
        )
    if all(e.errno in (errno.EMFILE, errno.ENFILE) for _, e in errors):
        return FleetError(
            "connect.unreachable",
            f"{tried} (here, not there)",
            hint="raise the limit (`ulimit -n 4096`) or lower --forks",
            retryable=True,
        )
    if settings.bind_address is not None and all(_is_about_own_address(e) for _, e in errors):
        return FleetError(
            "connect.unreachable",
            tried,
            hint=f"is BindAddress {settings.bind_address} an address of this machine, and of the "
            "family of the host's?",
        )
    return FleetError(
        "connect.unreachable",
        tried,
        hint="check the address, the route and firewalls",
        retryable=True,
    )


def _is_about_own_address(error: OSError) -> bool:
    """Can it come from binding the socket, before anything was sent?"""
    return isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL


def _reason(error: OSError) -> str:
    # The system's words: event loops put their own into strerror.
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    return (os.strerror(error.errno) if error.errno else str(error) or "failed").lower()
