"""
Many hosts, interrupted in the middle: a row for each, and nothing left on any.
"""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace

import pytest

from fleetctl.lab.processes import process_table
from tests.cli.shell import LIMIT_S, fleetctl, started
from tests.support.patience import at_some_pace

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

#: In words of which no other test leaves anything.
LINE = "sleep 6011"


def left(fleet, hosts):
    """Return the command lines of what the run has left on the hosts."""
    pids = set().union(*map(fleet.sessions, hosts))
    return [p.command for p in process_table() if p.pid in pids and "6011" in p.command.split()]


def test_F74_a_large_run_interrupted_twice(fleet, is_full_size):
    """
    F74: Ctrl-C after 2 s and again after 3 s: a row for each host on standard output and in the
    history, the summary, 130, and no process on any host. Here 60 hosts; at full size 500.
    """
    count = 500 if is_full_size else 60
    few = fleet.hosts(5)
    names = [replace(few[n % 5], name=f"crowd{n:03d}") for n in range(count)]
    words = ("-i", str(fleet.inventory(names)), "crowd*", "--forks", str(count), "--yes")

    def check(_pace):
        with started("run", *words, "--format", "json", "--", LINE) as child:
            for pause_s in (2, 1):
                time.sleep(pause_s)
                child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=4 * LIMIT_S)
        assert child.returncode == 130, err.decode()
        rows = json.loads(out)["hosts"]
        assert len({row["host"] for row in rows}) == count
        assert {row["status"] for row in rows} == {"cancelled"}
        assert f"interrupted: {count} hosts in " in err.decode()
        assert left(fleet, few) == []
        record = json.loads(fleetctl("history", "show", "last", "--format", "json").out)
        assert {row["host"]: row["ran"] for row in record["hosts"]} == {
            row["host"]: row["ran"] for row in rows
        }
        assert record["run"]["interrupted_by"] == "INT"

    at_some_pace(check)
