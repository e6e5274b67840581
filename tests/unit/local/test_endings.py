"""
Commands on this machine that do not simply end: background children, timeouts, being cancelled.
"""

from __future__ import annotations

import asyncio
import shlex

import pytest

from fleetctl.local import execution
from fleetctl.local import link as link_module
from fleetctl.local.group import ProcessGroup
from fleetctl.local.start import start
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.trace import Trace
from tests.support.drive import run_async, until
from tests.unit.local.runs import failed_command, linked, run_command, runs

#: Does not obey TERM once it has said its process id.
DEAF = "trap '' TERM; echo $$; exec sleep 60"
#: Obeys, but has a child that does not; says the child's process id.
WITH_DEAF_CHILD = f"sh -c {shlex.quote(DEAF)} & wait"


# -- children in the background


def test_F46_background_child_that_holds_the_output(monkeypatch, strays, loop):
    """
    The result comes a grace time after the exit, says that output may be missing, and the child
    lives on.
    """
    monkeypatch.setattr(execution, "DRAIN_S", 0.3)
    result, trace = run_command("sleep 60 & echo $!", loop=loop)
    strays.append(int(result.stdout))
    assert result.exit_status == 0
    assert not result.output_complete
    assert trace.ran == "yes"
    assert runs(strays[0])


def test_F46_background_child_that_lets_go_of_the_output(strays, loop):
    """
    A child that was given other outputs holds nobody up and lives on.
    """
    result, _ = run_command("sleep 60 >/dev/null 2>&1 & echo $!", loop=loop)
    strays.append(int(result.stdout))
    assert result.output_complete
    assert result.duration_s < 30
    assert runs(strays[0])


def test_F42_output_after_the_exit(monkeypatch, loop):
    """
    What comes after the exit belongs to the output; the result waits for its end.
    """
    monkeypatch.setattr(execution, "DRAIN_S", 60.0)
    line = "(sleep 0.3; printf late; sleep 0.3; printf r >&2) & exit 7"
    result, _ = run_command(line, loop=loop)
    assert (result.exit_status, result.stdout, result.stderr) == (7, b"late", b"r")
    assert result.output_complete


def test_F42_output_that_keeps_coming_is_waited_for_but_not_for_ever(monkeypatch, strays):
    """
    Each piece starts the grace time anew, until the time for all of it is over.
    """
    monkeypatch.setattr(execution, "DRAIN_S", 30.0)
    monkeypatch.setattr(execution, "MAX_DRAIN_S", 0.5)
    result, _ = run_command("yes & echo $! >&2")
    strays.append(int(result.stderr))
    assert result.stdout_bytes > 0
    assert (result.exit_status, result.output_complete) == (0, False)


def test_time_that_is_over_after_the_exit_ends_the_waiting_only(monkeypatch, strays):
    """
    A command that has exited in time has its result, and what it left behind is not ended.
    """
    monkeypatch.setattr(execution, "DRAIN_S", 60.0)
    monkeypatch.setattr(execution, "MAX_DRAIN_S", 60.0)
    result, _ = run_command("sleep 60 & echo $!", timeout_s=2.0)
    strays.append(int(result.stdout))
    assert (result.exit_status, result.output_complete) == (0, False)
    assert runs(strays[0])


# -- timeouts


@pytest.fixture
def started(monkeypatch):
    """What was started during the test."""
    noted = []

    def start_and_note(request, environ):
        noted.append(start(request, environ))
        return noted[-1]

    monkeypatch.setattr(link_module, "start", start_and_note)
    return noted


def test_F48_a_command_is_ended_when_its_time_is_over(started, loop):
    """
    TERM ends it; the result says that it is gone.
    """
    error, trace = failed_command("sleep 60", timeout_s=0.3, loop=loop)
    assert error.kind == "exec.timeout"
    assert str(error) == "no end within 0.3 s; it was ended"
    assert error.failure.hint == "give it more with --timeout"
    assert error.result is not None
    assert error.result.exit_signal == "TERM"
    assert error.result.output_complete
    assert trace.ran == "yes"
    assert trace.command_s is not None
    assert trace.command_s >= 0.3
    assert not runs(started[0].child.pid)


def test_F48_the_result_says_if_the_command_may_live(started, monkeypatch):
    """
    One that cannot be ended, such as another user's, is not said to be gone.
    """
    monkeypatch.setattr(ProcessGroup, "signal", lambda self, number: True)
    monkeypatch.setattr(execution, "KILL_GRACE_S", 0.1)
    error, _ = failed_command("exec sleep 60", timeout_s=0.2)
    started[0].child.kill()
    started[0].child.wait()
    assert str(error) == "no end within 0.2 s; it may still be running there"
    assert error.result is not None
    assert error.result.exit_signal is None
    assert not error.result.output_complete


# -- being cancelled


def cancelled_command(command, *, loop=None, impatience_s=None):
    """
    Cancel a command when it has written its first line; return the trace and that line.

    With impatience it is cancelled again and again.
    """
    trace, seen = Trace(), bytearray()

    async def main():
        link = await linked()
        running = asyncio.ensure_future(
            link.exec(ExecRequest(command), trace, lambda _, data: seen.extend(data))
        )
        await until(lambda: b"\n" in seen)
        running.cancel()
        while impatience_s is not None and not running.done():
            running.cancel()
            await asyncio.sleep(impatience_s)
        with pytest.raises(asyncio.CancelledError):
            await running

    run_async(main, loop=loop)
    return trace, bytes(seen)


@pytest.mark.parametrize(("command", "name"), [("echo $$; sleep 60", "TERM"), (DEAF, "KILL")])
def test_F74_a_cancelled_command_is_ended(command, name, loop):
    """
    When the cancelled task is over the command is gone, by TERM or, after a grace time, by KILL;
    what it had done is in the trace.
    """
    trace, line = cancelled_command(command, loop=loop)
    assert trace.ran == "yes"
    assert trace.partial is not None
    assert trace.partial.exit_signal == name
    assert trace.partial.stdout == line
    assert trace.partial.output_complete
    assert not runs(int(line))


def test_F74_the_whole_group_is_ended(loop):
    """
    Children that ignore TERM are killed although the command itself obeyed.
    """
    trace, line = cancelled_command(WITH_DEAF_CHILD, loop=loop)
    assert trace.partial is not None
    assert trace.partial.exit_signal == "TERM"
    assert not runs(int(line))


def test_F74_a_command_may_clean_up_when_it_is_told_to_end(loop):
    """
    What it writes then is kept, and its own exit status is told.
    """
    line = "trap 'echo bye; exit 3' TERM; echo ready; for n in $(seq 6000); do sleep 0.01; done"
    trace, _ = cancelled_command(line, loop=loop)
    assert trace.partial is not None
    assert trace.partial.stdout == b"ready\nbye\n"
    assert trace.partial.exit_status == 3


def test_F74_impatience_does_not_leave_it_running(loop):
    """
    Cancelled again and again, the task still ends the command first.
    """
    trace, line = cancelled_command(DEAF, loop=loop, impatience_s=0.01)
    assert trace.partial is not None
    assert trace.partial.exit_signal == "KILL"
    assert not runs(int(line))


def test_cancelled_while_only_the_output_is_waited_for(strays):
    """
    The exit status that was there already is kept.
    """
    trace, seen = Trace(), []

    async def main():
        link = await linked()
        request = ExecRequest("(trap '' HUP; exec setsid sleep 60) & echo $! $$; exit 3")
        running = asyncio.ensure_future(
            link.exec(request, trace, lambda _, data: seen.append(data))
        )
        await until(lambda: seen)
        child, leader = map(int, seen[0].split())
        strays.append(child)
        await until(lambda: not runs(leader))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run_async(main)
    assert trace.partial is not None
    assert trace.partial.exit_status == 3


def test_F88_listener_that_raises_ends_its_command(loop):
    """
    A bug in whoever listens comes out as what it is, and the command does not run on.
    """
    seen = []

    def listen(stream, data):
        seen.append(data)
        raise TimeoutError("the listener is broken")

    async def main():
        link = await linked()
        with pytest.raises(TimeoutError, match="the listener is broken"):
            await link.exec(ExecRequest("echo $$; exec sleep 60"), Trace(), listen)
        assert (await link.exec(ExecRequest("exit 5"), Trace(), None)).exit_status == 5

    run_async(main, loop=loop)
    assert not runs(int(seen[0]))


def test_closing_the_link_ends_what_runs(loop):
    """
    Nothing goes on behind a closed link, and it takes no more commands.
    """
    trace, seen = Trace(), []

    async def main():
        link = await linked()
        running = asyncio.ensure_future(
            link.exec(ExecRequest("echo $$; sleep 60"), trace, lambda _, data: seen.append(data))
        )
        await until(lambda: seen)
        await link.close()
        with pytest.raises(FleetError) as caught:
            await running
        assert caught.value.kind == "session.lost"
        assert not caught.value.failure.retryable
        after = Trace()
        with pytest.raises(FleetError) as again:
            await link.exec(ExecRequest("true"), after, None)
        assert again.value.failure.retryable
        assert after.ran == "no"

    run_async(main, loop=loop)
    assert trace.ran == "yes"
    assert not runs(int(seen[0]))
