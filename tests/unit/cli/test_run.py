"""
`fleetctl run`: from words to a run, and from results to an exit code.
"""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from fleetctl.cli.perform import make_run_id, render_label
from fleetctl.commands.command import Command
from fleetctl.commands.conditions import Conditions
from fleetctl.commands.ping import Ping
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES
from fleetctl.model.run import Limits
from tests.unit.cli.fakes import NOW, FakeEngine, failure, fleetctl, nonzero, ok

HOSTS = ("-i", "web[1-3],")


def run(*words, engine):
    return fleetctl("run", *HOSTS, *words, engine=engine)


def operation(*words):
    """Type a command line and return the operation of its first host."""
    engine = FakeEngine()
    assert run(*words, engine=engine) == 0
    return engine.operations["web1"]


def test_defaults_are_those_of_the_documentation(capsys):
    """
    100 hosts at once, no retries, 16 MiB, no time limit, empty stdin, all hosts of the pattern.
    """
    engine = FakeEngine()
    assert run("web*", "--", "uptime", engine=engine) == 0
    (made,) = engine.runs
    assert made.limits == Limits(forks=100, retries=0)
    assert made.check is False
    assert engine.operations == {
        name: Command("uptime", max_output_bytes=DEFAULT_MAX_OUTPUT_BYTES)
        for name in ("web1", "web2", "web3")
    }


def test_options_reach_the_operation_and_the_limits(tmp_path):
    """
    Each option of `run` does what its help says.
    """
    (tmp_path / "input").write_bytes(b"\x00lines\n")
    engine = FakeEngine()
    code = run(
        *("all", "-f", "7", "--retries", "2", "--timeout", "1m30s", "--max-output", "64K"),
        *("--stdin", str(tmp_path / "input"), "--env", "A=1", "--env", "B=x=y", "--pty"),
        *("--cwd", "~/src", "--umask", "027", "--nice", "-3"),
        *("--label", "nightly", "--", "make", "it so"),
        engine=engine,
    )
    assert code == 0
    (made,) = engine.runs
    assert made.label == "nightly"
    assert (made.limits.forks, made.limits.retries) == (7, 2)
    assert engine.operations["web2"] == Command(
        words=("make", "it so"),
        stdin=b"\x00lines\n",
        conditions=Conditions({"A": "1", "B": "x=y"}, "~/src", 0o027, -3),
        timeout_s=90.0,
        max_output_bytes=65536,
        pty=True,
    )


@pytest.mark.parametrize(("text", "seconds"), [("2", 2.0), ("0.5", 0.5), ("1h", 3600.0)])
def test_times_may_be_written_in_several_ways(text, seconds):
    """
    Plain seconds, fractions, or the way ssh writes times.
    """
    assert operation("all", "--timeout", text, "--", "x").timeout_s == seconds


def test_standard_input_can_be_handed_on(monkeypatch):
    """
    `--stdin -` reads our own standard input up to its end.
    """
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xffbytes")))
    assert operation("all", "--stdin", "-", "--", "cat").stdin == b"\xffbytes"


def test_words_behind_the_dashes_are_not_ours():
    """
    Options behind -- go to the command, even those we have as well, and so do further dashes.
    """
    command = operation("web1", "--", "ls", "-l", "--format", "json", "--", "-x")
    assert command.words == ("ls", "-l", "--format", "json", "--", "-x")


def test_options_may_stand_before_the_pattern():
    """
    The order of pattern and options does not matter.
    """
    engine = FakeEngine()
    assert fleetctl("run", "--forks", "2", *HOSTS, "web1", "--", "x", engine=engine) == 0
    assert list(engine.operations) == ["web1"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("web*", "uptime", "-a"), "fleetctl run 'web*' -- uptime -a"),
        (("web1", "ls", "-l", "/tmp"), "fleetctl run web1 -- ls -l /tmp"),
        (("web1",), "put it behind --: fleetctl run web1 -- uptime"),
        ((), "put it behind --: fleetctl run PATTERN -- uptime"),
        (("web1", "--"), "fleetctl run web1 -- uptime"),
        (("web1", "--", "", " "), "fleetctl run web1 -- uptime"),
    ],
)
def test_a_command_without_dashes_is_refused_with_the_right_line(words, hint, capsys):
    """
    Nothing is guessed: `ls -l /tmp` would have been a limit to hosts called /tmp.
    """
    engine = FakeEngine()
    assert fleetctl("run", *words, engine=engine) == 2
    err = capsys.readouterr().err
    assert "--" in err
    assert err.endswith(f"hint: {hint}\n")
    assert engine.runs == []


def test_a_pattern_that_the_shell_expanded_is_noticed(capsys):
    """
    Two words before -- are two file names, most likely.
    """
    assert fleetctl("run", "web1.txt", "web2.txt", "--", "uptime") == 2
    assert "quote a pattern" in capsys.readouterr().err


def test_list_hosts_contacts_nobody(capsys):
    """
    --list-hosts prints the folded targets, with or without a command.
    """
    for words in (("web*", "--list-hosts"), ("web*", "--list-hosts", "--", "reboot")):
        engine = FakeEngine()
        assert run(*words, engine=engine) == 0
        assert capsys.readouterr().out == "web[1-3] (3)\n"
        assert engine.runs == []


def test_limit_and_exclude_narrow(capsys):
    """
    -l and -x leave out what they say.
    """
    engine = FakeEngine()
    assert run("web*", "-l", "web[2-3]", "-x", "web3", "--", "x", engine=engine) == 0
    assert list(engine.operations) == ["web2"]


@pytest.mark.parametrize("name", ["1A=x", "A", "=x", "A-B=x", "Ä=x"])
def test_a_bad_variable_is_refused(name, capsys):
    """
    --env takes names that a shell takes.
    """
    assert run("all", "--env", name, "--", "x", engine=FakeEngine()) == 2
    err = capsys.readouterr().err
    assert f'--env: NAME=VALUE is expected, not "{name}"' in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--umask", "9"), 'an octal number such as 027 is expected, not "9"'),
        (("--umask", "1777"), "an octal number such as 027"),
        (("--nice", "20"), "20 is not in the range -20<=x<=19"),
        (("--nice", "5x"), "'5x' is not a valid integer"),
        (("--cwd", ""), 'a folder is expected, not ""'),
    ],
)
def test_conditions_are_checked_before_anybody_is_contacted(words, said, capsys):
    """
    --umask, --nice and --cwd take what a host can make sense of.
    """
    engine = FakeEngine()
    assert run("all", *words, "--", "x", engine=engine) == 2
    assert said in capsys.readouterr().err
    assert engine.runs == []


def test_a_missing_stdin_file_is_an_error_before_anybody_is_contacted(tmp_path, capsys):
    """
    The file is read first.
    """
    engine = FakeEngine()
    assert run("all", "--stdin", str(tmp_path / "nope"), "--", "x", engine=engine) == 2
    assert "--stdin: " in capsys.readouterr().err
    assert engine.runs == []


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ({}, 0),
        ({"web2": nonzero(7)}, 1),
        ({"web2": failure("exec.timeout")}, 1),
        ({"web2": failure("connect.refused")}, 4),
        ({"web2": failure("session.refused")}, 4),
        ({"web1": nonzero(1), "web2": failure("auth.denied")}, 4),
        ({"web1": failure("operation.bug"), "web2": failure("auth.denied")}, 5),
    ],
)
def test_exit_code_is_the_worst_of_the_results(outcomes, code):
    """
    0, 1, 4 and 5 as in the documentation; the highest wins.
    """
    assert run("all", "--", "x", engine=FakeEngine(outcomes)) == code


def test_exit_status_remote_returns_the_largest(capsys):
    """
    --exit-status remote hands the largest exit status on.
    """
    engine = FakeEngine({"web1": nonzero(3), "web2": nonzero(42)})
    assert run("all", "--exit-status", "remote", "--", "x", engine=engine) == 42
    assert run("all", "--exit-status", "remote", "--", "x", engine=FakeEngine()) == 0


def test_ndjson_is_nothing_but_events(capsys):
    """
    Every line of stdout is one event; numbers count up; the summary is on stderr.
    """
    engine = FakeEngine({"web2": nonzero(1)})
    assert run("all", "--format", "ndjson", "--", "x", engine=engine) == 1
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["event"] == "run.started"
    assert events[-1]["event"] == "run.finished"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["host"] for event in events if event["event"] == "host.finished"} == {
        "web1",
        "web2",
        "web3",
    }
    assert "exec.nonzero" in err


def test_json_is_one_object(capsys):
    """
    --format json prints the run, its hosts in order and the counts.
    """
    assert run("all", "--format", "json", "--", "x", engine=FakeEngine()) == 0
    whole = json.loads(capsys.readouterr().out)
    assert [host["host"] for host in whole["hosts"]] == ["web1", "web2", "web3"]
    assert whole["counts"] == {"ok": 3}
    assert whole["run"]["label"] == "fleetctl run -i 'web[1-3],' all --format json -- x"
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}", whole["run"]["id"])


def test_gather_and_oneline_and_stream(capsys):
    """
    The human views: folded, one line each, and line by line; away from a terminal stream is auto.
    """
    assert run("all", "--format", "gather", "--", "x", engine=FakeEngine()) == 0
    assert "web[1-3] (3)\n" in capsys.readouterr().out
    assert run("all", "--format", "oneline", "--", "x", engine=FakeEngine()) == 0
    assert "web1 | ok | status=0 | up\n" in capsys.readouterr().out
    for words in ((), ("--format", "auto"), ("--format", "stream")):
        assert run("all", *words, "--", "x", engine=FakeEngine()) == 0
        assert capsys.readouterr().out == "web1: up\nweb2: up\nweb3: up\n"


def test_output_is_asked_for_live_only_where_it_is_shown_live():
    """
    The views stream and ndjson want output as it comes, the others do not pay for it.
    """
    wants = {}
    for name in ("stream", "gather", "oneline", "json", "ndjson"):
        engine = FakeEngine()
        run("all", "--format", name, "--", "x", engine=engine)
        wants[name] = engine.given["live_output"]
    assert wants == {
        "stream": True,
        "gather": False,
        "oneline": False,
        "json": False,
        "ndjson": True,
    }


def test_summary_says_how_to_rerun_the_failed(capsys):
    """
    The line can be pasted: same options, only the failed hosts.
    """
    engine = FakeEngine({"web2": nonzero(1), "web3": nonzero(1)})
    assert run("web*", "-f", "5", "--", "a b", engine=engine) == 1
    err = capsys.readouterr().err
    assert "fleetctl run -i 'web[1-3],' 'web[2-3]' -f 5 -- 'a b'" in err


def test_color_is_by_choice(capsys, monkeypatch):
    """
    --color always paints even into a pipe; auto and NO_COLOR do not.
    """
    run("all", "--color", "always", "--", "x", engine=FakeEngine())
    assert "\x1b[" in capsys.readouterr().out
    run("all", "--", "x", engine=FakeEngine())
    assert "\x1b[" not in capsys.readouterr().out


def test_engine_warnings_go_to_stderr(capsys):
    """
    What the connection layer warns of is said, escaped, on stderr only.
    """
    engine = FakeEngine()

    async def warn(_name):
        engine.given["warn"]("known_hosts:3: \x1b is no key")

    engine.before_each = warn
    assert run("web1", "--format", "json", "--", "x", engine=engine) == 0
    out, err = capsys.readouterr()
    assert "fleetctl: warning: known_hosts:3: \\x1b is no key\n" in err
    json.loads(out)


def test_ping_logs_in_and_runs_nothing(capsys):
    """
    Each host gets the ping operation and a line of output.
    """
    engine = FakeEngine()
    assert fleetctl("ping", *HOSTS, "all", engine=engine) == 0
    assert set(engine.operations.values()) == {Ping()}
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_run_id_sorts_by_time():
    """
    Ids begin with the time in UTC and end with what tells two runs of one second apart.
    """
    assert make_run_id(NOW, b"\x7f\x3a") == "20261121T012233-7f3a"


def test_label_is_the_command_line_even_if_it_is_no_text():
    """
    Bytes of the command line that are not UTF-8 are replaced, so that every sink can write it.
    """
    assert render_label(["fleetctl", "run", "a b", "\udcff"]) == "fleetctl run 'a b' '�'"


def test_more_hosts_at_once_than_files_is_lowered_with_a_warning(monkeypatch, capsys):
    """
    With few descriptors the run gets slower, it does not crash (F76).
    """
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 64))
    changed = []
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: changed.append(limits))
    engine = FakeEngine()
    assert fleetctl("run", "-i", "w[1-500],", "all", "--", "x", engine=engine) == 0
    assert engine.runs[0].limits.forks == 24
    assert "only 64 files may be open: 24 hosts at once, not 100" in capsys.readouterr().err
    assert changed == [(64, 64)]


def test_the_limit_of_files_is_raised_if_it_may_be(monkeypatch, capsys):
    """
    A low soft limit is no reason to be slow (F76).
    """
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 4096))
    changed = []
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: changed.append(limits))
    engine = FakeEngine()
    assert fleetctl("run", "-i", "w[1-500],", "all", "--", "x", engine=engine) == 0
    assert engine.runs[0].limits.forks == 100
    assert changed == [(140, 4096)]
    assert "warning" not in capsys.readouterr().err


def test_a_result_without_output_is_shown_as_such(capsys):
    """
    An empty answer is not a missing one.
    """
    engine = FakeEngine({"web1": ok(b"")})
    assert run("web1", "--format", "gather", "--", "x", engine=engine) == 0
    assert "web1: ok, no output\n" in capsys.readouterr().out
