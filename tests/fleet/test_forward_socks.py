"""
Dynamic forwarding with real clients, and beside ``ssh -D``.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from fleetctl.model.forward import ConnectionRefused
from fleetctl.ssh import socks_client
from fleetctl.ssh.blocking import in_thread
from tests.support.drive import run_async, until
from tests.support.fleet import Fleet
from tests.support.forwards import (
    ask,
    connection,
    converse,
    echo,
    forwarding,
    refusals,
    saying,
    serving,
)
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

HELLO = b"\x05\x01\x00"
GRANTED_5 = b"\x05\x00\x00\x01" + bytes(6)


def by_name(name: str, port: int) -> bytes:
    return b"\x05\x01\x00\x03" + bytes([len(name)]) + name.encode() + port.to_bytes(2, "big")


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    await writer.drain()


async def curl(*words: str) -> tuple[int, str]:
    """Return the exit status of curl and what it printed."""
    done = await in_thread(
        subprocess.run,
        ["curl", "-sS", "-q", "--noproxy", "", "--max-time", f"{PATIENCE_S:.0f}", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["D", "R"])
def test_curl_gets_through_by_every_version(host, loop, kind):
    """
    SOCKS 4, 4a and 5, by address and by name, here and as a proxy for the host.
    """

    async def main():
        async with serving(page) as port, forwarding(host, f"-{kind} 0") as forwards:
            proxy = f"127.0.0.1:{forwards.ports[0]}"
            for option in ("--socks4", "--socks4a", "--socks5", "--socks5-hostname"):
                for name in ("127.0.0.1", "localhost"):
                    found = await curl(option, proxy, "-4", f"http://{name}:{port}/")
                    assert found == (0, "hi"), option
            assert forwards.events == []

    run_async(main, loop=loop)


@pytest.mark.parametrize("kind", ["D", "R"])
def test_clients_are_told_why_it_does_not_work(host, kind):
    """
    Refused and unknown names have codes of their own, and the operator is told as well.
    """

    async def main():
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            async with forwarding(host, f"-{kind} 0") as forwards:
                place = forwards.places[0]
                got = await converse(place, [HELLO, by_name("localhost", port)])
                assert got == b"\x05\x00" + b"\x05\x05\x00\x01" + bytes(6)
                got = await converse(place, [HELLO, by_name("no.such.invalid", 80)])
                assert got == b"\x05\x00" + b"\x05\x04\x00\x01" + bytes(6)
                four = b"\x04\x01" + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + b"\0"
                assert await ask(place, four, eof=False) == b"\x00\x5b" + bytes(6)
                messages = [failure.message for failure in refusals(forwards)]
                assert len(messages) == 3
                assert messages[0].lower().endswith("connection refused")

    run_async(main)


def test_an_ipv6_address_is_connected_to(host):
    """
    With its sixteen bytes, as with brackets nowhere.
    """

    async def main():
        async with (
            serving(saying(b"six"), address="::1") as port,
            forwarding(host, "-D 0") as forwards,
        ):
            request = b"\x05\x01\x00\x04" + bytes(15) + b"\x01" + port.to_bytes(2, "big")
            got = await converse(forwards.places[0], [HELLO, request])
            assert got == b"\x05\x00" + GRANTED_5 + b"six"

    run_async(main)


def test_data_behind_the_request_is_passed_on(host, loop):
    """
    A client may send at once what is for the other end, and end its input.
    """

    async def main():
        async with serving(echo) as port, forwarding(host, "-D 0") as forwards:
            sent = HELLO + by_name("localhost", port) + b"early"
            assert await ask(forwards.places[0], sent) == b"\x05\x00" + GRANTED_5 + b"early"

    run_async(main, loop=loop)


def test_clients_that_say_nothing_or_too_much_are_left(host, loop, monkeypatch):
    """
    A request has its time and its size; others are served meanwhile.
    """
    monkeypatch.setattr(socks_client, "REQUEST_S", 0.5)

    async def main():
        async with serving(saying(b"hi")) as port, forwarding(host, "-D 0") as forwards:
            place = forwards.places[0]
            async with connection(place) as (silent, _), connection(place) as (slow, writer):
                writer.write(b"\x05")
                endless = b"\x04\x01\0\x50\x0a\0\0\x09" + b"u" * 100_000
                # What it still sends when nobody reads any more resets it.
                with suppress(ConnectionError):
                    assert await ask(place, endless, eof=False) in (b"\x00\x5b" + bytes(6), b"")
                got = await converse(place, [HELLO, by_name("localhost", port)])
                assert got.endswith(b"hi")
                assert await silent.read() == await slow.read() == b""
            assert await ask(place, b"\x05\x01") == b""
            await until(lambda: not forwards.forwarding._streams)
            assert len(forwards.events) == 4

    run_async(main, loop=loop)


def test_what_the_host_may_reach_through_us_is_said_by_permit_remote_open(fleet):
    """
    Host and port as they are written; `none` and everything else is prohibited, with its code.
    """

    async def main():
        async with serving(saying(b"hi")) as port:
            permitted = (f"localhost:{port}", "[::1]:*")
            host = fleet.model_host(fleet.host("web01"), permit_remote_open=permitted)
            async with forwarding(host, "-R 0") as forwards:
                place = forwards.places[0]
                got = await converse(place, [HELLO, by_name("localhost", port)])
                assert got.endswith(b"hi")
                for name, each in (("localhost", port + 1), ("127.0.0.1", port)):
                    got = await converse(place, [HELLO, by_name(name, each)])
                    assert got == b"\x05\x00" + b"\x05\x02\x00\x01" + bytes(6)
                for event in forwards.events:
                    assert isinstance(event, ConnectionRefused)
                    assert event.failure.hint == "see PermitRemoteOpen"
            nothing = fleet.model_host(fleet.host("web01"), permit_remote_open=("none",))
            async with forwarding(nothing, "-R 0") as forwards:
                got = await converse(forwards.places[0], [HELLO, by_name("localhost", port)])
                assert got.endswith(b"\x05\x02\x00\x01" + bytes(6))

    run_async(main)


@contextmanager
def ssh_proxy(fleet: Fleet) -> Iterator[int]:
    """OpenSSH's own proxy; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = fleet.ssh_argv(fleet.host("web01"), "-N", "-D", f"127.0.0.1:{port}")
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < until_s
            time.sleep(0.02)
        yield port
    finally:
        child.terminate()
        child.wait()


def test_answers_are_those_of_ssh_and_more(fleet, host):
    """
    The same conversations with `ssh -D`: what works is answered byte for byte alike. Where ssh
    leaves without a word, the client is told the code of the RFC first; and a connection is
    granted when it is there, not before.
    """
    working = {
        "4": [b"\x04\x01%b\x7f\0\0\x01me\0"],
        "4a": [b"\x04\x01%b\0\0\0\x01me\0localhost\0"],
        "5 by address": [HELLO, b"\x05\x01\0\x01\x7f\0\0\x01%b"],
        "5 by name": [HELLO, b"\x05\x01\0\x03\x09localhost%b"],
        "5 with methods": [b"\x05\x03\x02\x00\x01", b"\x05\x01\0\x03\x09localhost%b"],
    }
    refused = {
        "garbage": [b"GET / HTTP/1.0\r\n\r\n"],
        "4 bind": [b"\x04\x02%b\x7f\0\0\x01me\0"],
        "5 bind": [HELLO, b"\x05\x02\0\x01\x7f\0\0\x01%b"],
        "5 datagrams": [HELLO, b"\x05\x03\0\x01\x7f\0\0\x01%b"],
        "5 type of address": [HELLO, b"\x05\x01\0\x07\x7f\0\0\x01%b"],
        "5 reserved": [HELLO, b"\x05\x01\x01\x01\x7f\0\0\x01%b"],
        "5 password": [b"\x05\x01\x02"],
    }

    async def main():
        with ssh_proxy(fleet) as theirs:
            async with serving(saying(b"hi")) as port, forwarding(host, "-D 0") as forwards:

                async def both(steps: list[bytes]) -> tuple[bytes, bytes]:
                    number = port.to_bytes(2, "big")
                    sent = [step.replace(b"%b", number) for step in steps]
                    return await converse(theirs, sent), await converse(forwards.ports[0], sent)

                for name, steps in working.items():
                    ssh, ours = await both(steps)
                    assert ours == ssh, name
                    assert ours.endswith(b"hi"), name
                for name, steps in refused.items():
                    ssh, ours = await both(steps)
                    assert ours.startswith(ssh), name
                    assert len(ours) - len(ssh) in (0, 2, 8, 10), name

    run_async(main)
