"""
A machine that is short of something, or away for a while: every host has its row all the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from tests.cli.shell import LIMIT_S, PROGRAM, Ended, fleetctl, started
from tests.support.patience import PATIENCE_S, at_some_pace

pytestmark = pytest.mark.fleet

COUNT = 40


@pytest.fixture
def crowd(fleet):
    """Return the words for 40 names of 4 hosts."""
    few = fleet.hosts(4)
    names = [replace(few[n % 4], name=f"web{n:02d}") for n in range(COUNT)]
    yield "-i", str(fleet.inventory(names)), "web*", "--format", "json"
    for host in few:
        fleet.end_sessions(host)


def limited(limit, value, *words):
    """Run a command line under a limit of the system."""
    done = subprocess.run(
        [*PROGRAM, *words],
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_F75_stopped_and_continued(crowd, tmp_path):
    """
    F75: while fleetctl is stopped, commands end in time and their time limit passes; they are ok.
    """

    def check(pace):
        marks = tmp_path / f"marks{pace:g}"
        marks.mkdir()
        line = f"echo began; touch {marks}/$$; sleep {pace:g}; echo ended"
        words = ("run", *crowd, "--timeout", str(3 * pace), "--", line)
        with started(*words) as child:
            until = time.monotonic() + PATIENCE_S
            while len(list(marks.iterdir())) < COUNT:
                assert time.monotonic() < until
                time.sleep(0.02)
            child.send_signal(signal.SIGSTOP)
            time.sleep(4 * pace)
            child.send_signal(signal.SIGCONT)
            out, err = child.communicate(timeout=LIMIT_S)
        assert child.returncode == 0, err.decode()
        hosts = json.loads(out)["hosts"]
        assert {(host["status"], host["stdout"]) for host in hosts} == {("ok", "began\nended\n")}
        assert len(hosts) == COUNT

    at_some_pace(check, (1.0, 5.0, 20.0))


def test_F76_few_files(crowd):
    """
    F76: with 64 descriptors fewer hosts run at once, that is said, and all of them are done.
    """
    done = limited(resource.RLIMIT_NOFILE, 64, "run", *crowd, "--", "echo done")
    assert done.code == 0, done.err
    assert {host["stdout"] for host in done.results().values()} == {"done\n"}
    assert len(done.results()) == COUNT
    assert "only 64 files may be open" in done.err


@pytest.mark.parametrize("mebibytes", [250, 300, 400])
def test_F77_little_memory(crowd, mebibytes, is_full_size):
    """
    F77: where memory runs out, hosts fail or nothing begins; no row is missing and none is false.

    The library under the event loop may end the process; then the history has the rows. At full
    size only: what fails is another thing each time.
    """
    if not is_full_size:
        pytest.skip("at full size only")
    line = "head -c 12000000 /dev/zero; echo whole >&2"
    done = limited(resource.RLIMIT_AS, mebibytes << 20, "run", *crowd, "--", line)
    if done.code < 0:
        shown = json.loads(fleetctl("history", "show", "last", "--format", "json").out)
        assert (len(shown["hosts"]), shown["run"]["state"]) == (COUNT, "lost")
        return
    if done.out:
        results = done.results()
        assert len(results) == COUNT
        for result in results.values():
            if result["status"] == "ok":
                assert result["stdout_bytes"] == 12_000_000
                assert result["truncated"] or result["stderr"] == "whole\n"
            else:
                assert result["failure"]["kind"] in ("operation.bug", "session.lost")
    else:
        assert done.code in (2, 5, 6), done.err
        assert done.err
    assert done.code in (0, 1, 2, 5, 6)


def test_F79_a_history_locked_by_another_process(crowd):
    """
    F79: the run waits for its turn, and nothing is lost; the hosts are done only then.
    """
    assert fleetctl("run", *crowd, "--", "true").code == 0
    path = os.path.join(os.environ["FLEETCTL_STATE"], "history.db")
    assert os.path.exists(path)
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(2, other.rollback)
        timer.start()
        try:
            done = fleetctl("run", *crowd, "--label", "late", "--", "echo late")
        finally:
            timer.join()
    assert done.code == 0, done.err
    shown = json.loads(fleetctl("history", "show", "last", "--format", "json").out)
    assert (shown["run"]["label"], shown["counts"]) == ("late", {"ok": COUNT})
