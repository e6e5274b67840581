"""
Ending commands from here: whose processes live on, what is said when nobody can look, and the other
ways in which a command is ended.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.trace import Trace
from fleetctl.ssh import ending_hunt as ending_module
from tests.fleet.ended import assert_gone, programs, sleepers, timed_out
from tests.support.drive import connected, run_async, until
from tests.support.patience import PATIENCE_S, SLACK_S, at_some_pace

pytestmark = pytest.mark.fleet


@pytest.fixture(autouse=True)
def _patient_ending(monkeypatch) -> None:
    """On a busy machine KILL takes its time, and so do shells."""
    monkeypatch.setattr(ending_module, "LIMIT_S", PATIENCE_S)
    monkeypatch.setattr(ending_module, "SHELL_HASTE_S", PATIENCE_S)
    monkeypatch.setattr(ending_module, "KILL_GRACE_S", SLACK_S)


@pytest.fixture
def web(accounts):
    """A host with users; what its users have left is ended afterwards."""
    yield accounts.host()
    accounts.end_sessions()


# -- whose are not


def test_commands_of_others_live_on(accounts, web):
    """
    Nothing but the command's own processes is hit: not what the same user runs over another
    connection, nor what other sessions of the same connection do.
    """

    async def main():
        host = accounts.model_host("u-sh")
        async with connected(host) as connection, connected(host) as other:
            running = [
                asyncio.ensure_future(where.ssh.exec(ExecRequest(command), Trace(), None))
                for where, command in (
                    (connection, "(sleep 600 &); exec sleep 601"),
                    (other, "(sleep 600 &); exec sleep 602"),
                    (connection, "setsid sleep 603 & exec sleep 604"),
                )
            ]
            await until(lambda: programs(accounts).count("sleep") == 6)
            before = sleepers(accounts)
            assert_gone(await timed_out(connection, "sleep 700 | sleep 701"), [])
            assert sleepers(accounts) == before
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            return programs(accounts)

    assert run_async(main) == []


@pytest.mark.parametrize(
    "order", [([3], [0, 7], [5], [1, 2, 4, 6]), ([6, 1, 4], [0, 2, 3, 5, 7]), (range(8),)]
)
def test_each_of_many_commands_at_once_ends_its_own(accounts, web, order):
    """
    Sessions of one connection are told apart by the order in which they were started, also when
    several are ended at once.
    """

    async def main():
        async with connected(accounts.model_host("u-sh")) as connection:
            traces = [Trace() for _ in range(8)]
            running = [
                asyncio.ensure_future(
                    connection.ssh.exec(ExecRequest(f"exec sleep {600 + n}"), trace, None)
                )
                for n, trace in enumerate(traces)
            ]
            left = {str(600 + n) for n in range(8)}
            await until(lambda: sleepers(accounts) == left)
            for victims in order:
                for n in victims:
                    running[n].cancel()
                await asyncio.wait([running[n] for n in victims])
                left -= {str(600 + n) for n in victims}
                assert sleepers(accounts) == left
                for n in victims:
                    partial = traces[n].partial
                    assert partial is not None
                    assert partial.gone is True
                    assert partial.exit_signal in ("TERM", "KILL")

    run_async(main)


def test_daemons_live_on_and_are_named(accounts, web):
    """
    What a command has left behind on purpose, in a session of its own and with no parent, is not
    ended; but nobody says then that all is gone.
    """

    async def main():
        async with connected(accounts.model_host("u-sh")) as connection:
            await connection.exec("(setsid sleep 600 >/dev/null 2>&1 &)")
            await until(lambda: sleepers(accounts) == {"600"})
            await asyncio.sleep(0.05)  # starts are told in hundredths of a second
            assert_gone(await timed_out(connection, "sleep 602"), [])
            error = await timed_out(connection, "(setsid sleep 601 &); sleep 0.2; sleep 602")
            assert sleepers(accounts) == {"600", "601"}
            assert "it was ended, but not all that it had started" in str(error)
            assert error.result is not None
            assert error.result.gone is False
            assert re.fullmatch(r"left on u-sh: \d+ \(sleep\)", error.failure.hint or "")

    at_some_pace(lambda _: (accounts.end_sessions(), run_async(main)))


def test_who_cannot_be_signalled_is_named(accounts, monkeypatch):
    """
    Processes of another user, whom we may not signal, are left; the result says so, and which.
    """
    monkeypatch.setattr(ending_module, "KILL_GRACE_S", 0.5)
    host = accounts.host("no-kill", sudoers="nosudo ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh\n")
    command = """sudo sh -c 'trap "" TERM HUP; sleep 600 & sleep 600; sleep 600' </dev/null"""

    async def main(pace):
        async with connected(accounts.model_host("nosudo", host)) as connection:
            return await timed_out(connection, command, limit_s=0.5 * pace)

    def check(pace):
        accounts.end_sessions(host)
        error = run_async(lambda: main(pace))
        left = programs(accounts, host)
        assert {"sh", "sleep"} <= set(left), "sudo had not begun"
        assert error.result is not None
        assert error.result.gone is False
        named = re.findall(r"\d+ \((\w+)\)", error.failure.hint or "")
        assert sorted(named) == left

    try:
        at_some_pace(check)
    finally:
        accounts.end_sessions(host)


# -- when nobody can look


def test_forced_command(accounts, monkeypatch):
    """
    An account that runs one command only lets nobody look, and its signals are refused: it is said
    that nobody knows.
    """
    monkeypatch.setattr(ending_module, "LIMIT_S", 1.0)
    host = accounts.host("forced-sleep", ForceCommand="echo on; exec sleep 600")

    async def main():
        async with connected(accounts.model_host("u-sh", host)) as connection:
            return await timed_out(connection, "true")

    try:
        error = run_async(main)
        assert "it may still be running there" in str(error)
        assert error.result is not None
        assert error.result.gone is False
        assert (error.failure.hint or "").startswith("what is left of it is not known: ")
    finally:
        accounts.end_sessions(host)


def test_command_of_a_key_is_not_run_again(accounts, monkeypatch):
    """
    Where the key in authorized_keys has a command, a shell to look with would be that command once
    more; sshd tells of it at the login.
    """
    monkeypatch.setattr(ending_module, "KILL_GRACE_S", 0.1)
    host = accounts.host("forced-key")
    home = host.home / "u-sh"
    keys = home / ".ssh" / "authorized_keys"
    text = keys.read_text()
    keys.write_text(f'command="echo >> ~/runs; echo on; exec sleep 600",no-pty {text}')

    async def main():
        async with connected(accounts.model_host("u-sh", host)) as connection:
            return await timed_out(connection, "true")

    try:
        error = run_async(main)
        assert "it may still be running there" in str(error)
        assert "the key runs one command only" in (error.failure.hint or "")
        assert (home / "runs").read_text() == "\n"
    finally:
        accounts.end_sessions(host)
        keys.write_text(text)


def test_host_that_has_stopped_answering(accounts, monkeypatch):
    """
    A host that freezes is given up after the limit of all endings, and nobody claims to know.
    """
    monkeypatch.setattr(ending_module, "LIMIT_S", 1.0)
    host = accounts.host("frozen")

    async def main():
        async with connected(accounts.model_host("u-sh", host)) as connection:
            running = asyncio.ensure_future(connection.exec("sleep 600", timeout_s=0.5))
            await until(lambda: "sleep" in programs(accounts, host))
            for pid in accounts.sessions(host):
                os.kill(pid, signal.SIGSTOP)
            with pytest.raises(FleetError) as caught:
                await running
            return caught.value

    try:
        error = run_async(main)
        assert error.kind == "exec.timeout"
        assert "it may still be running there" in str(error)
        assert "the host did not answer within 1 s" in (error.failure.hint or "")
    finally:
        accounts.end_sessions(host)


def test_connection_that_is_lost_meanwhile(accounts, monkeypatch):
    """
    The link that breaks while a command is ended leaves what is left unknown.
    """
    monkeypatch.setattr(ending_module, "TERM_GRACE_S", PATIENCE_S)
    host = accounts.host("dying")
    heard = bytearray()

    async def main():
        async with connected(accounts.model_host("u-sh", host)) as connection:
            running = asyncio.ensure_future(
                connection.exec(
                    "trap 'echo asked; exec sleep 600' TERM; echo on; sleep 600 & wait; wait",
                    timeout_s=0.5,
                    on_output=lambda _, data: heard.extend(data),
                )
            )
            await until(lambda: b"asked" in heard)
            accounts.end_sessions(host)
            with pytest.raises(FleetError) as caught:
                await running
            return caught.value

    error = run_async(main)
    assert error.kind == "exec.timeout"
    assert (error.failure.hint or "").startswith("what is left of it is not known: ")


# -- cancelled, and other ends


@pytest.mark.parametrize("user", ["root", "u-sh"])
@pytest.mark.parametrize("times", [1, 5])
def test_cancelled_command_is_gone_when_that_is_said(accounts, web, user, times):
    """
    Cancelling ends a command as a time limit does, before the cancellation comes out, however often
    it is asked for; the connection is good for more.
    """

    async def main():
        async with connected(accounts.model_host(user)) as connection:
            running = asyncio.ensure_future(connection.exec("trap '' TERM; sleep 600 | sleep 600"))
            await until(lambda: programs(accounts).count("sleep") == 2)
            for _ in range(times):
                running.cancel()
                await asyncio.sleep(0.02)
            with pytest.raises(asyncio.CancelledError):
                await running
            assert programs(accounts) == []
            partial = connection.trace.partial
            assert partial is not None
            assert partial.gone is True
            assert connection.trace.left is None
            assert (await connection.exec("exit 7")).exit_status == 7

    run_async(main)


def test_F46_time_that_is_over_after_the_command_has_ended(accounts, web):
    """
    A child in the background that holds the output is no reason for ``exec.timeout``: the command
    has ended in time, its output may be incomplete, and the child lives on.
    """

    async def main():
        async with connected(accounts.model_host("u-sh")) as connection:
            result = await connection.exec("sleep 600 & exit 7", timeout_s=1)
            assert (result.exit_status, result.output_complete, result.gone) == (7, False, None)
            assert programs(accounts) == ["sleep"]

    run_async(main)


@pytest.mark.parametrize("raised", [FleetError("expect.failed", "no"), RuntimeError("a bug")])
def test_program_whose_dialogue_fails_is_gone(accounts, web, raised):
    """
    What a dialogue raises ends its program, all of it.
    """

    class Fails:
        async def hold(self, conversation):
            await conversation.read()
            raise raised

    async def main():
        async with connected(accounts.model_host("u-sh")) as connection:
            with pytest.raises(type(raised)):
                await connection.exec("echo on; sleep 600 | sleep 600", dialogue=Fails())
            return programs(accounts)

    assert run_async(main) == []


def test_program_whose_listener_fails_is_gone(accounts, web):
    """
    So does what a listener raises.
    """

    def listen(*_: object) -> None:
        raise RuntimeError("a bug")

    async def main():
        async with connected(accounts.model_host("u-sh")) as connection:
            with pytest.raises(RuntimeError):
                await connection.exec("echo on; sleep 600 | sleep 600", on_output=listen)
            return programs(accounts)

    assert run_async(main) == []


def test_F45_status_255_is_the_commands_own(accounts, web):
    """
    255 says nothing about the connection, which goes on.
    """

    async def main():
        async with connected(accounts.model_host("u-sh")) as connection:
            assert (await connection.exec("exit 255")).exit_status == 255
            assert (await connection.exec("exit 0")).exit_status == 0

    run_async(main)
