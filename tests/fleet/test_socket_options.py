"""
What settings do to the socket of a connection, and to what crosses it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from dataclasses import replace

import pytest

from fleetctl.model.operation import Pty
from fleetctl.ssh.ip_qos import SERVICES, mark, read_services
from fleetctl.ssh.wire import SocketWire
from fleetctl.sshconfig import values
from tests.support.drive import connected, run_async

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


def type_of_service(connection) -> int:
    sock = connection.transport.wire._tcp.get_extra_info("socket")
    return sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)


@pytest.mark.parametrize(
    ("setting", "interactive", "bulk"),
    [
        ("lowdelay throughput", 0x10, 0x08),
        ("af21 cs1", 0x48, 0x20),
        ("ef", 0xB8, 0xB8),
        ("0x10 010", 0x10, 0x08),
        ("cs6 none", 0xC0, 0xC0),
        ("none", 0, 0),
        ("le", 0x04, 0x04),
        (None, 0, 0),
    ],
)
def test_IPQoS_of_a_session_with_a_terminal_is_the_first(host, setting, interactive, bulk, loop):
    """
    With a terminal the first value counts, without one the second; ``none`` changes nothing.
    Source: ssh_config(5), IPQoS; OpenSSH packet.c, ssh_packet_set_interactive.
    """
    host = replace(host, settings=replace(host.settings, ip_qos=setting))

    async def main():
        seen = []
        async with connected(host) as connection:
            for pty in (Pty(), None):
                result = await connection.exec("test -t 1; echo $?", pty=pty)
                seen += [result.stdout.strip(), type_of_service(connection)]
        return seen

    assert run_async(main, loop=loop) == [b"0", interactive, b"1", bulk]


def test_IPQoS_that_is_not_set_costs_nothing(host, monkeypatch):
    """
    The system's default is left alone without a system call.
    """

    def forbidden(self, service):
        raise AssertionError(service)

    monkeypatch.setattr(SocketWire, "mark", forbidden)

    async def main():
        async with connected(host) as connection:
            return (await connection.exec("echo fine")).stdout

    assert run_async(main) == b"fine\n"


def test_IPQoS_of_IPv6_is_the_traffic_class(loop):
    """
    On an IPv6 socket the same value is set as its traffic class.
    """

    async def main():
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            running = asyncio.get_running_loop()
            stream, wire = await running.create_connection(SocketWire, *listener.getsockname()[:2])
            mark(wire, "af21 cs1", is_interactive=False)
            sock = stream.get_extra_info("socket")
            value = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
            wire.abort()
            await asyncio.sleep(0.01)
            wire.mark(0x48)  # nothing is done to a socket that is closed
            return value

    assert run_async(main, loop=loop) == 0x20


def test_IPQoS_of_a_stream_that_is_no_IP_socket_does_nothing(host, fleet):
    """
    Behind a ProxyCommand and behind a gateway there is nothing to mark, and the login goes on.
    """
    settings, gate = host.settings, fleet.host("web02")
    command = fleet.ssh_argv(gate, "-W", f"{settings.hostname}:{settings.port}")
    by_program = replace(settings, proxy_command=shlex.join(command))
    by_gateway = replace(settings, gateways=(fleet.settings(gate),))

    async def main(changed):
        marked = replace(changed, ip_qos="af21 cs1")
        async with connected(replace(host, settings=marked)) as connection:
            return (await connection.exec("echo fine", pty=Pty())).stdout.strip()

    assert run_async(lambda: main(by_program)) == b"fine"
    assert run_async(lambda: main(by_gateway)) == b"fine"


def test_IPQoS_knows_the_names_ssh_config_does():
    """
    The same names and values as where ssh_config is read, but for ``le``, which ssh gets wrong.
    Source: RFC 8622 section 3: DSCP 000001, above two other bits.
    """
    assert {**SERVICES, "le": 0x01} == values._SERVICES
    assert read_services("AF23 none") == (0x58, None)
    for bad in ("256", "08", "-1", "much", "af44"):
        with pytest.raises(ValueError, match="no type of service"):
            read_services(bad)


@pytest.mark.parametrize("compression", [True, False])
def test_Compression_changes_no_byte(host, compression, loop):
    """
    A mebibyte that can be compressed and one that cannot come back as they were sent; compression
    is that of OpenSSH, in both directions.
    """
    host = replace(host, settings=replace(host.settings, compression=compression))

    async def main():
        async with connected(host) as connection:
            for data in (bytes(range(256)) * (MEBIBYTE // 256), os.urandom(MEBIBYTE)):
                result = await connection.exec("cat", stdin=data, max_output_bytes=2 * MEBIBYTE)
                assert result.stdout == data
            transport = connection.transport
            return transport.local_compression, transport.remote_compression

    name = "zlib@openssh.com" if compression else "none"
    assert run_async(main, loop=loop) == (name, name)
