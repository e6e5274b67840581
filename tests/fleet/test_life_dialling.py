"""
How a connection is dialled: addresses, families, attempts, options of the socket, one deadline.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from functools import partial
from time import monotonic

import pytest

from fleetctl.model.errors import FleetError
from tests.support.cable import cable_to
from tests.support.drive import connected, failed_login, run_async, run_command
from tests.support.patience import PACES, SLACK_S

pytestmark = pytest.mark.fleet


def option(connection, level: int, name: int) -> int:
    """Return a socket option of a connection."""
    sock = connection.transport.wire._tcp.get_extra_info("socket")
    return int(sock.getsockopt(level, name))


def test_ConnectTimeout_counts_until_the_login(fleet):
    """
    The one deadline is for everything up to the login: a server that uses most of it for its keys
    has only the rest for the login.
    """
    target = fleet.model_host(fleet.host("slow-auth"))
    for limit_s in PACES:
        with cable_to(target) as (_, far):
            host = replace(far, settings=replace(far.settings, connect_timeout_s=limit_s))
            started = monotonic()
            error = failed_login(host)
            took_s = monotonic() - started
        if error.kind == "auth.timeout":
            break
    assert error.kind == "auth.timeout"
    assert 0.9 * limit_s <= took_s < limit_s + SLACK_S


def test_BindAddress_is_where_the_connection_comes_from(host):
    """
    The server sees the address that was set.
    """
    bound = replace(host, settings=replace(host.settings, bind_address="127.77.0.9"))
    result, _ = run_command(bound, 'echo "${SSH_CONNECTION%% *}"')
    assert result.stdout == b"127.77.0.9\n"


def test_BindAddress_that_is_not_ours_is_named(host):
    """
    An address that no interface here has is told from a host that cannot be reached.
    """
    bound = replace(host, settings=replace(host.settings, bind_address="192.0.2.1"))
    error = failed_login(bound)
    assert error.kind == "connect.unreachable"
    assert "BindAddress" in f"{error} {error.failure.hint}"
    assert "192.0.2.1" in f"{error} {error.failure.hint}"


def test_BindAddress_of_the_other_family_is_named(host):
    """
    An IPv6 address cannot be used to reach an IPv4 one: that is no bug, and says what to change.
    """
    bound = replace(host, settings=replace(host.settings, bind_address="::1"))
    error = failed_login(bound)
    assert error.kind == "connect.unreachable"
    assert "BindAddress" in f"{error} {error.failure.hint}"


@pytest.mark.parametrize(
    ("family", "tried"),
    [
        ("any", {"::1", "127.0.0.1"}),
        ("inet", {"127.0.0.1"}),
        ("inet6", {"::1"}),
    ],
)
def test_AddressFamily_chooses_what_is_tried(host, family, tried, monkeypatch):
    """
    Of a name with addresses of both families only those of the family are dialled.
    """
    system = socket.getaddrinfo

    def both(name, port, wanted, *rest):
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        if name != "both.test":
            return system(name, port, wanted, *rest)
        return [entry for entry in found if wanted in (socket.AF_UNSPEC, entry[0])]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with socket.socket() as held:
        # Nobody listens, and nobody can begin to.
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        changed = replace(host.settings, hostname="both.test", port=port, address_family=family)
        error = failed_login(replace(host, settings=changed))
    assert error.kind in ("connect.refused", "connect.unreachable")
    assert {address for address in ("::1", "127.0.0.1") if f"{address} port" in str(error)} == tried


def test_the_socket_has_what_an_ssh_client_wants(host, loop):
    """
    No Nagle (TCP_NODELAY), TCPKeepAlive, and a limit for data that nobody acknowledges; keepalive
    can be turned off.
    """

    async def main(settings):
        async with connected(replace(host, settings=settings)) as connection:
            return (
                option(connection, socket.IPPROTO_TCP, socket.TCP_NODELAY),
                option(connection, socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                option(connection, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )

    assert run_async(lambda: main(host.settings), loop=loop) == (1, 1, 30_000)
    without = replace(host.settings, tcp_keep_alive=False)
    assert run_async(lambda: main(without), loop=loop)[1] == 0


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("ef", 0xB8),
        ("lowdelay throughput", 0x08),
        ("af21 cs1", 0x20),
        ("0x10", 0x10),
        ("none", 0),
    ],
)
def test_IPQoS_marks_the_packets(host, setting, expected, loop):
    """
    The type of service is the second value for what is not interactive, as ssh has it; ``none``
    leaves the system's. Source: ssh_config(5), IPQoS.
    """

    async def main():
        settings = replace(host.settings, ip_qos=setting)
        async with connected(replace(host, settings=settings)) as connection:
            return option(connection, socket.IPPROTO_IP, socket.IP_TOS)

    assert run_async(main, loop=loop) == expected


def test_ConnectionAttempts_are_made_before_giving_up(host):
    """
    A port that is closed at first and open a moment later is reached, if more than one attempt is
    allowed, within the one deadline; ssh waits a second between them.
    """

    async def main(limit_s):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            address, port = held.getsockname()
            settings = replace(
                host.settings,
                hostname=address,
                port=port,
                connection_attempts=30,
                connect_timeout_s=limit_s,
            )
            asyncio.get_running_loop().call_later(0.5, held.listen)
            with pytest.raises(FleetError) as caught:
                async with connected(replace(host, settings=settings)):
                    pass
            return caught.value

    for pace in PACES:
        error = run_async(partial(main, 3 * pace))
        if error.kind == "banner.timeout":
            break
    # It listens and nobody ever answers: that it got so far is what counts.
    assert error.kind == "banner.timeout", str(error)


def test_one_attempt_is_one(host):
    """
    By default a closed port is believed at once.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address, port = held.getsockname()
        settings = replace(host.settings, hostname=address, port=port)
        started = monotonic()
        error = failed_login(replace(host, settings=settings))
    assert error.kind == "connect.refused"
    assert monotonic() - started < SLACK_S
