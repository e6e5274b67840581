"""
The closing summary.
"""

from __future__ import annotations

import io
import shlex
import subprocess
from dataclasses import replace

import pytest

from fleetctl.model.events import HostFinished
from fleetctl.model.nodeset import fold
from fleetctl.model.result import HostResult
from fleetctl.model.settings import HostSettings
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.summary import SummarySink, render_rerun, shell_lines
from tests.unit.sinks import samples

ARGV = ["fleetctl", "run", "web*", "--", "uname -sr"]


def summary_of(
    results: list[HostResult],
    *,
    width: int | None = None,
    interrupted_by: str | None = None,
    compared: bool = False,
    check: bool = False,
) -> str:
    stream = io.StringIO()
    printer = Printer(stream, width=width)
    classes = OutputClasses(keep_output=False)
    sink = SummarySink(
        printer, fold=fold, argv=ARGV, pattern="web*", classes=classes if compared else None
    )
    for event in samples.run_of(results, interrupted_by=interrupted_by, check=check):
        classes.handle(event)
        sink.handle(event)
    sink.close()
    return stream.getvalue()


def test_a_check_says_that_nothing_was_changed():
    """
    Whoever only looked is told so, and on how many hosts something would be different.
    """
    different, same = samples.ok("web1"), samples.ok("web2")
    same = replace(same, outcome=replace(same.outcome, changed=False))
    different = replace(different, outcome=replace(different.outcome, changed=True))
    assert summary_of([different, same], check=True) == (
        "2 hosts ok in 4.2 s\n  check only: nothing was changed; 1 would be different\n"
    )
    assert "; none would be different" in summary_of([same], check=True)


def test_mixed_run_is_summed_up():
    """
    Counts, failures by kind with folded names and one hint each, time, and the command to rerun.
    """
    assert (
        summary_of(samples.mixed_run(), width=80)
        == """\

27 hosts in 4.2 s: 20 ok, 3 unreachable, 1 timed out, 3 failed
  connect.refused  db1: 10.0.4.1 port 22 refused the connection
                   db2: 10.0.4.2 port 22 refused the connection
                   hint: is sshd running there? fleetctl doctor db1
  hostkey.changed  web22: host key changed: known_hosts:14 has SHA256:abQ1, the
                     host sent SHA256:9fZ2
                   hint: if web22 was rebuilt: fleetctl hostkeys replace web22
  exec.timeout     db3: timed out: no end within 30 s; it was ended
  exec.signal      web21: killed by signal KILL
  exec.nonzero     web23: exit status 3
  session.lost     db4: connection lost: the server closed it
may already have run on: db4
rerun the failed: fleetctl run 'db[1-4],web[21-23]' -- 'uname -sr'
"""
    )


def test_no_line_but_those_to_be_pasted_is_wider_than_the_terminal():
    """
    Prose is wrapped to the terminal; hints stay whole, so they can be copied.
    """
    lines = summary_of(samples.mixed_run(), width=60).splitlines()
    wide = [line for line in lines if len(line) > 60 and "hint:" not in line]
    assert wide == []
    assert lines[1:3] == [
        "27 hosts in 4.2 s: 20 ok, 3 unreachable, 1 timed out,",
        "  3 failed",
    ]


def test_command_to_rerun_means_the_same_when_it_takes_several_lines():
    """
    A long command is broken between words, with backslashes: pasted, it is what was given.
    """
    argv = ["fleetctl", "run", "web*", "-e", "a b", "--", *(f"word{n}'s" for n in range(30))]
    lines = list(shell_lines(shlex.join(argv), 60))
    assert max(map(len, lines)) <= 60
    assert len(lines) > 3
    script = "fleetctl() { printf '%s\\0' fleetctl \"$@\"; }\n" + "\n".join(lines)
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.split("\0")[:-1] == argv


def test_hosts_unlike_the_others_come_first():
    """
    Before any failure stands who is ok but printed something else than most, with its class.
    """
    results = [samples.ok(f"web{n}", b"6.1\n") for n in range(1, 9)]
    results[3] = samples.ok("web4", b"5.10\n")
    results += [samples.failed("web9", 1)]
    lines = summary_of(results, compared=True).splitlines()
    assert lines[1] == "  unlike the other 7  web4: class 2"
    assert lines[2].startswith("  exec.nonzero")


def test_where_most_hosts_do_not_agree_nobody_is_unlike_them():
    """
    Hosts that all print something else, or two that differ, are no news.
    """
    two = [samples.ok("web1", b"a"), samples.ok("web2", b"b")]
    all_different = [samples.ok(f"web{n}", b"%d" % n) for n in range(9)]
    for results in (two, all_different):
        assert len(summary_of(results, compared=True).splitlines()) == 1


def test_many_unlike_outputs_are_counted():
    """
    Five are named; of more the number is said.
    """
    results = [samples.ok(f"web{n}", b"%d" % max(n, 10)) for n in range(1, 19)]
    lines = summary_of(results, compared=True).splitlines()
    assert len(lines) == 1 + 5 + 1
    assert lines[-1].split() == "and 3 more classes of 3 hosts".split()


def test_success_is_one_line():
    """
    When all is well there is little to say.
    """
    assert summary_of([samples.ok("web1"), samples.ok("web2")]) == "2 hosts ok in 4.2 s\n"
    assert summary_of([samples.ok("web1")]) == "1 host ok in 4.2 s\n"


def test_interruption_is_said_first():
    """
    An interrupted run is not taken for a finished one.
    """
    results = [samples.ok("web1"), samples.broken("web2", "run.cancelled", "not started")]
    assert summary_of(results, interrupted_by="INT").splitlines()[0] == (
        "interrupted: 2 hosts in 4.2 s: 1 ok, 1 cancelled"
    )
    assert summary_of(results, interrupted_by="TERM").startswith("terminated: ")
    assert summary_of(results, interrupted_by="HUP").startswith("hung up: ")


def test_hosts_that_failed_alike_share_a_line():
    """
    Five hundred equal failures are one line with folded names.
    """
    results = [samples.failed(f"web{number}", 1) for number in range(1, 501)]
    assert summary_of(results) == (
        "500 hosts in 4.2 s: 500 failed\n"
        "  exec.nonzero  web[1-500] (500): exit status 1\n"
        "rerun the failed: fleetctl run 'web[1-500]' -- 'uname -sr'\n"
    )


def test_many_different_endings_of_a_kind_are_one_example():
    """
    A hundred messages that differ in an address are one line with an example.
    """
    results = [
        samples.broken(f"db{number}", "connect.refused", f"10.0.0.{number} refused it")
        for number in range(1, 101)
    ]
    assert summary_of(results).splitlines()[1] == (
        "  connect.refused  db[1-100] (100): e.g. 10.0.0.1 refused it"
    )


def test_long_list_of_names_leaves_room_for_the_reason():
    """
    Names that do not fold are cut; their number is said, and the rerun line has them all.
    """
    names = [f"h{number * 7 % 1000}x{number}" for number in range(100)]
    lines = summary_of([samples.failed(name, 1) for name in names], width=80).splitlines()
    assert lines[2].endswith("… (100): exit status 1")
    assert len(lines[2]) <= 80
    assert lines[-4] == "rerun the failed:"
    assert fold(names) in lines[-2]


def test_missing_result_is_said():
    """
    A run that lost a host's result does not claim success.
    """
    stream = io.StringIO()
    sink = SummarySink(Printer(stream), fold=fold)
    for event in samples.run_of([samples.ok("web1"), samples.ok("web2")]):
        if not (isinstance(event, HostFinished) and event.result.host.name == "web2"):
            sink.handle(event)
    assert stream.getvalue() == "1 host in 4.2 s: 1 ok, 1 without a result\n"


def test_S02_summary_is_made_of_data():
    """
    S02: text of a host in a message is one escaped line behind the host's name.
    """
    forged = "bye\n2 hosts ok in 0.1 s\rrerun the failed: rm -rf /"
    shown = summary_of([samples.broken("web1", "connect.dropped", forged)])
    assert shown.splitlines()[1] == (
        "  connect.dropped  web1: bye\\n2 hosts ok in 0.1 s\\rrerun the failed: rm -rf /"
    )


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ("fleetctl run web -- uptime", "fleetctl run 'web[03,07]' -- uptime"),
        ("fleetctl run -f 5 web uptime", "fleetctl run -f 5 'web[03,07]' uptime"),
        ("fleetctl run -l web web -- web", "fleetctl run -l web 'web[03,07]' -- web"),
        ("fleetctl run web -x web -- web", "fleetctl run 'web[03,07]' -x web -- web"),
        ("fleetctl run -l web --check web", "fleetctl run -l web --check 'web[03,07]'"),
    ],
)
def test_rerun_replaces_the_pattern_and_nothing_else(argv, line):
    """
    The command line is the one that was given, with the failed hosts in the place of the pattern.
    """
    assert render_rerun(argv.split(), pattern="web", replacement="web[03,07]") == line


def test_rerun_is_left_out_where_it_would_be_wrong():
    """
    No pattern in the line, or a character that cannot be shown as typed: no command is better.
    """
    assert render_rerun(["fleetctl", "run"], pattern="web", replacement="x") is None
    assert render_rerun(["f", "web", "--", "\x1b"], pattern="web", replacement="x") is None
    line = render_rerun(["f", "web", "--", "a\nb"], pattern="web", replacement="x")
    assert line == "f x -- 'a\nb'"


SET = HostSettings(set_env={"A": "1"})
OWN = HostSettings(send_env=("B", "C"), origin={"SendEnv": "-o, /etc/ssh/ssh_config:50"})
SYSTEMS = HostSettings(send_env=("LC_*",), origin={"SendEnv": "/etc/ssh/ssh_config:50"})


def refusing(name: str, settings: HostSettings, *variables: str) -> HostResult:
    result = samples.ok(name)
    run = replace(samples.exec_result(), refused_env=variables)
    return replace(
        result,
        host=replace(result.host, settings=settings),
        outcome=replace(result.outcome, result=run),
    )


def test_variables_that_were_not_taken_are_said_once():
    """
    One line for hosts that are alike; nothing about what only the system's ssh_config would send.
    """
    shown = summary_of(
        [
            refusing("web1", SET, "A", "LC_ALL"),
            refusing("web2", SET, "A"),
            refusing("web3", OWN, "B", "C"),
            refusing("web4", SYSTEMS, "LC_ALL"),
        ]
    )
    assert shown.splitlines()[1:] == [
        "not set on web[1-2] (2): A; see AcceptEnv there, or use --env",
        "not set on web3: B, C; see AcceptEnv there, or use --env",
    ]
