"""
Dialogues against servers and programs that do not play along: races, lies and lost links.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial

import paramiko
import pytest

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import Pty
from tests.support.drive import connected, failed_command, run_async, run_command, until
from tests.support.patience import PATIENCE_S
from tests.support.saying import Saying, read_until
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


# -- input


class Narrow(Login):
    """Takes 16 KiB of input and no more; lets run what the test sets."""

    released = threading.Event()

    def check_channel_pty_request(self, channel, *_):
        return True


def narrow(transport: paramiko.Transport) -> None:
    transport.default_window_size = 16 * 1024


def test_a_refused_program_is_told_at_once_though_its_dialogue_writes(settings):
    """
    A dialogue that is stuck in what it writes does not hold up the refusal of its program.
    """

    class Refusing(Narrow):
        def check_channel_exec_request(self, channel, command):
            return False

    async def shout(conversation: Conversation) -> None:
        await conversation.write(bytes(MEBIBYTE))
        written.set()

    written = threading.Event()

    async def main() -> str:
        async with connected(server.host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("true", dialogue=Saying(shout))
            return caught.value.kind

    with scripted_server(settings, login=Refusing, prepare=narrow) as server:
        assert run_async(main) == "exec.refused"
    assert written.is_set(), "it was woken, not cancelled"


def test_a_dialogue_that_writes_after_the_end_of_input_goes_on(host, tmp_path, loop):
    """
    What is written after EOF is dropped; it does not wait for the end of the program.
    """
    go_on = tmp_path / "go-on"

    async def talk(conversation: Conversation) -> None:
        conversation.write_eof()
        conversation.write_eof()
        await conversation.write(b"too late")
        go_on.touch()

    command = f"cat; until test -e {go_on}; do sleep 0.05; done"
    for pty in (None, Pty()):
        result, _ = run_command(
            host, command, dialogue=Saying(talk), stdin=b"late too", pty=pty, loop=loop
        )
        assert (result.exit_status, result.stdout) == (0, b"")
        go_on.unlink()


def test_the_end_of_typing_waits_until_there_is_room_for_it(settings, loop):
    """
    On a terminal EOF is a character, and is sent though the window is full when its turn comes.
    """
    received = bytearray()

    class Reading(Narrow):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            while not received.endswith(b"\x04") and (data := channel.recv(65536)):
                received.extend(data)
            super().run(channel, command)

    async def nothing(_: Conversation) -> None:
        """Leave the input to the request."""

    async def main(stdin: bytes, dialogue: Saying | None) -> None:
        async with connected(server.host) as connection:
            result = await connection.exec(
                "cat", pty=Pty(), stdin=stdin, dialogue=dialogue, timeout_s=PATIENCE_S
            )
            assert result.exit_status == 0

    for size in (16 * 1024 - 1, 16 * 1024, 32 * 1024):
        stdin = b"x" * (size - 1) + b"\n"
        for dialogue in (None, Saying(nothing)):
            received.clear()
            with scripted_server(settings, login=Reading, prepare=narrow) as server:
                run_async(partial(main, stdin, dialogue), loop=loop)
            assert received == stdin + b"\x04"


# -- ends


def test_a_link_that_is_lost_in_a_dialogue_is_not_the_dialogues_fault(fleet, loop):
    """
    Whatever a dialogue makes of a program that ends early, the lost link is the reason.
    """
    lab_host = fleet.sshd("dialogues", {})

    async def insist(conversation: Conversation) -> None:
        await read_until_or_fail(conversation, b"here\n")
        here.set()
        await read_until_or_fail(conversation, b"there\n")

    async def read_until_or_fail(conversation: Conversation, end: bytes) -> None:
        seen = b""
        while not seen.endswith(end):
            piece = await conversation.read()
            if piece is None:
                raise FleetError("expect.eof", "it ended")
            conversation.keep(*piece)
            seen += piece[1]

    here = threading.Event()

    async def main() -> None:
        async with connected(fleet.model_host(lab_host)) as connection:
            command = asyncio.ensure_future(
                connection.exec("echo here; exec sleep 600", dialogue=Saying(insist))
            )
            await until(here.is_set)
            connection.transport.abort()
            with pytest.raises(FleetError) as caught:
                await command
            assert caught.value.kind == "session.lost"
            assert caught.value.result is not None
            assert caught.value.result.stdout == b"here\n"
            assert connection.trace.ran == "unknown"

    try:
        run_async(main, loop=loop)
    finally:
        fleet.end_sessions(lab_host)


def test_a_bug_in_a_dialogue_ends_the_program_and_not_the_connection(fleet, loop):
    """
    Whatever it raises comes out, and its program is gone.
    """
    lab_host = fleet.sshd("dialogues", {})

    async def stumble(conversation: Conversation) -> None:
        await read_until(conversation, b"here\n")
        raise ZeroDivisionError

    async def main() -> None:
        async with connected(fleet.model_host(lab_host)) as connection:
            with pytest.raises(ZeroDivisionError):
                await connection.exec("echo here; exec sleep 600", dialogue=Saying(stumble))
            assert connection.trace.ran in {"unknown", "yes"}
            assert (await connection.exec("echo next")).stdout == b"next\n"

    run_async(main, loop=loop)


def test_what_a_dialogue_had_not_read_when_time_was_over_is_output(host, loop):
    """
    The result of a command that was ended has all that came, read or not.
    """

    async def doze(conversation: Conversation) -> None:
        await asyncio.sleep(PATIENCE_S)

    error, trace = failed_command(
        host, "echo unread; exec sleep 600", dialogue=Saying(doze), timeout_s=1.0
    )
    assert (error.kind, trace.ran) == ("exec.timeout", "yes")
    assert error.result is not None
    assert error.result.stdout == b"unread\n"


def test_what_a_dialogue_had_not_read_when_it_was_cancelled_is_output(host, loop):
    """
    What a cancelled command had written is in its partial result, read or not.
    """

    async def doze(conversation: Conversation) -> None:
        await until(lambda: conversation._unread_bytes)  # type: ignore[attr-defined]
        came.set()
        await asyncio.sleep(PATIENCE_S)

    came = threading.Event()

    async def main() -> None:
        async with connected(host) as connection:
            command = asyncio.ensure_future(
                connection.exec("echo unread; exec sleep 600", dialogue=Saying(doze))
            )
            await until(came.is_set)
            command.cancel()
            with suppress(asyncio.CancelledError):
                await command
            assert connection.trace.partial is not None
            assert connection.trace.partial.stdout == b"unread\n"

    run_async(main, loop=loop)


def test_many_dialogues_at_once_are_kept_apart(fleet, loop):
    """
    On one connection, each of thirty dialogues hears its own program, though every third is
    cancelled meanwhile, and nothing is left of those.
    """
    lab_host = fleet.sshd("dialogues", {})
    cancelled = []

    def talk(number: int) -> Saying:
        async def say(conversation: Conversation) -> None:
            try:
                for turn in range(5):
                    assert await read_until(conversation, b"?") == b"%d?" % turn
                    await conversation.write(b"%d-%d\n" % (number, turn))
            except asyncio.CancelledError:
                cancelled.append(number)
                raise

        return Saying(say)

    program = 'for i in 0 1 2 3 4; do printf "$i?"; read -r x; set -- "$@" "$x"; done; echo "$*"'

    async def main() -> None:
        async with connected(fleet.model_host(lab_host)) as connection:
            tasks = [
                asyncio.ensure_future(connection.exec(program, dialogue=talk(number)))
                for number in range(30)
            ]
            await asyncio.sleep(0)
            for task in tasks[::3]:
                asyncio.get_running_loop().call_later(0.02, task.cancel)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for number, result in enumerate(results):
                if isinstance(result, asyncio.CancelledError):
                    assert number % 3 == 0
                else:
                    assert not isinstance(result, BaseException), result
                    expected = " ".join(f"{number}-{turn}" for turn in range(5))
                    assert result.stdout.decode() == f"{expected}\n"
            await until(lambda: len(connection.transport._channels) == 0)

    run_async(main, loop=loop)
