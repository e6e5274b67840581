"""
Sessions: how many a server allows, terminals, environment, and what it refuses.
"""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.operation import Pty
from fleetctl.model.trace import Trace
from fleetctl.ssh import opening as opening_module
from fleetctl.ssh.session import Session
from tests.support.drive import (
    Connection,
    connected,
    connecting,
    failed_command,
    run_async,
    run_command,
    until,
)
from tests.support.patience import TEST_LIMIT_S, at_some_pace
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


@pytest.fixture
def patient_reopening(monkeypatch) -> None:
    """Ask longer for another session: sshd may be slow to see the end of the last one."""
    monkeypatch.setattr(opening_module, "REOPEN_WAITS_S", (0.01, 0.03, 0.1, *[0.3] * 200))


# -- what a server refuses


@pytest.mark.usefixtures("patient_reopening")
def test_one_session_at_a_time_is_enough(fleet):
    """
    With MaxSessions 1, commands that follow each other all run (F36).
    """
    host = fleet.model_host(fleet.host("tiny-sessions"))

    async def main():
        async with connected(host) as connection:
            for number in range(10):
                assert (await connection.exec(f"exit {number}")).exit_status == number

    run_async(main)


def test_server_without_sessions(fleet):
    """
    MaxSessions 0 is a refusal with a hint, not a hang, and nothing ran (F36).
    """
    error, trace = failed_command(fleet.model_host(fleet.host("no-sessions")), "true")
    assert error.kind == "session.refused"
    assert "MaxSessions" in (error.failure.hint or "")
    assert trace.ran == "no"


def test_more_sessions_than_the_server_allows(fleet, tmp_path, request):
    """
    The session that is too many is refused; the one that runs goes on (F36).
    """
    host = fleet.model_host(fleet.host("tiny-sessions"))

    async def main():
        async with connected(host) as connection:
            go_on = tmp_path / "go-on"
            command = f"until test -e {go_on}; do sleep 0.05; done; echo first"
            first = asyncio.ensure_future(connection.exec(command))
            await until(lambda: connection.trace.ran != "no")
            with pytest.raises(FleetError) as caught:
                await connection.exec("echo second")
            assert caught.value.kind == "session.refused"
            go_on.touch()
            assert (await first).stdout == b"first\n"
            request.getfixturevalue("patient_reopening")
            assert (await connection.exec("echo third")).stdout == b"third\n"

    run_async(main)


def test_terminal_refused(fleet):
    """
    A server that gives no terminal is named as the reason, and the command really did not run.
    """
    lab_host = fleet.host("nopty")
    host = fleet.model_host(lab_host)

    async def main():
        async with connected(host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("touch ~/it-ran", pty=Pty())
            assert connection.trace.ran == "no"
            await connection.exec("sleep 0.2")
            return caught.value

    assert run_async(main).kind == "pty.refused"
    assert not (lab_host.home / "it-ran").exists()


def test_terminal_merges_the_streams_and_changes_no_byte(host):
    """
    On a terminal stderr comes with stdout, and newlines are not doubled.
    """
    result, _ = run_command(host, "tty >/dev/null && echo yes; echo err >&2", pty=Pty())
    assert (result.stdout, result.stderr) == (b"yes\nerr\n", b"")


def test_forced_command_runs_instead(fleet):
    """
    What the server runs instead of our command is what is reported (F34).
    """
    result, _ = run_command(fleet.model_host(fleet.host("force-command")), "echo asked")
    assert (result.exit_status, result.stdout) == (0, b"forced\n")


def test_environment_the_server_accepts(fleet):
    """
    Variables of the settings and of the request are sent; a name the server does not accept is
    dropped there.
    """
    host = fleet.model_host(
        fleet.sshd("accept-env", {"AcceptEnv": "GIVEN_*"}), set_env={"GIVEN_A": "1", "OTHER": "x"}
    )
    result, _ = run_command(host, 'echo "$GIVEN_A" "$GIVEN_B" "$OTHER"', env={"GIVEN_B": "b c"})
    assert result.stdout == b"1 b c \n"


def test_cancelled_command_leaves_the_connection_usable(host, loop):
    """
    Cancelling closes the channel, and the next command runs on the same connection.
    """

    async def main():
        async with connected(host) as connection:
            running = asyncio.ensure_future(connection.exec("echo x; cat", stdin=bytes(MEBIBYTE)))
            await until(lambda: connection.trace.ran != "no")
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert (await connection.exec("exit 9")).exit_status == 9
            # The server has answered every CLOSE.
            await until(lambda: len(connection.transport._channels) == 0)

    run_async(main, loop=loop)


def test_facts_say_what_was_agreed_on(host):
    """
    A connection tells the server's version, cipher, host key type and method of login.
    """

    async def main():
        async with connected(host, open_session=False) as connection:
            return connection.ssh.facts()

    facts = run_async(main)
    assert re.match("OpenSSH_", str(facts["server_version"]))
    assert facts["cipher"] == "aes128-gcm@openssh.com"
    assert (facts["host_key_type"], facts["auth_method"]) == ("ssh-ed25519", "publickey")


# -- several at once


def test_session_that_is_not_answered(fleet, settings):
    """
    A server that does not answer the open of a session is given up at the deadline; its late answer
    is closed, and the connection serves the next command.
    """

    def check(pace):
        release = threading.Event()

        class Slow(Login):
            def check_channel_request(self, kind, chanid):
                release.wait(TEST_LIMIT_S)
                return super().check_channel_request(kind, chanid)

        async def main():
            async with connected(server.host) as connection:
                with pytest.raises(FleetError) as caught:
                    await connection.exec("true")
                assert (caught.value.kind, connection.trace.ran) == ("session.refused", "no")
                release.set()
                assert (await connection.exec("true")).exit_status == 0
                await until(lambda: len(server.transports[0]._channels) == 0)

        limited = replace(settings, connect_timeout_s=0.7 * pace)
        with scripted_server(limited, login=Slow) as server:
            try:
                run_async(main)
            finally:
                release.set()

    at_some_pace(check)


def test_two_channels_refused_at_once_each_get_their_reason(settings):
    """
    Reasons of refused sessions are not mixed up between those who wait.
    """

    class Refuses(Login):
        def check_channel_request(self, kind, chanid):
            return 1 + chanid % 4

    async def main():
        async with connected(server.host, open_session=False) as connection:
            sessions = [Session(connection.transport) for _ in range(4)]
            for session in sessions:
                await session.channel.opened.future
            refused = [session.channel.open_refused for session in sessions]
            codes = [answer[0] for answer in refused if answer]
            assert sorted(codes) == [1, 2, 3, 4]
            assert connection.ssh.is_open

    with scripted_server(settings, login=Refuses) as server:
        run_async(main)


def test_connection_survives_its_context_of_settings(host):
    """
    Two connections with different settings to one host do not share anything but the process.
    """

    async def main():
        async with connecting() as connector:
            traces = [Trace(), Trace()]
            links = [
                await connector.connect(host, trace, open_session=bool(number))
                for number, trace in enumerate(traces)
            ]
            first, second = (
                Connection(link, trace) for link, trace in zip(links, traces, strict=True)
            )
            assert first.transport is not second.transport
            await links[0].close()
            assert (await second.exec("exit 7")).exit_status == 7
            await links[1].close()

    run_async(main)
