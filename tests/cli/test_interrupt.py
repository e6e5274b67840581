"""
Ctrl-C, SIGTERM and SIGHUP during a run on real hosts.
"""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.cli.shell import LIMIT_S, on_terminal, started

pytestmark = pytest.mark.fleet


@pytest.fixture
def web(fleet):
    """Four hosts, of which two run at once; what they run is ended afterwards."""
    hosts = fleet.hosts(4)
    yield "-i", str(fleet.inventory(hosts)), "web*", "-f", "2"
    for host in hosts:
        fleet.end_sessions(host)


def finish(child):
    out, err = child.communicate(timeout=LIMIT_S)
    return child.returncode, out.decode(), err.decode()


def statuses(out):
    results = [json.loads(line) for line in out.splitlines()]
    return {e["host"]: e["status"] for e in results if e["event"] == "host.finished"}


def read_events(child, name, count):
    """Read events until so many of that name have come; return the text read."""
    text = ""
    while sum(json.loads(line)["event"] == name for line in text.splitlines()) < count:
        line = child.stdout.readline()
        assert line, f"it ended before {count} {name}"
        text += line.decode()
    return text


def test_first_interrupt_starts_nothing_new_and_waits(web, tmp_path):
    """
    Who runs is named and finishes; who was not started is cancelled; 130 at the end (F74).
    """
    go_on = tmp_path / "go-on"
    line = f"echo started; until test -e {go_on}; do sleep 0.05; done; echo whole"
    with started("run", *web, "--format", "ndjson", "--", line) as child:
        text = read_events(child, "host.output", 2)
        child.send_signal(signal.SIGINT)
        text += read_events(child, "notice", 1)
        go_on.touch()
        code, out, err = finish(child)
    assert code == 130
    found = statuses(text + out)
    assert sorted(found.values()) == ["cancelled", "cancelled", "ok", "ok"]
    running = [name for name, status in found.items() if status == "ok"]
    assert "still running: " in err
    assert all(name[-2:] in err.partition("still running: ")[2].splitlines()[0] for name in running)
    assert "interrupted: 4 hosts in " in err


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ((signal.SIGINT, signal.SIGINT), 130),
        ((signal.SIGTERM,), 143),
        ((signal.SIGHUP,), 129),
    ],
)
def test_what_runs_is_ended(web, signals, code):
    """
    Second Ctrl-C, SIGTERM or SIGHUP: long before they are done a result per host, and the summary
    (F74).
    """
    words = ("run", *web, "--format", "ndjson", "--", "echo started; sleep 600")
    with started(*words) as child:
        text = read_events(child, "host.output", 2)
        for number in signals:
            child.send_signal(number)
            text += read_events(child, "notice", 1)
        returned, out, err = finish(child)
    assert returned == code
    assert set(statuses(text + out).values()) == {"cancelled"}
    assert len(statuses(text + out)) == 4
    events = [json.loads(line) for line in (text + out).splitlines()]
    assert events[-1]["event"] == "run.finished"
    assert "4 cancelled" in err


def test_third_interrupt_leaves_at_once(web):
    """
    On a terminal, impatience is obeyed, and what may still run is named (F74).
    """
    line = "trap '' TERM HUP; echo started; sleep 600 & wait; sleep 600"
    with on_terminal("run", *web, "--format", "stream", "--", line) as screen:
        screen.read_until("started")
        for shown in ("still running", "ending what still runs", ""):
            screen.interrupt()
            screen.read_until(shown)
        ended = screen.wait()
    assert ended.code == 130


def test_interrupt_before_anything_runs(fleet):
    """
    Ctrl-C at a prompt ends with 130; nobody was contacted.
    """
    words = ("ping", "-i", "web01,", "web01", "-k")
    with on_terminal(*words) as screen:
        screen.read_until("login password: ")
        screen.interrupt()
        ended = screen.wait()
    assert ended.code == 130
    assert "Traceback" not in ended.out


def test_interrupt_while_a_passphrase_is_asked_for(fleet, tmp_path):
    """
    Two Ctrl-C at the question end the run; the terminal has its echo back.
    """
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "x", "-f", str(key)], check=True)
    host = fleet.host("web01")
    words = (
        *("-i", f"{host.address}:{host.port},", "all", "--identity", str(key)),
        *("-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", "IdentityAgent=none"),
    )
    with on_terminal("ping", *words) as screen:
        screen.read_until("passphrase of ")
        screen.interrupt()
        screen.read_until("still running")
        screen.interrupt()
        ended = screen.wait()
    assert ended.code == 130
    assert "Traceback" not in ended.out
