"""
The rules for hosting Paramiko on the loop, 7 to 10: blocking calls, pace, odd messages.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from time import monotonic

import paramiko
import pytest
from paramiko.common import MSG_IGNORE, MSG_UNIMPLEMENTED
from paramiko.message import Message

from fleetctl.model.errors import FleetError
from fleetctl.ssh.loop_channel import WINDOW_BYTES
from fleetctl.ssh.loop_transport import TURN_PACKETS
from fleetctl.ssh.session import Session
from tests.support.drive import connected, run_async, until
from tests.support.patience import PATIENCE_S, SLACK_S
from tests.support.server import scripted_server

pytestmark = pytest.mark.fleet


def raw_message(number: int, *strings: str) -> Message:
    message = Message()
    message.add_byte(bytes([number]))
    for text in strings:
        message.add_string(text)
    return message


# -- rule 7: blocking calls

Blocking = Callable[[paramiko.Transport, paramiko.Channel], object]

BLOCKING: dict[str, Blocking] = {
    "open_session": lambda transport, _: transport.open_session(),
    "open_channel": lambda transport, _: transport.open_channel("session"),
    "open_sftp_client": lambda transport, _: transport.open_sftp_client(),
    "global_request": lambda transport, _: transport.global_request("x", wait=True),
    "request_port_forward": lambda transport, _: transport.request_port_forward("", 0),
    "renegotiate_keys": lambda transport, _: transport.renegotiate_keys(),
    "start_client": lambda transport, _: transport.start_client(),
    "accept": lambda transport, _: transport.accept(1),
    "auth_none": lambda transport, _: transport.auth_none("x"),
    "auth_password": lambda transport, _: transport.auth_password("x", "y"),
    "auth_publickey": lambda transport, _: transport.auth_publickey("x", None),
    "auth_interactive": lambda transport, _: transport.auth_interactive("x", None),
    "auth_interactive_dumb": lambda transport, _: transport.auth_interactive_dumb("x"),
    "exec_command": lambda _, channel: channel.exec_command("true"),
    "invoke_shell": lambda _, channel: channel.invoke_shell(),
    "invoke_subsystem": lambda _, channel: channel.invoke_subsystem("sftp"),
    "get_pty": lambda _, channel: channel.get_pty(),
    "recv": lambda _, channel: channel.recv(1),
    "recv_stderr": lambda _, channel: channel.recv_stderr(1),
    "recv_exit_status": lambda _, channel: channel.recv_exit_status(),
    "makefile": lambda _, channel: channel.makefile().read(),
    "sendall": lambda _, channel: channel.sendall(bytes(WINDOW_BYTES + 1)),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_blocking_call_on_the_loop_is_refused_at_once(host, name):
    """
    Paramiko's blocking calls raise on the loop's thread instead of stopping every host, and the
    connection lives on (rule 7).
    """

    async def main():
        async with connected(host) as connection:
            channel = await asyncio.to_thread(connection.transport.open_session)
            with pytest.raises(RuntimeError, match="on the event loop's thread"):
                BLOCKING[name](connection.transport, channel)
            channel.close()
            assert (await connection.exec("exit 7")).exit_status == 7

    run_async(main)


def test_calls_that_do_not_block_are_allowed_on_the_loop(host):
    """
    Sending into an open window and requests that want no answer work on the loop's thread.
    """

    async def main():
        async with connected(host) as connection:
            transport = connection.transport
            assert transport.global_request("x@example.org", wait=False) is None
            channel = await asyncio.to_thread(transport.open_session)
            await asyncio.to_thread(channel.exec_command, "cat")
            assert channel.send(b"hello") == 5
            channel.shutdown_write()
            assert await asyncio.to_thread(channel.recv, 10) == b"hello"
            channel.close()

    run_async(main)


# -- rule 8: backpressure


def test_slow_consumer_stops_the_host(host, loop):
    """
    While reading is paused the host sends no more than its window; afterwards everything comes
    (rule 8, F53).
    """
    size = 3 * WINDOW_BYTES
    got: list[int] = []

    async def main():
        async with connected(host, open_session=False) as connection:
            session = Session(connection.transport)
            await session.channel.opened.future
            session.collect(0, lambda _, data: got.append(len(data)))
            session.channel.pause_reading()
            session.request("exec", f"head -c {size} /dev/zero")
            await until(lambda: sum(got) >= WINDOW_BYTES)
            await asyncio.sleep(0.2)
            assert sum(got) == WINDOW_BYTES
            assert (await connection.exec("exit 7")).exit_status == 7
            session.channel.resume_reading()
            await asyncio.wait_for(session.ended, PATIENCE_S)
            assert sum(got) == size
            assert session.exit_status == 0

    run_async(main, loop=loop)


def test_slow_host_stops_our_sending(host, tmp_path):
    """
    A command that does not read gets no more than the window, which is not kept in memory twice;
    what it reads later arrives whole.
    """
    data = os.urandom(3 * WINDOW_BYTES)

    async def main():
        async with connected(host) as connection:
            go_on = tmp_path / "go-on"
            command = f"until test -e {go_on}; do sleep 0.05; done; wc -c"
            running = asyncio.ensure_future(connection.exec(command, stdin=data))
            await until(lambda: connection.trace.ran != "no")
            transport = connection.transport
            [channel] = transport._channels.values()
            await until(lambda: channel.out_window_size < 64 * 1024 and not transport._out)
            await asyncio.sleep(0.2)
            assert not transport._out
            assert not transport._held
            go_on.touch()
            assert int((await running).stdout) == len(data)

    run_async(main)


# -- rule 9: fairness


def test_busy_connection_does_not_starve_the_others(host, loop):
    """
    While one connection prints as fast as it can, commands on another are not held up (rule 9).
    """

    async def main():
        async with connected(host) as busy, connected(host) as quick:
            printed: list[int] = []
            printing = asyncio.ensure_future(
                busy.exec("exec yes", on_output=lambda _, data: printed.append(len(data)))
            )
            await until(lambda: printed)
            slowest = 0.0
            for _ in range(5):
                started = monotonic()
                assert (await quick.exec("exit 7")).exit_status == 7
                slowest = max(slowest, monotonic() - started)
            assert not printing.done()
            printing.cancel()
            await asyncio.gather(printing, return_exceptions=True)
            return slowest

    assert run_async(main, loop=loop) < SLACK_S


def test_small_packets_do_not_keep_the_loop_busy(settings, loop):
    """
    Of many small packets that came at once, a turn of the loop takes no more than its share (rule
    9).
    """
    turn = 0
    taken: Counter[int] = Counter()

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        asyncio.get_running_loop().call_soon(next_turn)

    async def main():
        async with connected(server.host, open_session=False) as connection:
            transport = connection.transport
            stock = transport.count_packet

            def counted() -> None:
                taken[turn] += 1
                stock()

            flood = raw_message(MSG_IGNORE, "x")
            packets: list[bytes] = []
            theirs = server.transports[0].packetizer
            write, theirs.write_all = theirs.write_all, packets.append
            for _ in range(5000):
                theirs.send_message(flood)
            theirs.write_all = write
            transport.count_packet = counted  # type: ignore[method-assign]
            next_turn()
            transport.bytes_received(b"".join(packets))
            await until(lambda: sum(taken.values()) >= 5000)
            assert (await connection.exec("true")).exit_status == 0
            del transport.count_packet

    with scripted_server(settings) as server:
        run_async(main, loop=loop)
    assert max(taken.values()) <= 2 * (TURN_PACKETS + 1)


# -- rule 10: what the server should not send


def test_unknown_message_is_answered_and_nothing_else_happens(settings, loop):
    """
    A message with a number nobody knows is answered UNIMPLEMENTED with its sequence number, and the
    connection lives on (rule 10).
    """
    answers: list[int] = []

    def prepare(transport: paramiko.Transport) -> None:
        transport._handler_table[MSG_UNIMPLEMENTED] = lambda m: answers.append(m.get_int())

    async def main():
        async with connected(server.host) as connection:
            theirs = server.transports[0]
            for number in (200, 255, 59, 192):
                theirs._send_message(raw_message(number, "what is this"))
            await until(lambda: len(answers) == 4)
            assert answers == sorted(set(answers))
            assert (await connection.exec("true")).exit_status == 0
            theirs._send_message(raw_message(MSG_IGNORE, "nothing"))
            theirs._send_message(raw_message(MSG_UNIMPLEMENTED))
            assert (await connection.exec("true")).exit_status == 0

    with scripted_server(settings, prepare=prepare) as server:
        run_async(main, loop=loop)


def test_message_for_a_channel_that_never_was(settings):
    """
    Data for a channel that was never opened ends the connection, as lost.
    """

    async def main():
        async with connected(server.host, open_session=False) as connection:
            data = Message()
            data.add_byte(b"\x5e")
            data.add_int(4711)
            data.add_string("x")
            server.transports[0]._send_message(data)
            await asyncio.wait_for(asyncio.shield(connection.transport.ended), PATIENCE_S)
            with pytest.raises(FleetError) as caught:
                await connection.exec("true")
            assert caught.value.kind == "session.lost"

    with scripted_server(settings) as server:
        run_async(main)
