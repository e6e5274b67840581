"""
The controller is killed with -9 at any moment: what the history knows is true, and the rest of the
run is done once.
"""

from __future__ import annotations

import json
import os
import random
import select
import time
from collections import Counter

import pytest

from tests.cli.shell import LIMIT_S, fleetctl, started
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

HOSTS = 12
#: One host says when it started and when it has finished: two lines each, and those of the run.
MOST_LINES = 2 * HOSTS + 2


def finished_in(out):
    """Return the hosts whose result reached the pipe whole."""
    events = [
        json.loads(line) for line in out.decode().splitlines(keepends=True) if line[-1] == "\n"
    ]
    return {event["host"] for event in events if event["event"] == "host.finished"}


def killed_after(child, lines, pause_s):
    """Let so many lines come, and a moment pass; kill; return all that came."""
    out, until = b"", time.monotonic() + PATIENCE_S
    while out.count(b"\n") < lines and time.monotonic() < until:
        if select.select([child.stdout], [], [], 0.05)[0]:
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                break
            out += data
    time.sleep(pause_s)
    child.kill()
    rest, _ = child.communicate(timeout=LIMIT_S)
    return out + rest


@pytest.mark.timeout(1800)  # at full size
def test_F73_killed_at_any_moment(fleet, tmp_path, is_full_size):
    """
    F73: each `host.finished` that reached the pipe is in the history; a host whose marker exists is
    `ran` yes or unknown, never no; `resume` does the rest, and no marker is written twice.
    """
    hosts = fleet.hosts(HOSTS)
    choice = random.Random(73)
    ways: Counter[str] = Counter()
    inventory = str(fleet.inventory(hosts))
    for number in range(100 if is_full_size else 5):
        folder = tmp_path / f"marks{number}"
        folder.mkdir()
        line = f"echo ran >> {folder}/$(basename $(dirname $HOME)); sleep 0.05"
        words = ("run", "-i", inventory, "web*", "-f", "3", "--format", "ndjson", "--", line)
        with started(*words) as child:
            lines = choice.randrange(MOST_LINES + 1)
            out = killed_after(child, lines, choice.uniform(0, 0.05))
        settle(fleet, hosts)
        ways[check(folder, line, finished_in(out))] += 1
    # At least one of them was cut in the middle.
    assert ways["lost"]


def settle(fleet, hosts):
    """Wait until nothing that the run had started is there any more."""
    until = time.monotonic() + PATIENCE_S
    while any(fleet.sessions(host) for host in hosts):
        assert time.monotonic() < until
        time.sleep(0.02)


def check(folder, line, finished):
    """Compare the history with the marks of one run, do the rest of it, and compare again."""
    shown = fleetctl("history", "show", "last", "--format", "json")
    record = json.loads(shown.out) if shown.code == 0 else None
    if record is None or record["run"]["argv"][-1] != line:
        assert not finished
        assert not list(folder.iterdir())
        return "not begun"
    found = {host["host"]: host for host in record["hosts"]}
    assert finished <= {name for name, host in found.items() if host["status"]}
    marked = {mark.name for mark in folder.iterdir()}
    assert not [name for name in marked if found[name]["ran"] == "no"]
    unknown = {
        n for n, host in found.items() if host["status"] is None and host["ran"] == "unknown"
    }
    if record["run"]["state"] == "lost":
        run = record["run"]["id"]
        for _ in range(2):
            resumed = fleetctl("history", "resume", run)
            assert resumed.code == (1 if unknown else 0), resumed.err
    marks = {mark.name: mark.read_text() for mark in folder.iterdir()}
    assert set(marks.values()) <= {"ran\n"}
    assert set(found) - set(marks) <= unknown
    return record["run"]["state"]
