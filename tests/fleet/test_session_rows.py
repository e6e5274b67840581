"""
How commands end and what they write, under every login shell and on dropbear: faults F38 to F47.

The same on OpenSSH's server and root's bash is in ``test_exec.py`` and ``test_endings.py``.
"""

from __future__ import annotations

import hashlib
import os

import pytest

from fleetctl.model.host import Host
from fleetctl.model.operation import Pty
from fleetctl.ssh import session as session_module
from tests.support.drive import connected, failed_command, run_async, run_command, until
from tests.support.patience import TEST_LIMIT_S, at_some_pace

pytestmark = pytest.mark.fleet

SHELLS = ("sh", "dash", "bash", "ash", "ksh", "zsh", "csh", "tcsh", "fish")


@pytest.fixture(params=[*SHELLS, "dropbear"])
def user_host(accounts, request) -> Host:
    """A host whose user has one of the login shells, or one that dropbear serves."""
    if request.param == "dropbear":
        return accounts.model_host("u-sh", accounts.dropbear())
    return accounts.model_host(f"u-{request.param}")


@pytest.fixture(params=["openssh", "dropbear"])
def server_host(accounts, request) -> Host:
    """A host by each kind of server; the user's shell is dash."""
    lab_host = accounts.host() if request.param == "openssh" else accounts.dropbear()
    return accounts.model_host("u-dash", lab_host)


def test_F47_a_command_that_reads_gets_end_of_file_at_once(user_host):
    """
    Whatever shell starts it: `cat` without input ends, and with input it gives all of it back.
    """
    result, trace = run_command(user_host, "cat")
    assert (result.exit_status, result.stdout, trace.ran) == (0, b"", "yes")
    data = os.urandom(300_000)
    result, _ = run_command(user_host, "cat", stdin=data)
    assert (result.exit_status, result.stdout) == (0, data)


def test_F45_F41_status_and_bytes_pass_every_login_shell(user_host):
    """
    Status 255 is the command's, and bytes of every value come back as they were written.
    """
    every = "".join(rf"\{number:03o}" for number in range(256))
    line = f"/usr/bin/printf '{every}'; exit 255"
    result, _ = run_command(user_host, line)
    assert (result.exit_status, result.stdout, result.stderr) == (255, bytes(range(256)), b"")


def test_F44_a_killed_command_is_no_status(user_host):
    """
    What the login shell execs and is killed then is reported by its signal, never as success.
    """
    result, _ = run_command(user_host, "exec sh -c 'kill -KILL $$'")
    assert (result.exit_status, result.exit_signal) == (None, "KILL")


def test_F45_every_login_shell_ends_as_its_input_says(user_host):
    """
    A login shell that is fed, without a terminal and with one, has the status it was told to.
    """
    script = b"echo hello; exit 3\n"
    result, _ = run_command(user_host, "", is_shell=True, stdin=script)
    assert (result.exit_status, result.stdout[-6:]) == (3, b"hello\n")
    result, _ = run_command(user_host, "", is_shell=True, stdin=script, pty=Pty())
    assert result.exit_status == 3
    assert b"hello" in result.stdout


def test_F47_a_program_on_a_terminal_gets_end_of_file(user_host):
    """
    With a pty the end of the input is the terminal's end-of-file character, after what was sent.
    """
    result, _ = run_command(user_host, "cat", stdin=b"a line\n", pty=Pty())
    assert (result.exit_status, result.stdout) == (0, b"a line\n")


def test_F46_a_background_child_that_holds_the_output(accounts, server_host, monkeypatch):
    """
    From sshd the result comes a grace time after the status and says that output may be missing.
    dropbear closes the channel with the command, whoever holds the output: nothing is waited for.
    """
    monkeypatch.setattr(session_module, "DRAIN_S", 0.5)
    result, trace = run_command(server_host, "sleep 600 & echo hi")
    assert (result.exit_status, result.stdout, trace.ran) == (0, b"hi\n", "yes")
    dropbear = accounts.dropbear()
    assert result.output_complete == (server_host.settings.hostname == dropbear.address)
    for lab_host in (accounts.host(), dropbear):
        accounts.end_sessions(lab_host)


def test_F46_a_close_that_answers_ours_does_not_make_the_output_complete(accounts, monkeypatch):
    """
    A child holds the output and the grace time is over: that the server agrees to close the channel
    does not say that the child would have written nothing, however soon the answer comes.
    """
    monkeypatch.setattr(session_module, "DRAIN_S", 0.1)
    answered = []

    class Watched(session_module.Session):
        def channel_closed(self, *, lost: bool) -> None:
            super().channel_closed(lost=lost)
            answered.append(lost)

    async def main() -> None:
        async with connected(accounts.model_host("u-dash")) as connection:
            session = Watched(connection.transport)
            await until(session.channel.opened.is_set)
            session.request("exec", "sleep 600 & exit 0")
            await session.ended
            await until(lambda: answered)
            assert (session.exit_status, answered) == (0, [False])
            assert not session.result(0.0).output_complete

    run_async(main)
    accounts.end_sessions()


def test_F42_megabytes_after_the_exit_status(accounts):
    """
    The command ends at once; what its child goes on to write, in pieces with pauses, is all there.
    """
    server_host = accounts.model_host("u-dash")
    piece = "openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 0011223344556677"
    piece += "8899aabbccddeeff"
    child = f"for n in 1 2 3 4 5; do head -c 700001 /dev/zero | {piece}; sleep 0.1; done"
    once, _ = run_command(server_host, f"head -c 700001 /dev/zero | {piece}")
    result, _ = run_command(server_host, f"({child}) & exit 7", timeout_s=TEST_LIMIT_S)
    assert len(once.stdout) == 700_001
    assert (result.exit_status, result.stdout_bytes) == (7, 5 * 700_001)
    expected = hashlib.sha256(5 * once.stdout).hexdigest()
    assert hashlib.sha256(result.stdout).hexdigest() == expected
    assert result.output_complete


def test_F42_stderr_after_the_end_of_stdout(server_host):
    """
    A command that closes its output and goes on to complain is heard to the end.
    """
    line = "exec >&-; sleep 0.3; head -c 200000 /dev/zero >&2; exit 4"
    result, _ = run_command(server_host, line)
    assert (result.exit_status, result.stdout) == (4, b"")
    assert result.stderr == bytes(200_000)


def test_F40_both_streams_at_once(server_host):
    """
    10 MiB on each from two writers: both come to their end, to the byte.
    """
    size = 10 * 1024 * 1024
    line = f"head -c {size} /dev/zero >&2 & yes | head -c {size}; wait"
    result, _ = run_command(server_host, line, timeout_s=TEST_LIMIT_S)
    assert (result.stdout_bytes, result.stderr_bytes) == (size, size)
    assert result.stdout == b"y\n" * (size // 2)
    assert result.stderr == bytes(size)


@pytest.mark.parametrize(
    ("line", "start"),
    [("exec yes", b"y\ny\n"), ("exec tr '\\0' x </dev/zero", b"xxxx")],
    ids=["F38", "F39"],
)
def test_F38_F39_endless_output_and_an_endless_line_are_bounded(server_host, line, start):
    """
    Head and tail are kept and all of it counted until the time is over; the error says so.
    """

    def check(pace):
        error, trace = failed_command(server_host, line, timeout_s=pace, max_output_bytes=1000)
        assert error.kind == "exec.timeout"
        assert error.result is not None
        assert error.result.truncated
        assert len(error.result.stdout) == 1000
        assert error.result.stdout.startswith(start)
        assert error.result.stdout_bytes > 1_000_000
        assert trace.ran == "yes"

    at_some_pace(check)
