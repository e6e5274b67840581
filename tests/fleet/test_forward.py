"""
Forwardings through a real sshd: every kind, half-close, refusals, and what is left after.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.forward import ConnectionRefused, SocketPath
from fleetctl.ssh import forward_listen
from tests.support.drive import run_async, until
from tests.support.forwards import ask, echo, forwarding, refusals, saying, serving, wish
from tests.support.gateways import behind

pytestmark = pytest.mark.fleet


def test_local_remote_and_dynamic_forwardings_share_one_connection(host, loop):
    """
    Several of each kind at once; each connection gets to its own target.
    """

    async def main():
        async with (
            serving(saying(b"first")) as first,
            serving(saying(b"second")) as second,
            forwarding(
                host,
                f"-L 0:127.0.0.1:{first}",
                f"-L 127.0.0.1:0:localhost:{second}",
                f"-R 0:127.0.0.1:{first}",
                f"-R 0:localhost:{second}",
                f"-R 127.0.0.1:0:127.0.0.1:{first}",
            ) as forwards,
        ):
            assert len(set(forwards.ports)) == 5
            assert all(forwards.ports)
            got = await asyncio.gather(*(ask(place, eof=False) for place in forwards.places))
            assert got == [b"first", b"second", b"first", b"second", b"first"]
            assert forwards.events == []

    run_async(main, loop=loop)


@pytest.mark.parametrize("kind", ["L", "R"])
def test_sockets_may_be_either_end(host, loop, kind, tmp_path):
    """
    A path stands for a Unix-domain socket on whichever side it is.
    """
    here, target = tmp_path / "listen", tmp_path / "target"

    async def main():
        async with (
            serving(echo, target),
            serving(echo) as port,
            forwarding(
                host,
                f"-{kind} {here}1:127.0.0.1:{port}",
                f"-{kind} {here}2:{target}",
                f"-{kind} 0:{target}",
            ) as forwards,
        ):
            assert [await ask(place, b"x") for place in forwards.places] == [b"x"] * 3
            modes = [stat.S_IMODE(os.stat(f"{here}{n}").st_mode) for n in (1, 2)]
            assert modes == [0o600, 0o600]

    run_async(main, loop=loop)
    # sshd leaves the file of its listener; see StreamLocalBindUnlink in its sshd_config.
    assert Path(f"{here}1").exists() == (kind == "R")


def test_permissions_of_sockets_are_those_of_the_mask(fleet, tmp_path):
    """
    StreamLocalBindMask says which permissions a socket made here does not get.
    """
    host = fleet.model_host(fleet.host("web01"), stream_local_bind_mask=0o117)

    async def main():
        async with forwarding(host, f"-L {tmp_path}/s:localhost:1"):
            assert stat.S_IMODE(os.stat(tmp_path / "s").st_mode) == 0o660

    run_async(main)


def test_a_socket_in_the_way_is_replaced_only_if_asked_for(fleet, tmp_path):
    """
    The failure says what is there; StreamLocalBindUnlink replaces sockets, and nothing else.
    """
    lab_host = fleet.host("web01")
    stale, plain = tmp_path / "stale", tmp_path / "plain"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(stale))
    plain.write_text("keep me")

    async def fails(host, path):
        with pytest.raises(FleetError) as caught:
            async with forwarding(host, f"-L {path}:localhost:1"):
                pass
        assert caught.value.kind == "forward.bind"
        return caught.value.failure

    async def main():
        failure = await fails(fleet.model_host(lab_host), stale)
        assert failure.message == f"{stale}: address already in use"
        assert "StreamLocalBindUnlink" in str(failure.hint)
        replacing = fleet.model_host(lab_host, stream_local_bind_unlink=True)
        async with forwarding(replacing, f"-L {stale}:localhost:1"):
            in_use = await fails(fleet.model_host(lab_host), stale)
            assert in_use.hint == "somebody listens there; take another path"
        failure = await fails(replacing, plain)
        assert failure.hint == "it is not a socket; take another path"
        assert plain.read_text() == "keep me"

    run_async(main)


def test_a_taken_port_is_named_and_nothing_stays_open(host):
    """
    A forwarding is there on all addresses of its name or not at all: half of it would lead half
    of the clients to a stranger.
    """

    async def main():
        async with serving(echo) as port:
            with pytest.raises(FleetError) as caught:
                async with forwarding(host, f"-L {port}:localhost:1"):
                    pass
            failure = caught.value.failure
            assert failure.kind == "forward.bind"
            assert failure.message == f"127.0.0.1:{port}: address already in use"
            assert f"ss -ltnp 'sport = :{port}'" in str(failure.hint)
            with socket.socket(socket.AF_INET6) as free:
                free.bind(("::1", port))

    run_async(main)


def test_a_port_that_is_free_at_one_address_only_is_not_taken(host, monkeypatch):
    """
    Port 0 finds one that is free at all addresses of the name.
    """
    find, tried = forward_listen._bind_address, []

    def first_is_taken(family, address, port):
        tried.append(family)
        if family == socket.AF_INET6 and tried.count(family) == 1:
            raise OSError(errno.EADDRINUSE, "taken")
        return find(family, address, port)

    monkeypatch.setattr(forward_listen, "_bind_address", first_is_taken)

    async def main():
        async with forwarding(host, "-L 0:localhost:1") as forwards:
            assert forwards.ports[0]
        assert tried == [socket.AF_INET, socket.AF_INET6] * 2

    run_async(main)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("203.0.113.9:0:localhost:1", "203.0.113.9:0: cannot assign requested address"),
        ("no.such.name.invalid:0:localhost:1", "the address to listen on is not known"),
        ("/no/such/folder/s:localhost:1", "no such file or directory"),
    ],
)
def test_an_address_that_is_not_ours_cannot_be_listened_on(host, spec, message):
    """
    Each is a forward.bind failure that names the address.
    """

    async def main():
        with pytest.raises(FleetError, match=message) as caught:
            async with forwarding(host, f"-L {spec}"):
                pass
        assert caught.value.kind == "forward.bind"

    run_async(main)


@pytest.mark.parametrize("kind", ["L", "R"])
def test_a_target_where_nobody_listens_ends_the_connection_and_is_told(host, loop, kind):
    """
    The client sees an end without data; the reason names the target and the side it is seen from.
    """

    async def main():
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            async with forwarding(host, f"-{kind} 0:127.0.0.1:{port}") as forwards:
                assert await ask(forwards.places[0], eof=False) == b""
                if kind == "R":
                    await until(lambda: forwards.events)
                (event,) = forwards.events
                assert isinstance(event, ConnectionRefused)
                side = host.name if kind == "L" else "here"
                assert event.failure.kind == "forward.refused"
                text = f"127.0.0.1:{port}, from {side}: connection refused"
                assert event.failure.message.lower() == text
                await until(lambda: not forwards.forwarding._streams)

    run_async(main, loop=loop)


def test_what_the_server_forbids_is_told_with_the_line_that_forbids_it(fleet):
    """
    AllowTcpForwarding no: each connection is refused with a reason, and so is a listener there.
    """
    lab_host = fleet.sshd(
        "no-forwarding", {"AllowTcpForwarding": "no", "AllowStreamLocalForwarding": "no"}
    )
    host = fleet.model_host(lab_host)

    async def main():
        async with forwarding(host, "-L 0:localhost:1", "-L 0:/s") as forwards:
            for place in forwards.places:
                assert await ask(place, eof=False) == b""
            tcp, path = refusals(forwards)
            assert "no-forwarding does not forward to localhost:1" in tcp.message
            assert "AllowTcpForwarding" in str(tcp.hint)
            # Of sockets sshd does not say why.
            assert path.message == "/s, from no-forwarding: open failed"
            assert "AllowStreamLocalForwarding" in str(path.hint)
            for spec, hint in (("-R 0:localhost:1", "PermitListen"), ("-R /s:/t", "StreamLocal")):
                with pytest.raises(FleetError) as caught:
                    await forwards.forwarding.add(*wish(host, spec))
                assert caught.value.kind == "forward.refused"
                assert hint in str(caught.value.failure.hint)

    run_async(main)
    fleet.stop(lab_host)


def test_a_port_that_is_taken_on_the_host_is_refused(host):
    """
    So is asking twice for the same; the first forwarding goes on.
    """

    async def main():
        async with (
            serving(saying(b"mine")) as port,
            forwarding(host, f"-R 0:127.0.0.1:{port}") as forwards,
        ):
            taken = forwards.ports[0]
            # Of a name with two addresses sshd is content with one.
            for bind, each in (("127.0.0.1:", port), ("", taken)):
                with pytest.raises(FleetError) as caught:
                    await forwards.forwarding.add(*wish(host, f"-R {bind}{each}:localhost:1"))
                assert caught.value.kind == "forward.refused"
                assert f"port {each} is taken there" in str(caught.value.failure.hint)
            assert await ask(taken, eof=False) == b"mine"

    run_async(main)


def test_gateway_ports_of_the_server_decide_about_other_addresses(fleet):
    """
    With GatewayPorts clientspecified the address asked for is listened on.
    """
    lab_host = fleet.sshd("open-ports", {"GatewayPorts": "clientspecified"})
    host = fleet.model_host(lab_host)

    async def main():
        async with serving(saying(b"hi")) as port:
            specs = [f"-R {bind}:0:127.0.0.1:{port}" for bind in ("127.0.0.9", "*", "[::]", "")]
            async with forwarding(host, *specs) as forwards:
                addresses = ("127.0.0.9", "127.0.0.8", "::1", "127.0.0.7")
                for address, found in zip(addresses, forwards.ports, strict=True):
                    reader, writer = await asyncio.open_connection(address, found)
                    assert await reader.read() == b"hi"
                    writer.close()
                    await writer.wait_closed()

    run_async(main)
    fleet.stop(lab_host)


def test_forwardings_go_through_a_gateway(fleet):
    """
    The host behind it listens and connects, not the gateway.
    """
    host = behind(fleet, "web01", "web02")

    async def main():
        async with (
            serving(echo) as port,
            forwarding(host, f"-L 0:127.0.0.1:{port}", f"-R 0:127.0.0.1:{port}") as forwards,
        ):
            data = os.urandom(300_000)
            assert [await ask(place, data) for place in forwards.places] == [data, data]

    run_async(main)


def test_a_name_is_looked_up_where_it_is_connected_to(host):
    """
    A name that only the other side could know is its business, and its refusal names it.
    """

    async def main():
        async with forwarding(host, "-L 0:no.such.name.invalid:80") as forwards:
            assert await ask(forwards.places[0], eof=False) == b""
            (event,) = forwards.events
            assert isinstance(event, ConnectionRefused)
            assert f"no.such.name.invalid:80, from {host.name}" in event.failure.message

    run_async(main)


def test_paths_are_those_of_the_wish(host, tmp_path):
    """
    Tokens in paths are replaced as ssh does it.
    """
    (forward,) = wish(host, f"-L {tmp_path}/%n-%p:localhost:1")
    assert forward.listen == SocketPath(f"{tmp_path}/{host.name}-{host.settings.port}")
