"""
Servers that lie about a session that is open: answers nobody asked for, ends instead of answers.
"""

from __future__ import annotations

import asyncio

import paramiko
import pytest
from paramiko.common import (
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_FAILURE,
    cMSG_CHANNEL_OPEN_FAILURE,
    cMSG_CHANNEL_OPEN_SUCCESS,
    cMSG_CHANNEL_REQUEST,
)

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import Pty
from fleetctl.model.result import ExecResult
from fleetctl.ssh import opening as opening_module
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.session import Session
from tests.support.drive import connected, run_async, until
from tests.support.saying import Saying, read_until
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


def message(kind: bytes, channel: paramiko.Channel, *fields: object) -> paramiko.Message:
    m = paramiko.Message()
    m.add_byte(kind)
    m.add_int(channel.remote_chanid)
    m.add(*fields)
    return m


def send(channel: paramiko.Channel, kind: bytes, *fields: object) -> None:
    channel.get_transport()._send_user_message(message(kind, channel, *fields))


# -- what happens before the program was asked for


def test_a_terminal_that_ends_the_session_is_a_refused_terminal(settings, loop):
    """
    A server that closes the session instead of giving a terminal has run nothing.
    """

    class Closing(Login):
        def check_channel_pty_request(self, channel, *_):
            send(channel, cMSG_CHANNEL_CLOSE)
            return True

    async def main() -> tuple[str, str]:
        async with connected(server.host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("true", pty=Pty())
            return caught.value.kind, connection.trace.ran

    with scripted_server(settings, login=Closing) as server:
        assert run_async(main, loop=loop) == ("pty.refused", "no")


def test_a_link_that_is_lost_before_the_program_was_asked_for_may_be_tried_again(settings, loop):
    """
    Lost while the terminal was asked for: nothing ran, and nothing keeps anybody from trying again.
    """

    class Dying(Login):
        def check_channel_pty_request(self, channel, *_):
            channel.get_transport().sock.close()
            return True

    async def main() -> tuple[str, bool, str]:
        async with connected(server.host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("true", pty=Pty())
            failure = caught.value.failure
            return failure.kind, failure.retryable, connection.trace.ran

    with scripted_server(settings, login=Dying) as server:
        assert run_async(main, loop=loop) == ("session.lost", True, "no")


# -- channels that are not open


def test_nothing_is_said_on_a_channel_that_was_refused(fleet, loop):
    """
    A channel that was never opened has no number there: what is said on it is not sent, and does
    not reach another channel.
    """

    async def main() -> None:
        async with connected(fleet.model_host(fleet.host("tiny-sessions"))) as connection:
            running = asyncio.ensure_future(connection.exec("cat", dialogue=Saying(listen)))
            await until(lambda: connection.trace.ran != "no")
            refused = Session(connection.transport)
            await refused.channel.opened.future
            assert refused.channel.open_refused is not None
            refused.channel.request("signal", "KILL", want_reply=False)
            assert refused.channel.write(memoryview(b"wrong\n")) == 0
            refused.channel.write_eof()
            refused.close()
            go_on.set()
            assert (await running).stdout == b"right\n"

    async def listen(conversation: Conversation) -> None:
        await go_on.wait()
        await conversation.write(b"right\n")

    go_on = asyncio.Event()
    run_async(main, loop=loop)


def test_nothing_is_said_on_a_channel_that_was_closed(host, loop):
    """
    A dialogue that does not notice the end of its program does not end the connection.
    """

    async def talk_on(conversation: Conversation) -> None:
        while await conversation.read():
            pass
        conversation.resize(132, 50)
        await conversation.write(b"anybody there?\n")
        conversation.write_eof()

    async def main() -> None:
        async with connected(host) as connection:
            for _ in range(3):
                result = await connection.exec("true", pty=Pty(), dialogue=Saying(talk_on))
                assert result.exit_status == 0

    run_async(main, loop=loop)


def test_a_session_given_up_when_it_was_opened_is_closed(fleet, monkeypatch, loop):
    """
    Cancelled in the turn in which the server's yes came: the server does not count it for ever.
    """
    tasks: list[asyncio.Task[ExecResult]] = []

    def ask(transport: LoopTransport) -> Session:
        session = Session(transport)
        if tasks:
            session.channel.opened.future.add_done_callback(lambda _: tasks.pop().cancel())
        return session

    monkeypatch.setattr(opening_module, "Session", ask)
    host = fleet.model_host(fleet.sshd("two-sessions", {"MaxSessions": "2"}))

    async def main() -> None:
        async with connected(host) as connection:
            assert (await connection.exec("true")).exit_status == 0
            for _ in range(4):
                tasks.append(asyncio.ensure_future(connection.exec("true")))
                [task] = tasks
                with pytest.raises(asyncio.CancelledError):
                    await task
            await until(lambda: len(connection.transport._channels) == 0)
            assert (await connection.exec("echo fine")).stdout == b"fine\n"

    run_async(main, loop=loop)


# -- answers nobody asked for


def test_a_refusal_of_nothing_changes_nothing(settings, loop):
    """
    After the program was accepted, a server cannot say that it did not run.
    """

    class Denying(Login):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            send(channel, cMSG_CHANNEL_FAILURE)
            channel.send(b"it ran")
            super().run(channel, command)

    async def main() -> None:
        async with connected(server.host) as connection:
            result = await connection.exec("true")
            assert (result.exit_status, result.stdout) == (0, b"it ran")
            assert connection.trace.ran == "yes"

    with scripted_server(settings, login=Denying) as server:
        run_async(main, loop=loop)


def test_a_second_answer_to_an_open_changes_nothing(settings, loop):
    """
    A session that is open stays so, whatever is said about its opening later.
    """

    class Babbling(Login):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            send(channel, cMSG_CHANNEL_OPEN_FAILURE, 2, "no", "en")
            send(channel, cMSG_CHANNEL_OPEN_SUCCESS, 4711, 0, 0)
            send(channel, cMSG_CHANNEL_OPEN_FAILURE, 2, "no", "en")
            assert channel.recv(7) == b"input\n"
            channel.send(b"output\n")
            super().run(channel, command)

    async def main() -> None:
        async with connected(server.host) as connection:
            command = asyncio.ensure_future(connection.exec("true", dialogue=Saying(say)))
            assert (await command).exit_status == 0
            assert (await connection.exec("true", stdin=b"input\n")).stdout == b"output\n"

    async def say(conversation: Conversation) -> None:
        await asyncio.sleep(0.1)  # the babble has come
        await conversation.write(b"input\n")
        assert await read_until(conversation, b"\n") == b"output\n"

    with scripted_server(settings, login=Babbling) as server:
        run_async(main, loop=loop)


def test_the_name_of_a_signal_is_short(settings):
    """
    What a server says killed a program is bounded, as all that a host says.
    """

    class Verbose(Login):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            fields = ("exit-signal", False, "X" * 30_000, False, "", "")
            send(channel, cMSG_CHANNEL_REQUEST, *fields)
            send(channel, cMSG_CHANNEL_CLOSE)

    async def main() -> str | None:
        async with connected(server.host) as connection:
            return (await connection.exec("true")).exit_signal

    with scripted_server(settings, login=Verbose) as server:
        name = run_async(main)
    assert name is not None
    assert 0 < len(name) <= 64
