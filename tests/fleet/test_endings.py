"""
Commands that do not simply end: background children, lost links, silence, timeouts.
"""

from __future__ import annotations

import asyncio
import os
import signal
from time import monotonic

import pytest
from paramiko.message import Message

from fleetctl.model.errors import FleetError
from fleetctl.model.operation import Pty
from fleetctl.ssh import session as session_module
from tests.support.drive import connected, failed_command, run_async, run_command, until
from tests.support.patience import PATIENCE_S, SLACK_S, at_some_pace
from tests.support.server import Login, close_without_status, scripted_server

pytestmark = pytest.mark.fleet


# -- endings that are not plain


def test_background_child_that_holds_the_output(fleet, host, monkeypatch):
    """
    The result comes a grace time after the status, and says that output may be missing (F46).
    """
    monkeypatch.setattr(session_module, "DRAIN_S", 0.5)
    started = monotonic()
    result, trace = run_command(host, "sleep 600 & echo hi")
    assert monotonic() - started >= 0.5
    assert (result.exit_status, result.stdout) == (0, b"hi\n")
    assert not result.output_complete
    assert trace.ran == "yes"
    fleet.end_sessions(fleet.host("web01"))


def test_background_child_that_lets_go_of_the_output(fleet, host):
    """
    A child that was given other outputs holds nobody up (F46).
    """
    result, _ = run_command(host, "sleep 600 >/dev/null 2>&1 & echo hi")
    assert result.output_complete
    fleet.end_sessions(fleet.host("web01"))


def test_output_after_the_exit_status(host):
    """
    What comes after the status belongs to the output; the result waits for its end (F42).
    """
    result, _ = run_command(host, "(sleep 0.4; printf late; sleep 0.4; printf r >&2) & exit 7")
    assert (result.exit_status, result.stdout, result.stderr) == (7, b"late", b"r")
    assert result.output_complete


def test_output_after_the_exit_status_is_not_cut_while_it_comes(host, monkeypatch):
    """
    The grace time is over when nothing comes, not when something is slow to come (F42).
    """

    def check(pace):
        monkeypatch.setattr(session_module, "DRAIN_S", 0.5 * pace)
        command = f"(for n in 1 2 3 4 5; do sleep {0.2 * pace:g}; echo $n; done) & exit 7"
        result, _ = run_command(host, command)
        assert (result.exit_status, result.stdout) == (7, b"1\n2\n3\n4\n5\n")
        assert result.output_complete

    at_some_pace(check)


def test_server_process_killed(host, tmp_path):
    """
    When sshd's process for the connection is killed, the output is kept and nobody claims to know
    how the command ended (F43).
    """
    go_on = tmp_path / "go-on"
    error, trace = failed_command(
        host,
        f"echo before; until test -e {go_on}; do sleep 0.05; done; kill -9 $PPID",
        on_output=lambda *_: go_on.touch(),
    )
    assert error.kind == "session.lost"
    assert error.result is not None
    assert error.result.stdout == b"before\n"
    assert error.result.exit_status is None
    assert not error.result.output_complete
    assert trace.ran == "unknown"
    assert not error.failure.retryable


def test_link_lost_in_the_middle(host, loop):
    """
    A connection whose process is killed from outside while a command runs: lost, what ran is not
    known, and the next command is told at once (F50).
    """
    seen: list[bytes] = []

    async def main():
        async with connected(host) as connection:
            running = asyncio.ensure_future(
                connection.exec(
                    "echo $PPID; sleep 600", on_output=lambda _, data: seen.append(data)
                )
            )
            await until(lambda: seen)
            os.kill(int(seen[0]), signal.SIGKILL)
            with pytest.raises(FleetError) as caught:
                await running
            assert caught.value.kind == "session.lost"
            assert connection.trace.ran == "unknown"
            assert not connection.ssh.is_open
            with pytest.raises(FleetError) as again:
                await connection.exec("true")
            assert again.value.kind == "session.lost"

    run_async(main, loop=loop)


def test_command_on_a_lost_connection_did_not_run(fleet):
    """
    A link that is gone before the command was sent leaves no doubt: it did not run, try again.
    """
    lab_host = fleet.sshd("gone-before", {})

    async def main():
        async with connected(fleet.model_host(lab_host), open_session=False) as connection:
            fleet.end_sessions(lab_host)
            await asyncio.wait_for(asyncio.shield(connection.transport.ended), PATIENCE_S)
            with pytest.raises(FleetError) as caught:
                await connection.exec("true")
            assert caught.value.kind == "session.lost"
            assert caught.value.failure.retryable
            assert connection.trace.ran == "no"

    try:
        run_async(main)
    finally:
        fleet.stop(lab_host)


def test_silent_host_is_given_up_after_its_keepalives(fleet, loop):
    """
    A host that stopped without closing is noticed by unanswered keepalives (F49).
    """
    lab_host = fleet.sshd("stopped", {})
    host = fleet.model_host(lab_host, server_alive_interval_s=0.2, server_alive_count_max=2)

    async def main():
        async with connected(host) as connection:
            started = monotonic()
            running = asyncio.ensure_future(connection.exec("sleep 600"))
            await until(lambda: connection.trace.ran != "no")
            await asyncio.sleep(0.2)
            for pid in fleet.sessions(lab_host):
                os.kill(pid, signal.SIGSTOP)
            with pytest.raises(FleetError, match="2 keepalives in a row got no answer") as caught:
                await running
            assert monotonic() - started > 0.3
            assert caught.value.kind == "session.lost"
            assert connection.trace.ran == "unknown"

    try:
        run_async(main, loop=loop)
    finally:
        for pid in fleet.sessions(lab_host):
            os.kill(pid, signal.SIGKILL)
        fleet.stop(lab_host)


def test_quiet_command_is_kept_by_keepalives(fleet):
    """
    A host that answers is not given up, however long its command says nothing (F49).
    """

    def check(pace):
        interval_s = 0.1 * pace
        host = fleet.model_host(
            fleet.host("web01"), server_alive_interval_s=interval_s, server_alive_count_max=1
        )
        result, _ = run_command(host, f"sleep {5 * interval_s:g}; echo done")
        assert result.stdout == b"done\n"

    at_some_pace(check)


def test_timeout_tells_the_truth_about_the_process(host):
    """
    At its timeout a command is signalled; the message says whether it is known to have ended, and
    then it is so (F48).
    """

    async def main(pace):
        async with connected(host) as connection:
            started = monotonic()
            with pytest.raises(FleetError) as caught:
                await connection.exec("echo $$; exec sleep 600", timeout_s=0.5 * pace)
            took_s = monotonic() - started
            error = caught.value
            assert error.kind == "exec.timeout"
            assert error.result is not None
            assert error.result.stdout
            pid = int(error.result.stdout)
            alive = await connection.exec(f"kill -0 {pid}")
            ended = "it was ended" in str(error)
            assert ended != ("may still be running" in str(error))
            # One that may still be running may also have ended meanwhile.
            assert not (ended and alive.exit_status == 0)
            await connection.exec(f"kill {pid}")
            assert 0.45 * pace < took_s < 0.5 * pace + SLACK_S

    at_some_pace(lambda pace: run_async(lambda: main(pace)))


def test_timeout_on_a_terminal_ends_the_process(host):
    """
    With a terminal, closing the channel hangs up on the command, and it is gone (F48).
    """

    async def main(pace):
        async with connected(host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("echo $$; exec sleep 600", timeout_s=0.5 * pace, pty=Pty())
            assert caught.value.kind == "exec.timeout"
            assert caught.value.result is not None
            assert caught.value.result.stdout
            pid = int(caught.value.result.stdout)
            until = monotonic() + PATIENCE_S
            while (await connection.exec(f"kill -0 {pid}")).exit_status == 0:
                assert monotonic() < until, f"process {pid} lives on"

    at_some_pace(lambda pace: run_async(lambda: main(pace)))


# -- endings that sshd does not play


def test_channel_closed_without_a_status(settings):
    """
    A command whose channel is closed without status or signal has no status, and its output is kept
    (F43).
    """

    class NoStatus(Login):
        def run(self, channel, command):
            channel.sendall(b"some output")
            close_without_status(channel)

    with scripted_server(settings, login=NoStatus) as server:
        error, trace = failed_command(server.host, "true")
    assert (error.kind, trace.ran) == ("session.no_status", "yes")
    assert error.result is not None
    assert (error.result.exit_status, error.result.stdout) == (None, b"some output")
    assert not error.failure.retryable


def test_command_refused(settings):
    """
    A server that refuses the exec request is reported as that, and nothing ran.
    """

    class Refuses(Login):
        def check_channel_exec_request(self, channel, command):
            return False

    with scripted_server(settings, login=Refuses) as server:
        error, trace = failed_command(server.host, "true")
    assert (error.kind, trace.ran) == ("exec.refused", "no")


def test_server_says_goodbye(settings):
    """
    The words of a DISCONNECT in the middle of a command are the reason of the loss (F50).
    """

    class Leaves(Login):
        def run(self, channel, command):
            message = Message()
            message.add_byte(b"\x01")
            message.add_int(2)
            message.add_string("maintenance, back at noon")
            message.add_string("")
            channel.get_transport()._send_message(message)

    with scripted_server(settings, login=Leaves) as server:
        error, trace = failed_command(server.host, "true")
    assert (error.kind, trace.ran) == ("session.lost", "unknown")
    assert "maintenance, back at noon" in str(error)
