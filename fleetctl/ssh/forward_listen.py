"""
Sockets of this machine that forwardings listen on.

Source: ssh(1), -L; ssh_config(5), GatewayPorts, StreamLocalBindMask, StreamLocalBindUnlink;
OpenSSH's channels.c, channel_fwd_bind_addr and channel_setup_fwd_listener_tcpip.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fleetctl.model.errors import FleetError
from fleetctl.model.forward import Endpoint, Place, SocketPath
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.blocking import in_thread

#: Connections that wait to be taken. Source: OpenSSH's ssh.h, SSH_LISTEN_BACKLOG.
BACKLOG = 128

#: This machine does not have the address, or nothing of its family.
_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


#: Ports that are tried if any is right.
_TRIES = 16


class _Taken(FleetError):
    """Somebody listens there; of kind ``forward.bind`` as the others."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundSocket:
    """
    A socket that is bound and does not listen yet.

    Attributes:
        place: Where; with the port that was found.
        inode: Device and number of its file, if it has one.
    """

    sock: socket.socket
    place: Endpoint
    inode: tuple[int, int] | None = None

    def remove_file(self) -> None:
        """Remove the file of a Unix-domain socket, unless another one is there by now."""
        if isinstance(self.place, SocketPath):
            with suppress(OSError):
                found = os.lstat(self.place.path)
                if (found.st_dev, found.st_ino) == self.inode:
                    os.unlink(self.place.path)


async def bind(listen: Endpoint, settings: HostSettings) -> list[BoundSocket]:
    """
    Bind what a forwarding listens on: one socket for each address, or one with a file.

    Raises:
        FleetError: ``forward.bind``: none could be had.
    """
    if isinstance(listen, SocketPath):
        return [_bind_path(listen.path, settings)]
    host, is_wildcard = _bind_host(listen.host, gateway_ports=settings.gateway_ports)
    try:
        found = await in_thread(
            socket.getaddrinfo,
            host,
            listen.port,
            _FAMILIES[settings.address_family],
            socket.SOCK_STREAM,
            0,
            socket.AI_PASSIVE if is_wildcard else 0,
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FleetError(
            "forward.bind",
            f"{listen}: the address to listen on is not known: {reason}",
            hint="give an address of this machine, or leave it out to listen on loopback",
        ) from error
    # IPv4 first: it is what is told, and what most clients mean.
    addresses = sorted({(each[0], str(each[4][0])) for each in found})
    return (_bind_all if listen.port else _bind_any_port)(listen, addresses)


def _bind_host(host: str | None, *, gateway_ports: bool) -> tuple[str | None, bool]:
    """Return what to look up, and whether it stands for all addresses."""
    if host is None:
        return None, gateway_ports
    if host in ("", "*"):
        return None, True
    return (None if host == "localhost" else host), False


def _bind_any_port(listen: Place, addresses: Sequence[tuple[int, str]]) -> list[BoundSocket]:
    """Bind a port that is free at every address; what is free at one may be taken at another."""
    for _ in range(_TRIES):
        try:
            return _bind_all(listen, addresses)
        except _Taken:
            continue
    return _bind_all(listen, addresses)


def _bind_all(listen: Place, addresses: Sequence[tuple[int, str]]) -> list[BoundSocket]:
    """
    Bind every address this machine has; the port found for the first is that of all.

    Unlike ssh, gives up if one of them is taken: whoever connects to the name would reach a
    stranger at one address, and the host at the other.
    """
    bound: list[BoundSocket] = []
    port, failed = listen.port, None
    for family, address in addresses:
        try:
            sock = _bind_address(family, address, port)
        except OSError as error:
            failed = failed or _bind_failure(address, port, error)
            if error.errno in _NOT_OURS:
                continue
            for each in bound:
                each.sock.close()
            raise failed from error
        port = sock.getsockname()[1]
        bound.append(BoundSocket(sock, Place(address, port)))
    if not bound:
        assert failed is not None
        raise failed
    return bound


def _bind_address(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        # Two sockets may be bound to one port with SO_REUSEADDR, but only one may listen.
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_failure(address: str, port: int, error: OSError) -> FleetError:
    where = f"{Place(address, port)}"
    hint: str | None = None
    match error.errno:
        case errno.EADDRINUSE:
            hint = f"see who listens there: ss -ltnp 'sport = :{port}'; or take another port"
        case errno.EACCES | errno.EPERM:
            hint = "ports below 1024 are root's; take a higher one"
        case errno.EADDRNOTAVAIL:
            hint = "give an address of this machine, or leave it out to listen on loopback"
        case errno.EMFILE | errno.ENFILE:
            hint = "raise the limit of open files: ulimit -n 4096"
    kind = _Taken if error.errno == errno.EADDRINUSE else FleetError
    return kind("forward.bind", f"{where}: {_reason(error)}", hint=hint)


def _bind_path(path: str, settings: HostSettings) -> BoundSocket:
    if settings.stream_local_bind_unlink:
        _unlink_socket(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        found = os.lstat(path)
        bound = BoundSocket(sock, SocketPath(path), (found.st_dev, found.st_ino))
        try:
            # Nobody can connect before it listens.
            os.chmod(path, 0o777 & ~settings.stream_local_bind_mask)
            sock.listen(BACKLOG)
        except BaseException:
            bound.remove_file()
            raise
    except OSError as error:
        sock.close()
        raise _path_failure(path, error) from error
    except BaseException:
        sock.close()
        raise
    return bound


def _unlink_socket(path: str) -> None:
    """Remove a socket that is in the way; whatever is no socket stays."""
    with suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)


def _path_failure(path: str, error: OSError) -> FleetError:
    hint = None
    if error.errno == errno.EADDRINUSE:
        hint = _hint_about_file(path)
    elif error.errno == errno.ENOENT:
        hint = "its folder must be there"
    message = f"{path}: {_reason(error)}" if error.errno else f"{path}: {error}"
    return FleetError("forward.bind", message, hint=hint)


def _hint_about_file(path: str) -> str:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return "it is not a socket; take another path"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(path)
    except ConnectionRefusedError:
        return "nobody listens there any more: remove it, or -o StreamLocalBindUnlink=yes"
    except BlockingIOError:  # whoever listens has much to do
        return "somebody listens there; take another path"
    except OSError:
        return "remove it, or take another path"
    return "somebody listens there; take another path"


def _reason(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error) or "failed").lower()
