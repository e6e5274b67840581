"""
Servers that go through the protocol up to one step, and stall or lie there (S05 S06 S10).

Nothing but the deadline of the connection ends the wait before a command, whatever the step is;
afterwards the command's own. That nothing is left is checked by the guard in ``tests/conftest.py``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import paramiko
import pytest
from paramiko.message import Message

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from fleetctl.ssh.loop_transport import MAX_EARLY_PACKETS
from fleetctl.ssh.wire import SocketWire
from tests.support.drive import Connection, connected, failed_login, run_async, until
from tests.support.patience import PACES, PATIENCE_S, SLACK_S
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet

Prepare = Callable[[paramiko.Transport], None]

EXT_INFO, SERVICE_ACCEPT, NEWKEYS, KEX_REPLY = 7, 6, 21, 31
USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER = 51, 52, 53
OPEN_CONFIRMATION, EOF, CLOSE, CHANNEL_REQUEST, CHANNEL_SUCCESS = 91, 96, 97, 98, 99


def falling_silent_at(*numbers: int) -> Prepare:
    """Return what makes a server send nothing any more, from the first of these messages on."""

    def prepare(transport: paramiko.Transport) -> None:
        send = transport._send_message
        silent = threading.Event()

        def send_until_then(m: Message) -> None:
            if m.asbytes()[0] in numbers:
                silent.set()
            if not silent.is_set():
                send(m)

        transport._send_message = send_until_then

    return prepare


def replacing(number: int, payload: bytes) -> Prepare:
    """Return what makes a server send this in the place of messages with that number."""

    def prepare(transport: paramiko.Transport) -> None:
        send = transport._send_message
        transport._send_message = lambda m: send(
            Message(payload) if m.asbytes()[0] == number else m
        )

    return prepare


def attempt(host: Host, command: str = "true", **fields) -> tuple[FleetError, Trace, float]:
    """Connect and run a command, which must fail; return why, the trace and how long it took."""

    async def main():
        trace = Trace()
        started = monotonic()
        with pytest.raises(FleetError) as caught:
            async with connected(host, trace=trace) as connection:
                await connection.exec(command, **fields)
        return caught.value, trace, monotonic() - started

    return run_async(main)


@pytest.mark.parametrize(
    ("step", "kind", "phase"),
    [
        pytest.param((KEX_REPLY,), "kex.timeout", "kex", id="our key is not answered"),
        pytest.param((NEWKEYS,), "kex.timeout", "kex", id="no new keys"),
        pytest.param((EXT_INFO, SERVICE_ACCEPT), "auth.timeout", "auth", id="no login service"),
        pytest.param(
            (USERAUTH_FAILURE, USERAUTH_SUCCESS), "auth.timeout", "auth", id="no login answer"
        ),
        pytest.param((OPEN_CONFIRMATION,), "session.refused", "session", id="no session"),
    ],
)
def test_S05_a_stall_in_each_step_ends_with_the_deadline(settings, step, kind, phase):
    """
    F15, F19: whatever the server leaves out, the wait for it ends in time and is named for what was
    missing; nothing ran.
    """
    with scripted_server(settings, prepare=falling_silent_at(*step)) as server:
        for limit_s in PACES:
            host = replace(
                server.host, settings=replace(server.host.settings, connect_timeout_s=limit_s)
            )
            error, trace, took_s = attempt(host)
            if error.kind == kind:
                break
    assert error.kind == kind, str(error)
    assert f"within {limit_s:g} s" in str(error)
    assert error.failure.hint
    assert error.failure.retryable
    assert (trace.phase, trace.ran) == (phase, "no")
    # A session has a time of its own, after that of the login.
    assert 0.9 * limit_s <= took_s < 2 * limit_s + SLACK_S


@pytest.mark.parametrize(
    ("step", "ran"),
    [
        pytest.param((CHANNEL_SUCCESS,), "unknown", id="nothing is answered"),
        pytest.param((CHANNEL_REQUEST,), "yes", id="no end"),
    ],
)
def test_S05_a_command_that_is_never_answered_ends_with_its_own_time(settings, step, ran):
    """
    After the command has left, its timeout ends the wait, and nobody claims that it did not run.
    """
    with scripted_server(settings, prepare=falling_silent_at(*step)) as server:
        error, trace, took_s = attempt(server.host, timeout_s=1.0)
    assert error.kind == "exec.timeout"
    assert trace.ran == ran
    assert 1.0 <= took_s < SLACK_S


def test_S05_a_stall_after_the_exit_status_does_not_hold_up_the_result(settings, monkeypatch):
    """
    A server that sends the exit status and never closes the channel costs the grace time only.
    """
    monkeypatch.setattr("fleetctl.ssh.session.DRAIN_S", 0.5)

    async def main(host):
        async with connected(host) as connection:
            return await connection.exec("true")

    with scripted_server(settings, prepare=falling_silent_at(EOF, CLOSE)) as server:
        started = monotonic()
        result = run_async(lambda: main(server.host))
        took_s = monotonic() - started
    assert result.exit_status == 0
    assert not result.output_complete
    assert took_s < SLACK_S


# -- lies


def sending_end(connection: Connection) -> asyncio.Transport:
    """Return what holds the bytes that the kernel does not take yet."""
    wire = connection.transport.wire
    assert isinstance(wire, SocketWire)
    assert wire._tcp is not None
    return wire._tcp


def test_S06_a_count_of_four_billion_extensions_is_not_counted_to(settings):
    """
    An EXT_INFO that announces more extensions than it holds is refused at once: taken at its word,
    it would stop the loop, and with it every host, for an hour (RFC 8308 section 2.3).
    """
    # Few enough that a loop that believes it ends, in seconds.
    payload = bytes([EXT_INFO]) + (3_000_000).to_bytes(4, "big")

    def prepare(transport: paramiko.Transport) -> None:
        transport._preferred_kex = ("curve25519-sha256@libssh.org",)
        replacing(EXT_INFO, payload)(transport)

    with scripted_server(settings, prepare=prepare) as server:
        cpu_s = time.thread_time()
        error = failed_login(server.host)
        cpu_s = time.thread_time() - cpu_s
    assert error.kind == "kex.protocol", str(error)
    assert cpu_s < 1


def test_S06_login_banners_without_end_are_bounded(settings):
    """
    A server that talks instead of answering the login is cut off like any other flood.
    """
    text = b"line of a banner\r\n" * 200
    banner = bytes([USERAUTH_BANNER]) + len(text).to_bytes(4, "big") + text + bytes(4)

    class Talks(Login):
        def check_auth_publickey(self, username, key):
            for _ in range(MAX_EARLY_PACKETS + 1):
                server.transports[-1]._send_message(Message(banner))
            return 2

    with scripted_server(settings, login=Talks) as server:
        error = failed_login(server.host)
    assert error.kind == "kex.protocol"
    assert "without end before login" in str(error)


def test_S06_a_long_login_banner_is_kept_in_part(settings):
    """
    Of what a server says to people no more than 64 KiB is kept.
    """
    text = b"x" * 60_000
    banner = bytes([USERAUTH_BANNER]) + len(text).to_bytes(4, "big") + text + bytes(4)

    class Talks(Login):
        def check_auth_publickey(self, username, key):
            for _ in range(5):
                server.transports[-1]._send_message(Message(banner))
            return super().check_auth_publickey(username, key)

    async def main(host):
        async with connected(host) as connection:
            return len(connection.ssh.login.banner)

    with scripted_server(settings, login=Talks) as server:
        assert run_async(lambda: main(server.host)) == 64 * 1024


def test_S06_a_small_packet_does_not_become_a_large_one(settings):
    """
    With Compression on, a server cannot make memory out of nothing: what a packet may hold is
    bounded after it was expanded, too.
    """
    bomb = bytes([2]) + (64 * 1024 * 1024).to_bytes(4, "big") + bytes(64 * 1024 * 1024)

    class Bombs(Login):
        def run(self, channel, command):
            transport = channel.get_transport()
            transport._send_message(Message(bomb))
            super().run(channel, command)

    def prepare(transport: paramiko.Transport) -> None:
        transport._preferred_compression = ("zlib@openssh.com", "none")

    expanded: list[int] = []

    async def main(host):
        async with connected(host) as connection:
            packetizer = connection.transport.packetizer
            expand = packetizer._Packetizer__compress_engine_in

            def counted(data):
                out = expand(data)
                expanded.append(len(out))
                return out

            packetizer._Packetizer__compress_engine_in = counted
            with pytest.raises(FleetError) as caught:
                await connection.exec("true")
            return caught.value

    settings = replace(settings, compression=True)
    with scripted_server(settings, login=Bombs, prepare=prepare) as server:
        error = run_async(lambda: main(server.host))
    assert error.kind == "session.lost"
    assert max(expanded, default=0) <= 1024 * 1024


def test_S06_requests_that_want_answers_which_nobody_reads_are_bounded(settings):
    """
    A server that asks without end and never reads our answers is not answered without end: our
    memory is not where its questions pile up.
    """
    request = bytes([80]) + (4).to_bytes(4, "big") + b"ping" + b"\1"
    ended = threading.Event()

    class Asks(Login):
        def run(self, channel, command):
            transport = channel.get_transport()
            with suppress(OSError, EOFError, paramiko.SSHException):
                while not ended.is_set():
                    transport._send_message(Message(request))

    def prepare(transport: paramiko.Transport) -> None:
        read = transport.packetizer.read_message

        def read_until_asked():
            kind, m = read()
            if kind == CHANNEL_REQUEST:
                server.transports[-1]._channel_handler_table[kind](
                    transport._channels.get(m.get_int()), m
                )
                ended.wait(PATIENCE_S)
            return kind, m

        transport.packetizer.read_message = read_until_asked

    async def main(host):
        async with connected(host) as connection:
            running = asyncio.ensure_future(connection.exec("true"))
            tcp = sending_end(connection)
            # The server can hold some, and so can the kernel; then it is our buffer that grows.
            await until(lambda: tcp.get_write_buffer_size() > 0 or running.done())
            await asyncio.sleep(3)
            size = tcp.get_write_buffer_size()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            ended.set()
            connection.transport.abort()
            return size

    with scripted_server(settings, login=Asks, prepare=prepare) as server:
        try:
            assert run_async(lambda: main(server.host)) < 1024 * 1024
        finally:
            ended.set()
