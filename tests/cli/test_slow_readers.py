"""
Readers of our output that are slow, stop, leave, or have no room left: on this machine itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.shell import LIMIT_S, PROGRAM, on_terminal, started
from tests.support.patience import PATIENCE_S

ENDLESS = "while :; do echo 0123456789012345678901234567890123456789; done"
#: Far more than a run without output takes, far less than what the command writes.
MAX_RSS_MIB = 400


def rss_mib(pid):
    """Return the largest resident size so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def wait_until_blocked(pid):
    """Wait until the process has stopped to take CPU time, for it waits for its reader."""
    deadline = time.monotonic() + PATIENCE_S
    before, same = None, 0
    while same < 5:
        assert time.monotonic() < deadline, "it does not stop"
        time.sleep(0.2)
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        now = int(fields[11]) + int(fields[12])
        same = same + 1 if before is not None and now - before <= 2 else 0
        before = now


@pytest.mark.parametrize("format_", ["stream", "ndjson"])
def test_F53_a_reader_that_stops_makes_hosts_wait(format_):
    """
    F53: with nobody reading, an endless command is held up and memory stays as it is; SIGTERM ends
    it, with the summary, although the rest of the output is never taken.
    """
    with started("run", "localhost", "--format", format_, "--", ENDLESS) as child:
        first = os.read(child.stdout.fileno(), 1)
        assert first
        wait_until_blocked(child.pid)
        assert rss_mib(child.pid) < MAX_RSS_MIB
        child.send_signal(signal.SIGTERM)
        err = child.stderr.read().decode()
        assert child.wait(LIMIT_S) == 143
    assert "ending what still runs: localhost (1)" in err
    assert "terminated: 1 host in " in err
    assert "nobody took the rest of the output: " in err


def test_F53_a_reader_that_stops_makes_hosts_over_ssh_wait(fleet):
    """
    F53: the same over SSH, with several hosts: each stops when its window is used up.
    """
    hosts = fleet.hosts(4)
    words = ("run", "-i", str(fleet.inventory(hosts)), "all", "--format", "ndjson", "--", ENDLESS)
    try:
        with started(*words) as child:
            assert os.read(child.stdout.fileno(), 1)
            wait_until_blocked(child.pid)
            assert rss_mib(child.pid) < MAX_RSS_MIB
            child.send_signal(signal.SIGTERM)
            err = child.stderr.read().decode()
            assert child.wait(LIMIT_S) == 143
    finally:
        for host in hosts:
            fleet.end_sessions(host)
    assert "4 cancelled" in err


def test_F53_a_slow_reader_over_ssh_gets_everything(fleet):
    """
    F53: a host that was held up goes on where it stopped; no byte is lost.
    """
    (host,) = fleet.hosts(1)
    words = ("run", "-i", str(fleet.inventory([host])), "all", "--format", "stream")
    with started(*words, "--", "seq 1 2000000") as child:
        wait_until_blocked(child.pid)
        data = bytearray()
        while piece := os.read(child.stdout.fileno(), 65536):
            data += piece
        assert child.wait(LIMIT_S) == 0
    numbers = [int(line.rpartition(b" ")[2]) for line in data.splitlines()]
    assert numbers == list(range(1, 2_000_001))


def test_F53_a_slow_reader_gets_everything():
    """
    F53: much more than fits anywhere, read piece by piece, comes whole and in order.
    """
    line = "i=0; while [ $i -lt 60000 ]; do echo line $i 0123456789012345678901; i=$((i+1)); done"
    with started("run", "localhost", "--format", "stream", "--", line) as child:
        wait_until_blocked(child.pid)
        data = b""
        while piece := os.read(child.stdout.fileno(), 8192):
            data += piece
        assert child.wait(LIMIT_S) == 0
    wanted = [f"localhost: line {n} 0123456789012345678901" for n in range(60000)]
    assert data.decode().splitlines() == wanted


def test_F74_the_third_interrupt_leaves_although_nobody_reads():
    """
    F74: Ctrl-C three times leaves at once, whatever is still to be written.
    """
    with started("run", "localhost", "--format", "stream", "--", ENDLESS) as child:
        assert os.read(child.stdout.fileno(), 1)
        wait_until_blocked(child.pid)
        err = b""
        for said in (b"still running", b"ending what still runs"):
            child.send_signal(signal.SIGINT)
            while said not in err:
                piece = os.read(child.stderr.fileno(), 4096)
                assert piece, err
                err += piece
        child.send_signal(signal.SIGINT)
        assert child.wait(LIMIT_S) == 130


def test_F74_signals_work_on_a_stopped_terminal():
    """
    F74: after Ctrl-S nothing is shown, and three times Ctrl-C still leaves.
    """
    with on_terminal("run", "localhost", "--format", "stream", "--", ENDLESS) as screen:
        screen.read_until("0123")
        screen.type("\x13")
        wait_until_blocked(screen.pid)
        for _ in range(3):
            os.kill(screen.pid, signal.SIGINT)
            time.sleep(0.5)
        assert screen.wait().code == 130


def test_F54_head_ends_it_quietly():
    """
    F54: ``| head -1`` gets its line; what runs finishes, nothing new starts, and the exit is 141.
    """
    line = f"{sys.executable} -m fleetctl run localhost --format stream -- 'seq 1 300000'"
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.stdout == "localhost: 1\n141\n"
    assert "1 host ok" in done.stderr
    assert "roken pipe" not in done.stderr


@pytest.mark.parametrize("format_", ["stream", "gather", "json", "ndjson"])
def test_a_full_disk_is_told_and_is_exit_6(format_):
    """
    Results that cannot be written are exit 6, and the summary comes all the same.
    """
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, "run", "localhost", "--format", format_, "--", "echo hi"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    assert done.returncode == 6, done.stderr
    assert "No space left on device" in done.stderr
    assert "1 host ok" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_json_is_whole_after_a_signal(number, code):
    """
    Whatever ends the run, ``--format json`` is one valid object with a result per host.
    """
    line = "sleep 600"
    words = ("run", "localhost", "--format", "json", "--", line)
    with started(*words) as child:
        out = os.read(child.stdout.fileno(), 99)
        assert out == b'{"hosts":['
        child.send_signal(number)
        rest, _ = child.communicate(timeout=LIMIT_S)
        assert child.returncode == code
    shown = json.loads(out + rest)
    assert [host["status"] for host in shown["hosts"]] == ["cancelled"]
    assert shown["run"]["interrupted_by"] == signal.Signals(number).name.removeprefix("SIG")


def test_S24_canaries_are_found_in_no_output(tmp_path):
    """
    S24: secrets read in several ways, and printed by the command in several forms, are in no
    format, in no file of the output and in nothing said on stderr.
    """
    canaries = [f"canary-{n:02}-Xq'{n * 7919}" for n in range(4)]
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n", encoding="utf-8"
    )
    files = []
    for number, value in enumerate(canaries):
        file = tmp_path / f"secret{number}"
        file.write_text(value + "\n", encoding="utf-8")
        file.chmod(0o600)
        files.append(str(file))
    given = [
        "--password-file", files[0],
        "--identity-passphrase-file", files[1],
        "--prompt", "pin=env:CANARY",
        "--prompt", f"code=file:{files[3]}",
    ]  # fmt: skip
    words = ("run", "-i", str(inventory), "all", "-vv", "--debug")
    prints = "".join(
        f"cat {file}; base64 {file}; base64 {file} >&2; od -An -tx1 -v {file} | tr -d ' \\n'; "
        f"(printf 'x:'; cat {file}) | base64; "
        for file in files
    )
    formats = ("stream", "gather", "oneline", "table", "csv", "junit", "json", "ndjson")
    for format_ in formats:
        folder = tmp_path / f"output-{format_}"
        shape = ("--format", format_, "--output-dir", str(folder))
        done = subprocess.run(
            [*PROGRAM, *words, *given, *shape, "--", prints + "exit 3"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
            env={**os.environ, "CANARY": canaries[2]},
        )
        assert done.returncode == 1, done.stderr
        kept = [file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file()]
        assert kept
        shown = done.stdout + done.stderr + "".join(kept)
        assert "[secret]" in shown
        for value in canaries:
            assert value not in shown
            assert value.encode().hex() not in shown
            assert "Y2FuYXJ5" not in shown  # how their base64 begins
