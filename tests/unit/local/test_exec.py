"""
Commands on this machine: how they end, what they write, byte for byte, and what they are given.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from dataclasses import replace

import pytest

from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import PhaseTimes
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from tests.support.drive import run_async, until
from tests.unit.local.runs import HERE, IDS, MEBIBYTE, failed_command, linked, run_command

# -- how a command ends


@pytest.mark.parametrize("status", [0, 1, 3, 126, 255])
def test_F45_exit_status_is_reported_as_it_is(status, loop):
    """
    Every status arrives, 255 included, and the trace says that the command ran.
    """
    result, trace = run_command(f"exit {status}", loop=loop)
    assert (result.exit_status, result.exit_signal) == (status, None)
    assert result.output_complete
    assert trace.ran == "yes"


def test_command_that_does_not_exist_is_127():
    """
    The shell's own words and status come back.
    """
    result, _ = run_command("no-such-command-anywhere")
    assert result.exit_status == 127
    assert b"not found" in result.stderr


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV"])
def test_F44_exit_signal_is_named(name, loop):
    """
    A command killed by a signal has the signal's name, as SSH gives it, and no status.
    """
    result, trace = run_command(f"ulimit -c 0; kill -{name} $$", loop=loop)
    assert (result.exit_status, result.exit_signal) == (None, name)
    assert trace.ran == "yes"


def test_F44_a_signal_without_a_name_has_its_number():
    """
    Most real-time signals have none; the ending is told all the same.
    """
    result, _ = run_command("kill -40 $$")
    assert (result.exit_status, result.exit_signal) == (None, "40")


def test_only_the_command_is_timed():
    """
    There are no phases of a login or a session, and no address; the command has its seconds.
    """
    result, trace = run_command("sleep 0.2")
    assert trace.phases() == PhaseTimes(command_s=trace.command_s)
    assert trace.address is None
    assert trace.command_s is not None
    assert trace.command_s >= result.duration_s >= 0.2


def test_many_commands_at_once_need_no_threads(loop):
    """
    Commands of one link do not mix their output, and no thread waits for any of them.
    """
    threads = []

    async def main():
        link = await linked()

        async def run(number):
            line = f"echo {number}; echo e{number} >&2; exit {number}"
            result = await link.exec(ExecRequest(line), Trace(), lambda *_: note())
            assert result.exit_status == number
            assert result.stdout == b"%d\n" % number
            assert result.stderr == b"e%d\n" % number

        def note():
            threads.append(threading.active_count())

        before = threading.active_count()
        await asyncio.gather(*(run(number) for number in range(20)))
        assert set(threads) == {before}

    run_async(main, loop=loop)


# -- output


def test_both_streams_are_exact_and_apart(loop):
    """
    What was written to each stream arrives on it, nothing added and nothing lost.
    """
    result, _ = run_command("printf out; printf err >&2", loop=loop)
    assert (result.stdout, result.stderr) == (b"out", b"err")
    assert (result.stdout_bytes, result.stderr_bytes) == (3, 3)
    assert not result.truncated


def test_F40_twenty_megabytes_on_both_streams_at_once(loop):
    """
    Neither stream waits for the other: both arrive whole.
    """
    size = 20_000_000
    expected = hashlib.sha256((b"0123456789\n" * (size // 11 + 1))[:size]).hexdigest()
    line = f"yes 0123456789 | head -c {size} | tee /dev/stderr"
    result, _ = run_command(line, loop=loop, max_output_bytes=2 * size)
    assert (result.stdout_bytes, result.stderr_bytes) == (size, size)
    assert hashlib.sha256(result.stdout).hexdigest() == expected
    assert hashlib.sha256(result.stderr).hexdigest() == expected


def test_F41_bytes_are_kept_as_they_are(loop):
    """
    NUL, control characters and invalid UTF-8 come back exactly.
    """
    data = bytes(range(256)) * 64 + b"\xff\xfe\xc3(\xed\xa0\x80" + os.urandom(4096)
    result, _ = run_command("cat", stdin=data, loop=loop)
    assert result.stdout == data


@pytest.mark.parametrize("limit", [1, 1000, 100_001])
def test_F38_head_and_tail_are_kept_beyond_the_limit(limit):
    """
    Of much output the first and the last half of the limit are kept, and all of it is counted.
    """
    size = 1_300_003
    whole = b"".join(b"%d\n" % number for number in range(1, 250_000))[:size]
    result, _ = run_command(f"seq 250000 | head -c {size}", max_output_bytes=limit)
    assert result.truncated
    assert result.stdout_bytes == size
    head = limit - limit // 2
    assert result.stdout == whole[:head] + whole[size - limit // 2 :]


def test_F38_F39_endless_output_ends_with_the_time(loop):
    """
    A command that never stops writing is ended by its timeout, with what was kept.
    """
    line = "exec yes"
    error, trace = failed_command(line, timeout_s=1.0, max_output_bytes=1000, loop=loop)
    assert error.kind == "exec.timeout"
    assert error.result is not None
    assert error.result.stdout == b"y\n" * 500
    assert error.result.truncated
    assert trace.ran == "yes"


def test_output_is_passed_on_as_it_comes(loop):
    """
    A listener gets every piece, in order, before the command has ended.
    """
    pieces = []

    def go_on():
        open("go-on", "w").close()

    async def main():
        link = await linked()
        request = ExecRequest(
            "echo one; for n in $(seq 6000); do [ -e go-on ] && break; sleep 0.01; done;"
            " echo two >&2; exit 4"
        )
        running = asyncio.ensure_future(
            link.exec(request, Trace(), lambda stream, data: pieces.append((stream, data)))
        )
        await until(lambda: pieces)
        go_on()
        assert (await running).exit_status == 4

    run_async(main, loop=loop)
    assert pieces == [("stdout", b"one\n"), ("stderr", b"two\n")]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# -- what a command is given


def test_command_text_arrives_exactly():
    """
    Quotes, dollars, newlines and bytes that are not UTF-8 reach the shell untouched.
    """
    result, _ = run_command("printf '%s' \"a  b\n$((1+1)) '\" 'é\udcff'")
    assert result.stdout == b"a  b\n2 '" + "é".encode() + b"\xff"


def test_the_shell_is_sh_and_the_folder_is_ours(tmp_path):
    """
    Not the login shell, not the home: /bin/sh, here, as Ansible does it.
    """
    result, _ = run_command('echo "$0"; pwd -P')
    assert result.stdout.decode().splitlines() == ["/bin/sh", str(tmp_path.resolve())]


def test_variables_are_ours_the_hosts_and_the_requests(monkeypatch):
    """
    The environment is fleetctl's own; SetEnv and the request's variables are stronger, in that
    order, and none of it changes fleetctl's.
    """
    for name in ("A", "B", "C"):
        monkeypatch.setenv(name, "ours")
    host = replace(HERE, settings=HostSettings(set_env={"B": "host's", "C": "host's"}))
    env = {"C": "it's $x\n", "D": "é"}
    result, _ = run_command('printf "%s|" "$A" "$B" "$C" "$D"', host=host, env=env)
    assert result.stdout.decode() == "ours|host's|it's $x\n|é|"
    assert os.environ["C"] == "ours"
    assert "D" not in os.environ


def test_the_user_of_the_settings_is_ignored():
    """
    Commands run as whoever runs fleetctl, whatever User says, as with Ansible.
    """
    host = replace(HERE, settings=HostSettings(user="somebody-else"))
    result, _ = run_command("id -u", host=host)
    assert result.stdout == b"%d\n" % os.getuid()


def test_a_command_has_a_session_of_its_own_and_no_terminal():
    """
    Ctrl-C on our terminal does not reach it, and it cannot ask anything there.
    """
    result, _ = run_command(f"{IDS}; (: </dev/tty) 2>/dev/null || echo none")
    group, session, terminal, pid, opened = result.stdout.decode().split()
    assert session == group == pid
    assert terminal == "0"
    assert opened == "none"


def test_no_other_descriptors_are_inherited():
    """
    A command has its three streams and nothing of ours, inheritable or not.
    """
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        result, _ = run_command(f"[ -e /proc/$$/fd/{writer} ] && echo leaked; echo done")
    finally:
        os.close(reader)
        os.close(writer)
    assert result.stdout == b"done\n"


# -- standard input


def test_F47_command_without_input_gets_end_of_file_at_once(loop):
    """
    `cat` with nothing to read ends.
    """
    result, _ = run_command("cat; echo done", loop=loop)
    assert (result.exit_status, result.stdout) == (0, b"done\n")


@pytest.mark.parametrize("size", [1, 65536, 65537, 20 * MEBIBYTE])
def test_input_arrives_whole(size, loop):
    """
    Standard input of any size arrives with its end: less than a pipe holds, and much more.
    """
    data = os.urandom(size)
    result, _ = run_command("sha256sum", stdin=data, loop=loop)
    assert result.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_input_and_output_flow_at_once(loop):
    """
    A command that writes while it reads blocks nobody.
    """
    data = os.urandom(8 * MEBIBYTE)
    result, _ = run_command("tee /dev/stderr", stdin=data, loop=loop)
    assert result.stdout == data
    assert result.stderr == data


def test_command_that_reads_nothing_does_not_wait_for_its_input(loop):
    """
    What was not read is dropped when the command ends; nothing hangs.
    """
    result, _ = run_command("exit 6", stdin=bytes(20 * MEBIBYTE), loop=loop)
    assert result.exit_status == 6


def test_command_that_stops_reading_half_way(loop):
    """
    The first line is read, then the input is closed; the status arrives all the same.
    """
    line = "read line; exec <&-; echo $line; sleep 0.2; exit 8"
    result, _ = run_command(line, stdin=b"first\n" + bytes(8 * MEBIBYTE), loop=loop)
    assert (result.exit_status, result.stdout) == (8, b"first\n")
