"""
Addresses that refuse, are silent or do not exist: all are tried, and all are named.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.trace import Trace
from tests.fleet.test_hostile_peers import LIMIT_S, meet, settings_for
from tests.support.drive import connecting, run_async
from tests.support.patience import PATIENCE_S, SLACK_S

pytestmark = pytest.mark.fleet


@contextmanager
def refusing(*addresses: str) -> Iterator[int]:
    """Hold one port of these addresses, so that nobody listens there."""
    with ExitStack() as stack:
        port = 0
        for address in addresses:
            held = stack.enter_context(socket.socket())
            held.bind((address, port))
            port = held.getsockname()[1]
        yield port


def test_port_is_closed():
    """
    A refusal comes at once and names address, port and reason (F04).
    """
    with refusing("127.0.0.1") as port:
        error, trace, _ = meet(settings_for("127.0.0.1", port, limit_s=PATIENCE_S))
    assert error.kind == "connect.refused"
    assert str(error) == f"127.0.0.1 port {port}: connection refused"
    assert trace.ran == "no"
    assert trace.connect_s is not None
    assert (trace.kex_s, trace.auth_s) == (None, None)


def test_name_that_does_not_exist():
    """
    A name without an address is a failure of resolving, with the name in it (F01).
    """
    error, trace, _ = meet(settings_for("no-such-host.invalid", 22, address_family="inet"))
    assert error.kind in ("resolve.dns", "resolve.timeout")
    assert "no-such-host.invalid" in str(error)
    assert (trace.phase, trace.connect_s) == ("resolve", None)


def test_full_backlog_is_a_timeout_of_the_connection():
    """
    A peer whose kernel does not answer the SYN is given up at the deadline (F05).
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address, port = listener.getsockname()
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((address, port))
                fillers.append(filler)
            # One of them is connected: the others find the queue full, as we shall.
            assert select.select([], fillers, [], PATIENCE_S)[1]
            error, trace, took_s = meet(settings_for(address, port))
        finally:
            for filler in fillers:
                filler.close()
    assert error.kind == "connect.timeout"
    assert f"{address} port {port} did not answer within 1 s" in str(error)
    assert 0.9 * LIMIT_S <= took_s < LIMIT_S + SLACK_S
    assert trace.phase == "connect"
    assert error.failure.retryable


def test_first_address_is_dead_and_the_second_works(fleet, monkeypatch, loop):
    """
    All addresses of a name are tried within the deadline, a refused one and a silent one first
    (F03).
    """
    lab_host = fleet.host("web01")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        pass
    assert closed.fileno() == -1
    answer = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", lab_host.port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.1.2.3", lab_host.port)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (lab_host.address, lab_host.port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answer)
    host = fleet.model_host(lab_host, hostname="two-addresses.test", host_key_alias="alias")

    async def main():
        async with connecting() as connector:
            trace = Trace()
            with pytest.raises(FleetError) as caught:
                await connector.connect(host, trace, open_session=False)
            return caught.value, trace

    # It got as far as the host key, which nobody knows by this alias.
    error, trace = run_async(main, loop=loop)
    assert error.kind == "hostkey.unknown"
    assert trace.address == lab_host.address


def test_all_addresses_are_named_when_all_fail(monkeypatch):
    """
    When no address works, each is in the message with its reason (F03 F04).
    """
    addresses = [f"127.0.0.{number}" for number in (1, 2, 3)]
    with refusing(*addresses) as port:
        answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answer)
        error, _, _ = meet(settings_for("many.test", port, limit_s=PATIENCE_S))
    assert error.kind == "connect.refused"
    for address in addresses:
        assert f"{address} port {port}: connection refused" in str(error)
