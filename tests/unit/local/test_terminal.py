"""
Commands on this machine with a pseudo-terminal.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.model.operation import ExecRequest, Pty
from fleetctl.model.trace import Trace
from tests.support.drive import run_async, until
from tests.unit.local.runs import IDS, failed_command, linked, run_command, runs


def test_all_three_streams_are_a_terminal_of_its_own(loop):
    """
    Plain text on 24 lines of 80 columns, and /dev/tty is it, too.
    """
    line = (
        "test -t 0 && test -t 1 && test -t 2 && echo $TERM; stty size;"
        f" echo direct >/dev/tty; {IDS}"
    )
    result, trace = run_command(line, pty=Pty(), loop=loop)
    assert result.stdout.decode().split()[:4] == ["dumb", "24", "80", "direct"]
    group, session, terminal, pid = result.stdout.decode().split()[4:]
    assert session == group == pid
    assert terminal != "0"
    assert result.stderr == b""
    assert result.output_complete
    assert trace.ran == "yes"


def test_output_is_what_was_written(loop):
    """
    Neither is the input echoed nor is a carriage return put before each newline; what is written
    to stderr comes in between.
    """
    result, _ = run_command("read a; echo $a; echo b >&2", pty=Pty(), stdin=b"x\n", loop=loop)
    assert result.stdout == b"x\nb\n"


def test_a_lot_of_output_arrives_whole(loop):
    """
    Nothing is lost when the command ends while its output is still being read.
    """
    expected = b"".join(b"%d\n" % number for number in range(1, 50_001))
    for _ in range(5):
        result, _ = run_command("seq 50000", pty=Pty(), loop=loop)
        assert result.stdout == expected


@pytest.mark.parametrize("stdin", [b"", b"ab", b"ab\n", b"ab\ncd"])
def test_F47_input_has_an_end(stdin, loop):
    """
    A terminal cannot be closed half, so the end is typed: after a line, and in the middle of one.
    """
    result, _ = run_command("cat", pty=Pty(), stdin=stdin, loop=loop)
    assert (result.exit_status, result.stdout) == (0, stdin)


def test_long_input_arrives_whole(loop):
    """
    More than a terminal holds is fed as fast as the command takes it.
    """
    data = b"".join(b"%d\n" % number for number in range(100_000))
    result, _ = run_command("cat", pty=Pty(), stdin=data, loop=loop)
    assert result.stdout == data


def test_command_that_reads_nothing_does_not_wait_for_its_input(loop):
    """
    What was not read is dropped when the command ends.
    """
    result, _ = run_command("exit 6", pty=Pty(), stdin=b"line\n" * 1_000_000, loop=loop)
    assert result.exit_status == 6


def test_F44_F48_it_ends_as_without_a_terminal(loop):
    """
    Signals have names, timeouts end the command and say so.
    """
    result, _ = run_command("kill -KILL $$", pty=Pty(), loop=loop)
    assert result.exit_signal == "KILL"
    error, _ = failed_command("sleep 60", pty=Pty(), timeout_s=0.3, loop=loop)
    assert str(error) == "no end within 0.3 s; it was ended"
    assert error.result is not None
    assert error.result.exit_signal == "TERM"


def test_F46_its_children_hang_up_with_it(loop):
    """
    When the command exits its terminal is gone, and so is a child in the background.
    """
    result, _ = run_command("sleep 60 & echo $!", pty=Pty(), loop=loop)
    assert result.output_complete
    pid = int(result.stdout)

    async def gone():
        await until(lambda: not runs(pid))

    run_async(gone)


def test_F74_a_cancelled_command_is_ended(loop):
    """
    The same as without a terminal.
    """
    seen = []

    async def main():
        link = await linked()
        running = asyncio.ensure_future(
            link.exec(
                ExecRequest("echo $$; sleep 60", pty=Pty()),
                Trace(),
                lambda _, data: seen.append(data),
            )
        )
        await until(lambda: seen)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run_async(main, loop=loop)
    assert not runs(int(seen[0]))


def test_a_variable_may_name_another_terminal():
    """
    TERM is dumb unless somebody asked for something else.
    """
    result, _ = run_command("echo $TERM", pty=Pty(), env={"TERM": "xterm"})
    assert result.stdout == b"xterm\n"
