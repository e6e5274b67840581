"""
Commands on a real sshd: how they end, and what they write, byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from tests.support.drive import connected, failed_command, run_async, run_command, until
from tests.support.patience import PATIENCE_S, TEST_LIMIT_S, at_some_pace

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


# -- how a command ends


@pytest.mark.parametrize("status", [0, 1, 3, 126, 254, 255])
def test_exit_status_is_reported_as_it_is(host, status):
    """
    Every status arrives, 255 included: it is the command's, not a connection error (F45).
    """
    result, trace = run_command(host, f"exit {status}")
    assert (result.exit_status, result.exit_signal) == (status, None)
    assert result.output_complete
    assert trace.ran == "yes"


def test_command_that_does_not_exist_is_127(host):
    """
    The remote shell's own words and status come back.
    """
    result, _ = run_command(host, "no-such-command-anywhere")
    assert result.exit_status == 127
    assert b"not found" in result.stderr


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV"])
def test_exit_signal_is_named(host, name):
    """
    A command killed by a signal has the signal's name and no status (F44).
    """
    result, trace = run_command(host, f"ulimit -c 0; kill -{name} $$")
    assert (result.exit_status, result.exit_signal) == (None, name)
    assert trace.ran == "yes"


def test_phases_are_timed(host):
    """
    Each phase that was entered has its seconds, and the command's are about right.
    """
    _, trace = run_command(host, "sleep 0.2")
    for phase in ("resolve_s", "connect_s", "kex_s", "auth_s", "session_s"):
        assert 0 <= getattr(trace, phase) < PATIENCE_S, phase
    assert trace.command_s is not None
    assert 0.2 <= trace.command_s < PATIENCE_S


def test_commands_follow_each_other_on_one_connection(host, loop):
    """
    A connection serves command after command and keeps no channel of those that ended.
    """

    async def main():
        async with connected(host) as connection:
            for number in range(30):
                result = await connection.exec(f"exit {number}")
                assert result.exit_status == number
            assert len(connection.transport._channels) == 0
            assert connection.transport.channel_events == {}

    run_async(main, loop=loop)


def test_commands_run_at_once_on_one_connection(host):
    """
    Sessions of one connection do not mix their output.
    """

    async def main():
        async with connected(host) as connection:
            results = await asyncio.gather(
                *(connection.exec(f"echo {n}; echo e{n} >&2; exit {n}") for n in range(8))
            )
            for number, result in enumerate(results):
                assert result.exit_status == number
                assert result.stdout == b"%d\n" % number
                assert result.stderr == b"e%d\n" % number

    run_async(main)


# -- output


def test_both_streams_are_exact_and_apart(host, loop):
    """
    What was written to each stream arrives on it, nothing added and nothing lost.
    """
    result, _ = run_command(host, "printf out; printf err >&2", loop=loop)
    assert (result.stdout, result.stderr) == (b"out", b"err")
    assert (result.stdout_bytes, result.stderr_bytes) == (3, 3)


def test_twenty_megabytes_on_both_streams_at_once(host, loop):
    """
    Neither stream waits for the other: both arrive whole (F40).
    """
    size = 20_000_000
    expected = hashlib.sha256((b"0123456789\n" * (size // 11 + 1))[:size]).hexdigest()
    result, _ = run_command(
        host,
        f"yes 0123456789 | head -c {size} | tee /dev/stderr",
        loop=loop,
        max_output_bytes=2 * size,
        timeout_s=TEST_LIMIT_S,
    )
    assert (result.stdout_bytes, result.stderr_bytes) == (size, size)
    assert hashlib.sha256(result.stdout).hexdigest() == expected
    assert hashlib.sha256(result.stderr).hexdigest() == expected
    assert not result.truncated


def test_two_writers_fill_both_streams_at_once(host):
    """
    Two processes that write to a stream each, faster than it is read, both come to their end (F40).
    """
    size = 5_000_000
    result, _ = run_command(
        host, f"head -c {size} /dev/zero >&2 & yes | head -c {size}; wait", timeout_s=TEST_LIMIT_S
    )
    assert (result.stdout_bytes, result.stderr_bytes) == (size, size)
    assert result.stderr == bytes(size)
    assert result.stdout == b"y\n" * (size // 2)


def test_stderr_only(host):
    """
    A command that writes nothing but stderr is no special case (F40).
    """
    result, _ = run_command(host, "head -c 3000000 /dev/zero >&2")
    assert (result.stdout_bytes, result.stderr_bytes) == (0, 3_000_000)


def test_bytes_are_kept_as_they_are(host, loop):
    """
    NUL, control characters and invalid UTF-8 come back exactly (F41).
    """
    data = bytes(range(256)) * 64 + b"\xff\xfe\xc3(\xed\xa0\x80" + os.urandom(4096)
    result, _ = run_command(host, "cat", stdin=data, loop=loop)
    assert result.stdout == data


def test_character_split_over_packets_is_put_together(host):
    """
    Bytes that come one by one are the bytes that were sent (F41).
    """
    result, _ = run_command(host, r"for b in 342 202 254; do printf \\$b; sleep 0.03; done")
    assert result.stdout.decode() == "€"


def test_command_text_is_sent_exactly(host):
    """
    Quotes, dollars, newlines and bytes that are not UTF-8 reach the remote shell untouched.
    """
    result, _ = run_command(host, "printf '%s' \"a  b\n$((1+1)) '\" 'é\udcff'")
    assert result.stdout == b"a  b\n2 '" + "é".encode() + b"\xff"


@pytest.mark.parametrize("limit", [1, 1000, 100_001])
def test_head_and_tail_are_kept_beyond_the_limit(host, limit):
    """
    Of endless output the first and the last half of the limit are kept, and all of it is counted
    (F38).
    """
    size = 1_300_003
    whole = b"".join(b"%d\n" % number for number in range(1, 250_000))[:size]
    result, _ = run_command(host, f"seq 250000 | head -c {size}", max_output_bytes=limit)
    assert result.truncated
    assert result.stdout_bytes == size
    assert len(result.stdout) == limit
    head = limit - limit // 2
    assert result.stdout[:head] == whole[:head]
    assert result.stdout[head:] == whole[size - limit // 2 :]


def test_endless_line_is_bounded(host):
    """
    One line of many megabytes is cut like any other output (F39).
    """
    result, _ = run_command(host, "head -c 9000000 /dev/zero | tr '\\0' x", max_output_bytes=4096)
    assert result.truncated
    assert result.stdout == b"x" * 4096
    assert result.stdout_bytes == 9_000_000


def test_output_of_exactly_the_limit_is_not_cut(host):
    """
    The limit itself still fits.
    """
    result, _ = run_command(host, "printf 12345678", max_output_bytes=8)
    assert (result.stdout, result.truncated) == (b"12345678", False)


def test_endless_output_ends_with_the_time(host):
    """
    A command that never stops writing is ended by its timeout, with what was kept (F38 F39).
    """

    def check(pace):
        error, trace = failed_command(host, "exec yes", timeout_s=0.5 * pace, max_output_bytes=1000)
        assert error.kind == "exec.timeout"
        assert error.result is not None
        assert error.result.stdout == b"y\n" * 500
        assert error.result.stdout_bytes > 1_000_000
        assert trace.ran == "yes"

    at_some_pace(check)


def test_output_is_passed_on_as_it_comes(host):
    """
    A listener gets every piece, in order, before the command has ended.
    """
    pieces: list[tuple[str, bytes]] = []

    async def main():
        async with connected(host) as connection:
            running = asyncio.ensure_future(
                connection.exec(
                    "echo one; read line; echo two >&2; exit 4",
                    on_output=lambda stream, data: pieces.append((stream, data)),
                    stdin=b"go on\n",
                )
            )
            await until(lambda: pieces)
            assert (await running).exit_status == 4

    run_async(main)
    assert pieces == [("stdout", b"one\n"), ("stderr", b"two\n")]


def test_listener_that_raises_ends_its_command_only(fleet, host):
    """
    A bug in whoever listens is told as what it is, and the connection lives on (rule 5, F88).
    """

    def listen(stream, data):
        raise ZeroDivisionError("the listener is broken")

    async def main():
        async with connected(host) as connection:
            with pytest.raises(ZeroDivisionError, match="the listener is broken"):
                await connection.exec("echo hello; sleep 600", on_output=listen)
            assert (await connection.exec("exit 5")).exit_status == 5

    run_async(main)
    fleet.end_sessions(fleet.host("web01"))


# -- standard input


def test_command_without_input_gets_end_of_file_at_once(host):
    """
    `cat` with nothing to read ends (F47).
    """
    result, _ = run_command(host, "cat")
    assert (result.exit_status, result.stdout) == (0, b"")


@pytest.mark.parametrize("size", [1, 32 * 1024, 2 * MEBIBYTE, 20 * MEBIBYTE])
def test_input_arrives_whole(host, size, loop):
    """
    Standard input of any size arrives with its end: less than a packet, a window, ten windows.
    """
    data = os.urandom(size)
    result, _ = run_command(host, "sha256sum", stdin=data, loop=loop)
    assert result.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_command_that_reads_nothing_does_not_wait_for_its_input(host):
    """
    What was not read is dropped when the command ends; nothing hangs.
    """
    result, _ = run_command(host, "exit 6", stdin=bytes(20 * MEBIBYTE), timeout_s=PATIENCE_S)
    assert result.exit_status == 6


def test_command_that_stops_reading_half_way(host):
    """
    The first line is read, the rest of the input is not; the status arrives all the same.
    """
    result, _ = run_command(
        host, "head -n 1; exit 8", stdin=b"first\n" + bytes(8 * MEBIBYTE), timeout_s=PATIENCE_S
    )
    assert result.exit_status == 8
    assert result.stdout == b"first\n"
