"""
Dialogues with programs on this machine: what they hear, what they say, and how both end.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.local import execution as execution_module
from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest, Pty
from fleetctl.model.trace import Trace
from tests.support.drive import run_async, until
from tests.unit.local.runs import failed_command, linked, run_command, runs


class Spoken:
    """A dialogue made of a coroutine function."""

    def __init__(self, hold):
        self.hold = hold


async def hear(conversation: Conversation, text: bytes) -> bytes:
    """Read until a text has come; return all that came."""
    heard = b""
    while text not in heard:
        piece = await conversation.read()
        assert piece is not None, heard
        heard += piece[1]
    return heard


@pytest.fixture(params=[None, Pty()], ids=["pipes", "pty"])
def pty(request):
    """Both ways a program can be connected."""
    return request.param


def test_questions_are_answered_and_the_rest_is_output(pty, loop):
    """
    What a dialogue reads is not output unless it keeps it; after it the standard input is sent.
    """

    async def hold(conversation):
        await hear(conversation, b"name? ")
        conversation.keep("stdout", b"kept\n")
        await conversation.write(b"joe\n")

    line = "printf 'name? '; read name; echo hello $name; cat; exit 4"
    result, trace = run_command(
        line, dialogue=Spoken(hold), stdin=b"rest\n", pty=pty, loop=loop, timeout_s=60
    )
    assert (result.exit_status, result.stdout) == (4, b"kept\nhello joe\nrest\n")
    assert result.output_complete
    assert trace.ran == "yes"


def test_streams_are_told_apart_without_a_terminal(loop):
    """
    Each piece comes with the name of its stream.
    """
    pieces = []

    async def hold(conversation):
        while (piece := await conversation.read()) is not None:
            pieces.append(piece)

    result, _ = run_command("echo a; sleep 0.2; echo b >&2", dialogue=Spoken(hold), loop=loop)
    assert pieces == [("stdout", b"a\n"), ("stderr", b"b\n")]
    assert (result.exit_status, result.stdout_bytes) == (0, 0)


def test_the_end_of_the_input_can_be_said(pty, loop):
    """
    A reader of standard input sees its end, on a terminal after a line that was not finished, too.
    """

    async def hold(conversation):
        await conversation.write(b"no newline")
        conversation.write_eof()
        while (piece := await conversation.read()) is not None:
            conversation.keep(*piece)

    result, _ = run_command("cat; echo .", dialogue=Spoken(hold), pty=pty, loop=loop, timeout_s=60)
    assert result.stdout == b"no newline.\n"


def test_a_read_that_was_given_up_has_lost_nothing(pty, loop):
    """
    Limits are `asyncio.timeout` around a read.
    """

    async def hold(conversation):
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await hear(conversation, b"never")
        await conversation.write(b"go\n")
        await hear(conversation, b"gone\n")

    line = "read word; echo ${word}ne"
    result, _ = run_command(line, dialogue=Spoken(hold), pty=pty, loop=loop, timeout_s=60)
    assert result.exit_status == 0


def test_a_program_waits_for_a_dialogue_that_does_not_read(loop):
    """
    Output is taken from it up to a limit, and goes on when it is read.
    """
    seen = 0

    async def hold(conversation):
        nonlocal seen
        await asyncio.sleep(0.3)
        while (piece := await conversation.read()) is not None:
            seen += len(piece[1])

    result, _ = run_command(
        "head -c 20000000 /dev/zero", dialogue=Spoken(hold), loop=loop, timeout_s=60
    )
    assert (result.exit_status, seen) == (0, 20_000_000)


def test_time_that_is_over_ends_dialogue_and_program(pty, loop):
    """
    The dialogue is cancelled, nothing of the standard input is sent, the program is gone.
    """
    was_cancelled = False

    async def hold(conversation):
        nonlocal was_cancelled
        try:
            await hear(conversation, b"never")
        except asyncio.CancelledError:
            was_cancelled = True
            raise

    error, _ = failed_command(
        "read word; echo bad $word; sleep 60",
        dialogue=Spoken(hold),
        stdin=b"word\n",
        pty=pty,
        timeout_s=0.5,
        loop=loop,
    )
    assert error.kind == "exec.timeout"
    assert was_cancelled
    assert error.result is not None
    assert b"bad" not in error.result.stdout
    assert error.result.gone is True


@pytest.mark.parametrize(("kind", "ran"), [("expect.failed", "yes"), ("become.denied", "no")])
def test_a_dialogue_that_fails_ends_its_program(kind, ran, loop):
    """
    Its error is the result; one of phase become says that the command itself did not run.
    """
    pids = []

    async def hold(conversation):
        pids.append(int(await hear(conversation, b"\n")))
        conversation.keep("stdout", b"seen")
        raise FleetError(kind, "it went wrong")

    error, trace = failed_command("echo $$; sleep 60", dialogue=Spoken(hold), loop=loop)
    assert (error.kind, trace.ran) == (kind, ran)
    assert error.result is not None
    assert (error.result.stdout, error.result.gone) == (b"seen", True)
    assert not runs(pids[0])


def test_the_end_is_told_when_the_program_has_ended(pty, loop):
    """
    After everything it wrote, however late that is read, and again and again.
    """
    heard = []

    async def hold(conversation):
        await asyncio.sleep(0.2)
        while (piece := await conversation.read()) is not None:
            heard.append(piece[1])
        assert await conversation.read() is None
        await conversation.write(b"nobody reads this")
        conversation.write_eof()
        conversation.resize(1, 1)

    result, _ = run_command("seq 5000; exit 9", dialogue=Spoken(hold), pty=pty, loop=loop)
    assert b"".join(heard).splitlines()[-1] == b"5000"
    assert result.exit_status == 9


def test_F46_the_end_is_told_although_a_child_holds_the_output(monkeypatch, strays, loop):
    """
    A grace time after the exit, once: the result comes without another one.
    """
    monkeypatch.setattr(execution_module, "DRAIN_S", 0.3)
    heard = []

    async def hold(conversation):
        while (piece := await conversation.read()) is not None:
            heard.append(piece[1])

    result, _ = run_command("sleep 60 & echo $!", dialogue=Spoken(hold), loop=loop)
    strays.append(int(heard[0]))
    assert (result.exit_status, result.output_complete) == (0, False)


def test_a_dialogue_that_does_not_end_is_ended(monkeypatch, loop):
    """
    When it was told that there is nothing more, its time is short.
    """
    monkeypatch.setattr(execution_module, "LAST_WORD_S", 0.1)

    async def hold(conversation):
        while await conversation.read() is not None:
            pass
        await asyncio.Event().wait()

    result, _ = run_command("exit 3", dialogue=Spoken(hold), loop=loop)
    assert result.exit_status == 3


def test_input_is_sent_no_faster_than_it_is_taken(pty, loop):
    """
    Writing waits, and ends when the program does.
    """
    written = []

    async def hold(conversation):
        await conversation.write(b"a\n" * 2_000_000)
        written.append(True)

    line = "read a; sleep 0.3; exit 5"
    result, _ = run_command(line, dialogue=Spoken(hold), pty=pty, loop=loop, timeout_s=60)
    assert (result.exit_status, written) == (5, [True])


def test_another_size_of_the_terminal(loop):
    """
    The program gets SIGWINCH and sees the new size.
    """

    async def hold(conversation):
        await hear(conversation, b"24 80\n")
        conversation.resize(132, 50)
        conversation.keep("stdout", await hear(conversation, b"50 132\n"))

    line = "trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.05; done"
    result, _ = run_command(line, dialogue=Spoken(hold), pty=Pty(), loop=loop, timeout_s=60)
    assert result.stdout == b"50 132\n"


def test_F74_a_cancelled_dialogue_puts_its_things_in_order(loop):
    """
    It hears of it first, then the program is ended.
    """
    seen: list[int] = []
    in_order: list[bool] = []
    trace = Trace()

    async def hold(conversation):
        try:
            seen.append(int(await hear(conversation, b"\n")))
            await hear(conversation, b"never")
        finally:
            in_order.append(True)

    async def main():
        link = await linked()
        request = ExecRequest("echo $$; sleep 60", dialogue=Spoken(hold))
        running = asyncio.ensure_future(link.exec(request, trace, None))
        await until(lambda: seen)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run_async(main, loop=loop)
    assert in_order
    assert not runs(seen[0])
    assert trace.partial is not None
    assert trace.partial.gone is True


# -- terminals and login shells


def test_size_type_and_modes_are_those_asked_for():
    """
    As a server sets them from a pty-req.
    """
    pty = Pty(term="vt100", columns=101, rows=33, modes={53: 1, 72: 0, 3: 8, 1: 255})
    result, _ = run_command("echo $TERM; stty size; stty -a", pty=pty)
    shown = result.stdout.decode()
    assert shown.startswith("vt100\n33 101\n")
    assert "intr = <undef>" in shown
    assert "erase = ^H" in shown
    assert " echo " in shown
    assert "-onlcr" in shown


def test_login_shell_reads_its_input(pty, monkeypatch, loop):
    """
    The shell of the account, as a login shell, and its own exit status.
    """
    monkeypatch.setenv("PS1", "")
    result, _ = run_command(
        "", is_shell=True, stdin=b'echo "shell is $0"\nexit 3\n', pty=pty, loop=loop, timeout_s=60
    )
    assert result.exit_status == 3
    assert b"shell is " in result.stdout
