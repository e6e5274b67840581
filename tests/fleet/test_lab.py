"""
A lab as its users meet it: started, logged in to with OpenSSH's own client, stopped.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetctl.lab import fleet as lab_fleet
from fleetctl.lab import layout
from fleetctl.lab.fleet import lab_status, start_lab, stop_lab
from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import Lab, LabError, LabHost, login_user, write_private
from fleetctl.lab.processes import daemons, owned, process_table, reap, spawn
from fleetctl.lab.readiness import wait_ready
from tests.support.patience import PATIENCE_S, SLACK_S
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


@pytest.fixture(params=["sshd", "embedded"])
def lab(request, tmp_path) -> Iterator[Lab]:
    """Two hosts, once of each engine."""
    lab = start_lab(tmp_path / "lab", hosts=2, prefer_embedded=request.param == "embedded")
    yield lab
    stop_lab(lab.directory)


def ssh_argv(lab: Lab, host: LabHost, *words: str, identity: Path | None = None) -> list[str]:
    """Return a command line of OpenSSH's client; ``words`` are options, ``--``, the command."""
    at = words.index("--")
    return [
        *("ssh", "-F", "/dev/null", "-p", str(host.port), "-i", str(identity or lab.identity)),
        *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
        *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={lab.known_hosts}"),
        *("-o", "GlobalKnownHostsFile=/dev/null", "-l", login_user()),
        *(*words[:at], host.address, *words[at + 1 :]),
    ]


def ssh(
    lab: Lab, host: LabHost, *words: str, identity: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    argv = ssh_argv(lab, host, *words, identity=identity)
    return subprocess.run(argv, input=stdin, capture_output=True, timeout=PATIENCE_S, check=False)


def test_real_sshd_runs_where_it_is_installed(tmp_path):
    """
    The lab says which engine it has; a machine for the fleet tests has sshd.
    """
    lab = start_lab(tmp_path / "lab", hosts=1)
    try:
        assert lab.engine.startswith("sshd (OpenSSH_")
    finally:
        stop_lab(lab.directory)


def test_each_host_is_a_host_of_its_own(lab):
    """
    Every host has its own address, host key and home, and knows its name.
    """
    for host in lab.hosts:
        done = ssh(lab, host, "--", 'echo "$HOME" "$LAB_HOST"; cd && pwd')
        assert done.stdout.decode() == f"{host.home} {host.name}\n{host.home}\n"
        assert (done.returncode, done.stderr) == (0, b"")
    assert len({(host.address, host.port) for host in lab.hosts}) == 2
    keys = {line.split(" ")[2] for line in lab.known_hosts.read_text().splitlines()}
    assert len(keys) == 2


def test_host_with_the_key_of_another_is_refused(lab):
    """
    The client checks host keys, and hosts do not share one.
    """
    first, second = lab.known_hosts.read_text().splitlines()
    swapped = [
        " ".join([first.split(" ")[0], *second.split(" ")[1:]]),
        " ".join([second.split(" ")[0], *first.split(" ")[1:]]),
    ]
    lab.known_hosts.write_text("\n".join(swapped) + "\n")
    done = ssh(lab, lab.hosts[0], "--", "echo hello")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"HOST IDENTIFICATION HAS CHANGED" in done.stderr


@pytest.mark.parametrize("status", [0, 1, 127, 255])
def test_exit_status_arrives(lab, status):
    """
    The client ends with the status of the command.
    """
    assert ssh(lab, lab.hosts[0], "--", f"exit {status}").returncode == status


def test_exit_signal_arrives(lab):
    """
    A command killed by a signal is reported by exit-signal, not by a status (F44).
    """
    done = ssh(lab, lab.hosts[0], "-v", "--", "kill -TERM $$")
    assert b"rtype exit-signal" in done.stderr
    assert b"rtype exit-status" not in done.stderr
    assert done.returncode == 255


def test_both_outputs_are_kept_apart(lab):
    """
    What the command writes to stderr arrives there.
    """
    done = ssh(lab, lab.hosts[0], "--", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_a_mebibyte_goes_both_ways_unchanged(lab):
    """
    Standard input comes back byte for byte on both streams at once, and EOF ends the command.
    """
    data = os.urandom(MEBIBYTE)
    done = ssh(lab, lab.hosts[0], "--", "tee /dev/stderr", stdin=data)
    assert done.returncode == 0
    assert done.stdout == data
    assert done.stderr == data


def test_many_short_commands_all_end_well(lab):
    """
    A command that ends at once never overtakes the answer to its request.
    """
    for _ in range(8):
        done = ssh(lab, lab.hosts[0], "--", "exit 3")
        assert (done.returncode, done.stderr) == (3, b"")


def test_another_key_is_refused(lab, tmp_path):
    """
    Only the lab's own key logs in.
    """
    other = tmp_path / "other"
    write_private(other, generate_key().private)
    done = ssh(lab, lab.hosts[0], "--", "echo hello", identity=other)
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"Permission denied (publickey)" in done.stderr


def test_private_files_are_private(lab):
    """
    The lab is for its owner only, from the directory down to the keys.
    """
    assert stat.S_IMODE(lab.directory.stat().st_mode) == 0o700
    for path in (lab.identity, lab.directory / "lab.json", lab.hosts[0].host_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_status_is_read_from_disk(lab):
    """
    Another command finds the same lab by its directory, all of it running.
    """
    status = lab_status(lab.directory)
    assert status is not None
    assert status.lab == lab
    assert status.running == lab.hosts


def test_second_start_names_the_lab_that_runs(lab):
    """
    A lab is never started over another, and the running one is left alone.
    """
    with pytest.raises(LabError, match="2 of 2 hosts are running"):
        start_lab(lab.directory, hosts=1)
    assert ssh(lab, lab.hosts[0], "--", "true").returncode == 0


def test_stop_ends_sessions_and_what_they_left_behind(lab):
    """
    Nothing survives: a session in progress, a background command, one that ignores TERM.
    """
    ssh(lab, lab.hosts[0], "--", "sleep 300 >/dev/null 2>&1 </dev/null &")
    ssh(lab, lab.hosts[0], "--", "trap '' TERM; sleep 301 >/dev/null 2>&1 </dev/null &")
    argv = ssh_argv(lab, lab.hosts[1], "--", "echo ready; cat")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdout
        assert session.stdout.readline() == b"ready\n"
        before = owned(process_table(), lab.directory)
        commands = [process.command for process in process_table() if process.pid in before]
        assert sum("sleep 30" in command for command in commands) >= 2
        status = stop_lab(lab.directory)
        # 255 for a lost connection, or how the shell ended if it could still say so.
        assert session.wait(PATIENCE_S) != 0
    assert status is not None
    assert status.running == lab.hosts
    left = {process.pid for process in process_table()} & before
    assert left == set()
    assert not lab.directory.exists()
    assert stop_lab(lab.directory) is None


def test_dead_host_shows_in_the_status(tmp_path):
    """
    The status tells which hosts still run when a daemon was killed.
    """
    lab = start_lab(tmp_path / "lab", hosts=3)
    try:
        pid = lab.hosts[1].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        status = lab_status(lab.directory)
        assert status is not None
        assert [host.name for host in status.running] == ["web01", "web03"]
    finally:
        stop_lab(lab.directory)


def test_killed_start_leaves_nothing_that_stop_does_not_end(tmp_path):
    """
    Kill -9 half way through a start: stop finds every daemon that was started, recorded or not.
    """
    directory = tmp_path / "lab"
    program = (
        "import sys; from pathlib import Path; from fleetctl.lab.fleet import start_lab;"
        "start_lab(Path(sys.argv[1]), hosts=60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, str(directory)])
    until = time.monotonic() + PATIENCE_S
    while len(daemons(process_table(), directory)) < 5:
        assert time.monotonic() < until
        assert not starter.poll()
    starter.kill()
    starter.wait(PATIENCE_S)
    started = set(daemons(process_table(), directory).values())
    assert len(started) >= 5
    assert stop_lab(directory) is not None
    assert not started & {process.pid for process in process_table()}
    assert not directory.exists()


def test_started_daemon_can_be_found_at_once(tmp_path):
    """
    Linux shows the arguments of a new process a moment after it was started; spawn waits for that.
    """
    for number in range(30):
        config = str(tmp_path / f"{number}")
        argv = [
            sys.executable,
            "-c",
            "import time; time.sleep(60)",
            "sshd",
            "-D",
            "-e",
            "-f",
            config,
        ]
        pid = spawn(argv, log=tmp_path / "log", env={})
        # Reading the whole table takes longer than the moment lasts, so this comes first.
        shown = Path(f"/proc/{pid}/cmdline").read_bytes() if Path("/proc/self").exists() else b"?"
        found = daemons(process_table(), tmp_path)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert shown != b""
        assert found == {config: pid}


@pytest.mark.parametrize("embedded", [False, True])
def test_interrupted_start_leaves_nothing(tmp_path, monkeypatch, embedded):
    """
    Ctrl-C while waiting for the hosts ends those that were started and removes the directory.
    """
    seen: list[int] = []

    def interrupt(hosts: tuple[LabHost, ...]) -> None:
        seen.extend(daemons(process_table(), tmp_path / "lab").values())
        raise KeyboardInterrupt

    monkeypatch.setattr(lab_fleet, "wait_ready", interrupt)
    with pytest.raises(KeyboardInterrupt):
        start_lab(tmp_path / "lab", hosts=2, prefer_embedded=embedded)
    assert len(seen) == (1 if embedded else 2)
    assert not set(seen) & {process.pid for process in process_table()}
    assert not (tmp_path / "lab").exists()


def test_daemon_that_ends_is_reported_with_its_last_words(tmp_path):
    """
    The error names the host and shows the end of the log, without waiting for the deadline.
    """
    log = tmp_path / "sshd.log"
    pid = spawn(["/bin/sh", "-c", "echo first; echo no such luck >&2; exit 1"], log=log, env={})
    host = LabHost("web01", "127.0.0.1", 1, home=tmp_path, log=log, pid=pid)
    with pytest.raises(LabError, match="web01 did not start: its daemon ended: first; no such"):
        wait_ready([host], timeout_s=PATIENCE_S)
    reap([pid])


def test_daemon_that_says_nothing_is_given_up_at_the_deadline(tmp_path):
    """
    A peer that accepts but never greets costs the time allowed and no more.
    """
    started = time.monotonic()
    with hostile_peer("silent") as (address, port):
        host = LabHost("web01", address, port, home=tmp_path, log=tmp_path / "none")
        with pytest.raises(LabError, match=r"no answer within 0\.3 s: its log is empty"):
            wait_ready([host, replace(host, name="web02")], timeout_s=0.3)
    assert 0.3 <= time.monotonic() - started < SLACK_S


def test_lab_in_a_directory_reached_by_a_link_is_found_by_either_name(tmp_path):
    """
    The lab is known by its real path, however it was written.
    """
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    lab = start_lab(tmp_path / "link" / "lab", hosts=1, prefer_embedded=True)
    assert lab.directory == (tmp_path / "real" / "lab").resolve()
    status = stop_lab(tmp_path / "real" / "lab")
    assert status is not None
    assert status.running == lab.hosts


def test_lab_where_only_one_loopback_address_exists(tmp_path, monkeypatch):
    """
    On systems with no more than 127.0.0.1, hosts differ by port and are hosts all the same.
    """
    monkeypatch.setattr(layout, "_is_local", lambda _address: False)
    lab = start_lab(tmp_path / "lab", hosts=3)
    try:
        assert {host.address for host in lab.hosts} == {"127.0.0.1"}
        assert len({host.port for host in lab.hosts}) == 3
        names = [ssh(lab, host, "--", "echo $LAB_HOST").stdout for host in lab.hosts]
        assert names == [b"web01\n", b"web02\n", b"web03\n"]
    finally:
        stop_lab(lab.directory)


def test_lab_under_a_python_that_cannot_make_terminal_sessions(tmp_path, monkeypatch):
    """
    Where posix_spawn knows no setsid, daemons get a process group of their own instead.
    """
    real = os.posix_spawn

    def old_spawn(*args, **options):
        if "setsid" in options:
            raise NotImplementedError
        return real(*args, **options)

    monkeypatch.setattr(os, "posix_spawn", old_spawn)
    lab = start_lab(tmp_path / "lab", hosts=1)
    try:
        pid = lab.hosts[0].pid
        assert pid is not None
        assert os.getpgid(pid) != os.getpgid(0)
    finally:
        stop_lab(lab.directory)
