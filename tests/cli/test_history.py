"""
Runs on real hosts, recorded by the program that does them, and what `history` makes of them.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.cli.shell import LIMIT_S, fleetctl, started
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def web(fleet):
    """Four hosts; what still runs on them is ended afterwards."""
    hosts = fleet.hosts(4)
    yield "-i", str(fleet.inventory(hosts)), "web*"
    for host in hosts:
        fleet.end_sessions(host)


def shown(run="last"):
    """Return what the history has of a run."""
    done = fleetctl("history", "show", run, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_run_is_recorded_as_it_was(web):
    """
    The record has the results, byte for byte, that the run gave.
    """
    line = "printf 'out\\377'; echo err >&2; case $HOME in *web03*) exit 3;; esac"
    done = fleetctl("run", *web, "--format", "json", "--label", "try", "--", line)
    record = shown()
    assert (record["run"]["label"], record["run"]["state"]) == ("try", "finished")
    assert record["run"]["exit_code"] == done.code == 1
    assert record["counts"] == {"ok": 3, "failed": 1}
    recorded = {host["host"]: host for host in record["hosts"]}
    for name, result in done.results().items():
        del recorded[name]["class"], recorded[name]["user"], result["user"]
        assert recorded[name] == result


def test_failed_hosts_are_targets_and_can_be_done_again(web):
    """
    `@failed` means the host that failed, and `rerun --only failed` does it once more there.
    """
    line = "case $HOME in *web03*) exit 3;; esac"
    assert fleetctl("run", *web, "--", line).code == 1
    assert fleetctl("hosts", *web[:2], "@failed").out == "web03\n"
    again = fleetctl("history", "rerun", "last", "--only", "failed")
    assert again.code == 1
    record = shown()
    assert [host["host"] for host in record["hosts"]] == ["web03"]
    assert record["run"]["label"].startswith("rerun of 2")
    assert record["run"]["policy"]["rerun_of"] == shown("last~1")["run"]["id"]


def test_no_history_records_nothing(web):
    """
    With `--no-history` there is no run, and no database either.
    """
    assert fleetctl("run", *web, "--no-history", "--", "true").code == 0
    assert fleetctl("history", "list").out == "no run is recorded\n"


def test_F73_killed_and_resumed(web, tmp_path):
    """
    F73: after kill -9 what has a result is left alone, what may have run is not touched unasked,
    and the rest is done, once, however often it is resumed.
    """
    marks, go_on = tmp_path / "marks", tmp_path / "go-on"
    marks.mkdir()
    line = (
        f"echo ran >> {marks}/$(basename $(dirname $HOME)); "
        f"case $HOME in *web02*) until test -e {go_on}; do sleep 0.05; done;; esac"
    )
    with started("run", *web, "-f", "1", "--format", "ndjson", "--", line) as child:
        until = time.monotonic() + PATIENCE_S
        while not (marks / "web02").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        child.kill()
        child.wait(LIMIT_S)
    record = shown()
    assert record["run"]["state"] == "lost"
    assert {host["host"]: (host["status"], host["ran"]) for host in record["hosts"]} == {
        "web01": ("ok", "yes"),
        "web02": (None, "unknown"),
        "web03": (None, "no"),
        "web04": (None, "no"),
    }
    run_id = record["run"]["id"]
    first = fleetctl("history", "resume", run_id)
    assert first.code == 1, first.err
    assert "it may have run there: web02\n" in first.err
    assert [host["host"] for host in shown()["hosts"]] == ["web03", "web04"]
    second = fleetctl("history", "resume", run_id)
    assert (second.code, second.out) == (1, "")
    assert {path.name: path.read_text() for path in marks.iterdir()} == dict.fromkeys(
        ("web01", "web02", "web03", "web04"), "ran\n"
    )
    go_on.touch()
    assert fleetctl("history", "resume", run_id, "--include-unknown").code == 0
    assert (marks / "web02").read_text() == "ran\nran\n"
    last = fleetctl("history", "resume", run_id)
    assert last.code == 0
    assert f"nothing is left of run {run_id}" in last.err
