"""
`fleetctl history grep` and `diff`.
"""

from __future__ import annotations

import json

import pytest

from fleetctl.model.result import ExecResult, Outcome
from tests.unit.cli.fakes import failure, fleetctl, nonzero
from tests.unit.cli.recorded import STARTED, record, run_id


def wrote(stdout=b"", stderr=b""):
    run = ExecResult(
        0, stdout=stdout, stderr=stderr, stdout_bytes=len(stdout), stderr_bytes=len(stderr)
    )
    return Outcome("ok", result=run)


@pytest.fixture(autouse=True)
def two_runs():
    """In the second run web1 is as before, web2 and web3 changed alike, web4 is gone, web5 new."""
    old, new = wrote(b"one\ntwo\n"), wrote(b"one\n2\n", b"Warning: odd\n")
    record(dict.fromkeys(("web1", "web2", "web3", "web4"), old), number=1)
    record({"web1": old, "web2": new, "web3": new, "web5": new}, number=2)


def history(capsys, *words):
    code = fleetctl("history", *words)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def body(out):
    """Return the lines without the headers of runs."""
    return [line for line in out.splitlines() if not line.startswith("2026")]


def test_grep_shows_a_line_once_for_all_hosts_that_wrote_it(capsys):
    """
    Newest run first; hosts folded; stderr behind its gutter; exit code 0.
    """
    code, out, err = history(capsys, "grep", "^(two|w.*)", "-i")
    assert (code, err) == (0, "")
    assert out.index(run_id(2)) < out.index(run_id(1))
    assert body(out) == [
        *("web1:", "  2: two"),
        *("web[2-3,5] (3):", "! 1: Warning: odd", ""),
        *("web[1-4] (4):", "  2: two"),
    ]


def test_grep_can_be_narrowed(capsys):
    """
    To runs, hosts, a stream and a number of hits; a search that was cut off says so.
    """
    assert body(history(capsys, "grep", "o", "--run", "last", "--host", "web[1,2]")[1]) == [
        *("web1:", "  1: one", "  2: two", "web2:", "  1: one", "! 1: Warning: odd"),
    ]
    assert body(history(capsys, "grep", "o", "--run", "last", "--stream", "stderr")[1]) == [
        *("web[2-3,5] (3):", "! 1: Warning: odd"),
    ]
    code, out, err = history(capsys, "grep", "o", "--max-hits", "1")
    assert (code, len(body(out))) == (0, 2)
    assert "not everything was searched: stopped after 1 hits" in err


def test_grep_that_finds_nothing_is_exit_code_1(capsys):
    """
    As grep(1) has it; a pattern that is none is exit code 2.
    """
    assert history(capsys, "grep", "three") == (1, "", "fleetctl: no line matches\n")
    code, _, err = history(capsys, "grep", "(")
    assert code == 2
    assert '"(" is no regular expression' in err


def test_grep_for_programs(capsys):
    """
    One object a line that matches, with all its hosts.
    """
    code, out, _ = history(capsys, "grep", "odd", "--format", "json")
    assert code == 0
    assert json.loads(out) == [
        {
            "run": run_id(2),
            "hosts": ["web2", "web3", "web5"],
            "stream": "stderr",
            "line_number": 1,
            "line": "Warning: odd",
        }
    ]


def test_diff_shows_what_changed_once_for_hosts_that_changed_alike(capsys):
    """
    By itself it compares the last run with the one before; exit code 1 says there is a difference.
    """
    code, out, _ = history(capsys, "diff")
    assert code == 1
    before, after, *lines = out.splitlines()
    assert before.startswith(f"- {run_id(1)}  ")
    assert after.startswith(f"+ {run_id(2)}  ")
    assert [line for line in lines if "@@" not in line] == [
        "",
        "web[2-3] (2): ok, other output",
        *("   one", "  -two", "  +2"),
        "! +Warning: odd",
        "",
        *("the same: web1", "only in the first: web4", "only in the second: web5"),
    ]


def test_diff_says_how_hosts_ended_differently(capsys):
    """
    Exit status, failure, and no result at all.
    """
    bad = {"web1": nonzero(3), "web2": failure("auth.denied"), "web3": STARTED}
    record(bad, number=3, ends=False)
    _, out, _ = history(capsys, "diff", "last~2", "last")
    assert "web1: ok -> exit status 3\n" in out
    assert "web2: ok -> auth.denied: it did not work\n" in out
    assert "web3: ok -> no result\n" in out


def test_equal_runs_are_exit_code_0(capsys):
    """
    A run compared with itself, for people and for programs.
    """
    code, out, _ = history(capsys, "diff", "last", "last")
    assert (code, out.splitlines()[-1]) == (0, "the same: web[1-3,5] (4)")
    code, out, _ = history(capsys, "diff", "last", "last", "--format", "json")
    assert code == 0
    assert json.loads(out)["changes"] == []
    code, out, _ = history(capsys, "diff", "--format", "json")
    assert code == 1
    (change,) = json.loads(out)["changes"]
    assert (change["hosts"], change["folded"]) == (["web2", "web3"], "web[2-3]")
    assert change["before"]["status"] == change["after"]["status"] == "ok"
