"""
The far end of a forwarded connection: a channel to where the host connects, or a socket of ours.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from fleetctl.model.errors import FleetError
from fleetctl.model.forward import Endpoint, Place, SocketPath
from fleetctl.ssh.channel_wire import ChannelWire
from fleetctl.ssh.forward_refusal import ForwardRefused, refused_here, refused_there
from fleetctl.ssh.forward_socket import ForwardSocket
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.resolver import Resolver

#: Said of whoever has no address. Source: OpenSSH's channels.c, port_open_helper.
NO_ORIGINATOR = ("127.0.0.1", 65535)


async def reach_there(
    transport: LoopTransport,
    target: Endpoint,
    originator: tuple[str, int],
    *,
    host: str,
    lost: Callable[[], ConnectionError],
) -> ChannelWire:
    """
    Return a stream to a target, seen from the host; names are looked up there.

    Args:
        originator: Address and port of whoever wants it.
        host: Name of the host, for failures.
        lost: Says how the transport ended, once it has.

    Raises:
        ForwardRefused: The host does not connect, or the connection to it has ended.

    Source: RFC 4254 section 7.2 (direct-tcpip); OpenSSH PROTOCOL section 2.4 (direct-streamlocal).
    """
    if not transport.active:
        raise ForwardRefused(str(lost()))
    wire = ChannelWire(transport, lost=lost)
    try:
        if isinstance(target, SocketPath):
            channel = wire.open("direct-streamlocal@openssh.com", _octets(target.path), "", 0)
        else:
            address = _octets(target.host or "localhost")
            channel = wire.open("direct-tcpip", address, target.port, *originator)
        await channel.opened.future
        if channel.open_refused is not None:
            raise refused_there(host, str(target), *channel.open_refused)
        if not channel.active or channel.closed:
            raise ForwardRefused(str(lost()))
    except BaseException:
        wire.abort()
        raise
    return wire


async def reach_here(target: Endpoint, resolver: Resolver) -> ForwardSocket:
    """
    Return a stream to a target, seen from this machine.

    Raises:
        ForwardRefused: Nobody could be connected to.
    """
    try:
        if isinstance(target, SocketPath):
            return await _connect(socket.AF_UNIX, target.path)
        return await _connect_to_port(target, resolver)
    except OSError as error:
        raise refused_here(str(target), error) from error
    except FleetError as error:
        message = f"{target}, from here: {error.failure.message}"
        raise ForwardRefused(message, outcome="host unreachable") from error


async def _connect_to_port(target: Place, resolver: Resolver) -> ForwardSocket:
    addresses = await resolver.resolve(target.host or "localhost", target.port, "any")
    failed: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
    for address in addresses:
        try:
            return await _connect(address.family, address.sockaddr)
        except OSError as error:
            failed = error
    raise failed


async def _connect(family: int, address: object) -> ForwardSocket:
    loop = asyncio.get_running_loop()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)  # type: ignore[arg-type]  # typeshed has no paths
        if family == socket.AF_UNIX:
            _, stream = await loop.create_unix_connection(ForwardSocket, sock=sock)
        else:
            _, stream = await loop.create_connection(ForwardSocket, sock=sock)
    except BaseException:
        sock.close()
        raise
    return stream


def _octets(text: str) -> bytes:
    """Return the bytes of a name that a program or a file gave us."""
    return text.encode("utf-8", "surrogateescape")
