"""
`fleetctl run` and `ping` on this machine itself, alone and beside hosts over SSH.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.cli.shell import PROGRAM, fleetctl, on_terminal, started
from tests.unit.local.runs import runs


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def only_result(*words, **options):
    """Run ``fleetctl WORDS --format json`` before ``--``; return the only host's result."""
    place = words.index("--") if "--" in words else len(words)
    done = fleetctl(*words[:place], "--format", "json", *words[place:], **options)
    (result,) = done.results().values()
    return result


def test_a_command_needs_no_inventory(tmp_path):
    """
    `fleetctl run localhost` runs it here, in this folder, by /bin/sh.
    """
    done = fleetctl("run", "localhost", "--", 'echo "$0"; pwd -P; echo bad >&2')
    assert done.code == 0
    assert done.out == f"localhost: /bin/sh\nlocalhost: {tmp_path.resolve()}\n"
    assert "localhost: bad\n1 host ok in " in done.err


def test_json_says_what_there_is():
    """
    A result like any other, without an address and without phases of a login.
    """
    result = only_result("run", "localhost", "--", "echo hi; exit 3")
    assert (result["status"], result["exit_status"], result["ran"]) == ("failed", 3, "yes")
    assert result["stdout"] == "hi\n"
    assert (result["address"], result["port"]) == (None, None)
    assert result["attempts"] == 1
    entered = {name for name, seconds in result["phases"].items() if seconds is not None}
    assert entered == {"command_s"}


def test_ndjson_has_the_events_of_any_host():
    """
    Start, output and end, in order.
    """
    events = fleetctl("run", "localhost", "--format", "ndjson", "--", "echo hi").events()
    assert [event["event"] for event in events] == [
        "run.started",
        "host.started",
        "host.output",
        "host.finished",
        "run.finished",
    ]
    assert events[2]["data"] == "hi\n"


def test_ping_says_that_it_is_local():
    """
    This machine is always there; nothing was agreed on with anybody.
    """
    assert fleetctl("ping", "localhost").out.startswith("localhost | ok")
    result = only_result("ping", "localhost")
    assert (result["status"], result["ran"]) == ("ok", "no")
    assert result["data"]["connection"] == "local"


@pytest.mark.parametrize("status", [0, 7, 255])
def test_F45_exit_codes_are_the_same(status):
    """
    0 or 1 for what happened on hosts; the command's own if asked for.
    """
    line = f"exit {status}"
    assert fleetctl("run", "localhost", "--", line).code == (1 if status else 0)
    assert fleetctl("run", "localhost", "--exit-status", "remote", "--", line).code == status


def test_input_variables_and_words_reach_the_command():
    """
    --stdin, --env and several words work as on any host.
    """
    content = bytes(range(256)) * 1000
    result = only_result("run", "localhost", "--stdin", "-", "--", "cksum", stdin=content)
    assert result["stdout"].split()[1] == "256000"
    result = only_result("run", "localhost", "--env", "A=it's $x", "--", 'echo "$A"')
    assert result["stdout"] == "it's $x\n"
    result = only_result("run", "localhost", "--", "printf", "<%s>", "a  b", "$HOME")
    assert result["stdout"] == "<a  b><$HOME>"


def test_a_pty_is_given_if_asked_for():
    """
    --pty gives the command a terminal of its own; without it there is none.
    """
    line = "tty >/dev/null && echo terminal || echo none"
    assert only_result("run", "localhost", "--pty", "--", line)["stdout"] == "terminal\n"
    assert only_result("run", "localhost", "--", line)["stdout"] == "none\n"


def test_F48_timeout_ends_the_command():
    """
    A command over its time is timed_out, exit 1, and known to be gone.
    """
    words = ("run", "localhost", "--timeout", "1", "--format", "json", "--", "exec sleep 60")
    done = fleetctl(*words)
    assert done.code == 1
    (result,) = done.results().values()
    assert (result["status"], result["failure"]["kind"]) == ("timed_out", "exec.timeout")
    assert result["failure"]["message"] == "no end within 1 s; it was ended"
    assert result["exit_signal"] == "TERM"


def test_an_ignored_SIGCHLD_does_not_hide_a_failure():
    """
    Whoever starts fleetctl may ignore its own children; a failed command is still a failed one.
    """
    program = subprocess.run(
        [*PROGRAM, "run", "localhost", "--", "exit 3"],
        capture_output=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert program.returncode == 1
    assert b"exit status 3" in program.stderr


# -- Ctrl-C


def next_event(child):
    """Read one event of a child's ``--format ndjson``."""
    line = child.stdout.readline()
    assert line, "it ended"
    return json.loads(line)


def read_output(child):
    """Read events until a host has written something; return that."""
    while (event := next_event(child))["event"] != "host.output":
        pass
    return event["data"]


def test_F74_first_interrupt_waits_for_the_command(tmp_path):
    """
    Ctrl-C on the terminal does not reach the command, which comes to its own end.
    """
    line = (
        "echo started; for n in $(seq 600); do [ -e go-on ] && break; sleep 0.1; done; echo whole"
    )
    words = ("--format", "stream", "--color", "never", "--", line)
    with on_terminal("run", "localhost", *words) as screen:
        screen.read_until("localhost: started")
        screen.interrupt()
        screen.read_until("still running: localhost")
        (tmp_path / "go-on").touch()
        ended = screen.wait()
    assert ended.code == 130
    assert "localhost: whole" in ended.out


@pytest.mark.parametrize(
    ("signals", "code"), [((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM,), 143)]
)
@pytest.mark.parametrize("pty", [(), ("--pty",)])
def test_F74_the_second_ends_it(signals, code, pty):
    """
    Then the command is gone when fleetctl is, and the result has what it had done.
    """
    line = "echo $$; exec sleep 60"
    with started("run", "localhost", *pty, "--format", "ndjson", "--", line) as child:
        pid = int(read_output(child))
        for number in signals:
            child.send_signal(number)
            assert next_event(child)["event"] == "notice"
        out, _ = child.communicate(timeout=60)
    assert child.returncode == code
    assert not runs(pid)
    (result,) = [e for e in map(json.loads, out.splitlines()) if e["event"] == "host.finished"]
    assert (result["status"], result["ran"]) == ("cancelled", "yes")
    assert result["stdout"] == f"{pid}\n"
    assert result["exit_signal"] == "TERM"


# -- beside other hosts


@pytest.fixture
def mixed(fleet, tmp_path):
    """Two hosts over SSH, one in the inventory that is this machine, one implicit."""
    (tmp_path / "here.ini").write_text("here ansible_connection=local ansible_user=nobody-at-all\n")
    inventory = fleet.inventory(fleet.hosts(2))
    return "-i", str(inventory), "-i", "here.ini", "all,localhost"


def test_hosts_over_ssh_and_this_machine_in_one_run(mixed, tmp_path):
    """
    Each gets its result: from home over SSH, from this folder here; a User has no meaning here.
    """
    words = ("--format", "json", "--", "pwd -P; id -u")
    done = fleetctl("run", *mixed, *words)
    assert done.code == 0
    results = done.results()
    assert set(results) == {"web01", "web02", "here", "localhost"}
    here = f"{tmp_path.resolve()}\n{os.getuid()}\n"
    assert {name for name, result in results.items() if result["stdout"] == here} == {
        "here",
        "localhost",
    }
    addresses = {name for name, result in results.items() if result["address"] is not None}
    assert addresses == {"web01", "web02"}


def test_equal_output_is_folded_over_both(mixed):
    """
    A view does not ask how a host was reached.
    """
    done = fleetctl("run", *mixed, "--format", "gather", "--", "echo same")
    assert done.out == f"{'-' * 15}\nhere,localhost,web[01-02] (4)\n{'-' * 15}\n  same\n"


def test_a_failure_here_stops_nobody(mixed):
    """
    One host that fails, wherever it is, is one failed result.
    """
    line = "[ ! -e here.ini ] || exit 4"
    results = fleetctl("run", *mixed, "--format", "json", "--", line).results()
    assert (results["here"]["status"], results["here"]["exit_status"]) == ("failed", 4)
    assert len(results) == 4


# -- start-up


def test_what_it_takes_is_imported_only_for_hosts_that_are_local():
    """
    A run over SSH does not pay for it.
    """
    program = """if True:
        import sys
        from fleetctl.cli.main import main
        for words in (["-i", "127.0.0.1:1,", "all"], ["localhost"]):
            main(["ping", *words])
            print("fleetctl.local" in sys.modules)
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    shown = done.stdout.decode().splitlines()
    assert [line for line in shown if line in ("True", "False")] == ["False", "True"]
