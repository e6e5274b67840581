"""
`fleetctl history`: list, show, prune and verify, on runs that were recorded before.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from pathlib import Path

import pytest

from fleetctl.cli.state import state_directory
from fleetctl.model.result import ExecResult, Outcome
from tests.unit.cli.fakes import failure, fleetctl, ok
from tests.unit.cli.recorded import MIXED, STARTED, WAITING, evil, record, run_id
from tests.unit.report.test_page import DANGEROUS, EVIL, Page


def history(*words):
    return fleetctl("history", *words)


def database():
    return state_directory(os.environ) / "history.db"


def test_nothing_is_recorded_yet(capsys):
    """
    An empty history is no error, and a run that is not there says so.
    """
    assert history("list") == 0
    assert capsys.readouterr().out == "no run is recorded\n"
    assert history("show") == 2
    assert "no run is recorded" in capsys.readouterr().err


def test_list_shows_the_newest_first(capsys):
    """
    One line a run: when, how many hosts, how it ended, how long it took, what it was.
    """
    record(MIXED, number=1)
    record({"web1": ok(), "web2": STARTED}, number=2, label="nightly", ends=False)
    assert history("list") == 0
    head, newest, oldest = capsys.readouterr().out.splitlines()
    assert head.split() == "RUN STARTED HOSTS HOW IT ENDED TOOK WHAT".split()
    assert newest.startswith(run_id(2))
    assert re.search(r" 2  lost: 1 of 2 done +nightly$", newest)
    assert re.search(r" 4  2 ok, 1 unreachable, 1 failed +1.0 s  run -i .*uptime$", oldest)


def test_list_can_be_narrowed_and_read_by_programs(capsys):
    """
    By number and by label; JSON has everything that is known about a run.
    """
    for number, label in enumerate(("nightly", "by hand", "nightly 2"), 1):
        record({"web1": ok()}, number=number, label=label)
    assert history("list", "-n", "1", "--label", "nightly", "--format", "json") == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert (run["id"], run["label"], run["state"]) == (run_id(3), "nightly 2", "finished")
    assert run["counts"] == {"ok": 1}
    assert run["argv"][:2] == ["fleetctl", "run"]
    assert run["user"] == "alice"
    assert history("list", "--label", "weekly") == 0
    assert capsys.readouterr().out == 'no run has "weekly" in its label\n'


def test_show_tells_who_did_what_and_what_came_of_it(capsys):
    """
    The facts, what was said, the outputs as `run` gathers them, the summary, and what to do next.
    """
    record(MIXED, notices=["connection dropped, tried again"])
    assert history("show") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{run_id()}  2 ok, 1 unreachable, 1 failed\n")
    assert "  command    fleetctl run -i 'web[1-4],' 'web*' -- uptime\n" in out
    assert f"  who        alice on ctl, in {Path.cwd()}\n" in out
    assert "  policy     forks 100\n" in out
    assert re.search(r"^  files      inventory web\[1-4\], \([0-9a-f]{12}\)$", out, re.MULTILINE)
    assert "  web1: connection dropped, tried again\n" in out
    assert "---------------\n  down\n" in out
    assert "4 hosts in 1.0 s: 2 ok, 1 unreachable, 1 failed\n" in out
    assert out.endswith(
        f"do them again: fleetctl history rerun {run_id()} --only failed,unreachable\n"
    )


def test_F73_a_run_that_was_cut_short_says_what_is_not_known(capsys):
    """
    F73: hosts without a result are named, by whether it may have run there, with the way on.
    """
    record({"web1": ok(), "web2": STARTED, "web3": WAITING, "web4": WAITING}, ends=False)
    assert history("show", "last") == 0
    out = capsys.readouterr().out
    assert f"{run_id()}  lost: 1 of 4 done\n" in out
    assert "never started: web[3-4] (2)\n" in out
    assert "no result, and it may have run there: web2\n" in out
    assert out.endswith(f"do the rest: fleetctl history resume {run_id()}\n")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--only", "failed,unreachable"), ["web2", "web3"]),
        (("--only", "class1"), ["web1"]),
        (("--host", "web[1,4]"), ["web1", "web4"]),
        (("--host", "web[1-2]", "--only", "failed"), ["web2"]),
    ],
)
def test_some_hosts_can_be_shown(capsys, words, names):
    """
    By group, by output class, by name, or by both.
    """
    record(MIXED)
    assert history("show", "last", "--format", "json", *words) == 0
    assert [host["host"] for host in json.loads(capsys.readouterr().out)["hosts"]] == names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "1999"), 'there is no run "1999"'),
        (("show", "last~7"), "there is no run last~7"),
        (("show", "last", "--only", "fialed"), '"fialed" is no group of hosts'),
        (("show", "last", "--host", "db1"), "--host: db1 was not in run"),
        (("show", "last", "--output", "x"), "--output: it is for --format html and json"),
        (("verify", "--head", "xyz"), "--head: 8 to 64 hexadecimal digits"),
    ],
)
def test_mistakes_are_told(capsys, words, message):
    """
    Exit code 2, and what is wrong.
    """
    record(MIXED)
    assert history(*words) == 2
    assert message in capsys.readouterr().err


def test_json_has_the_results_as_the_run_gave_them(capsys):
    """
    The fields of `--format json`, the class beside them, and the bytes that are no text.
    """
    output = Outcome(
        "ok", True, ExecResult(0, stdout=b"a\xff\n", stdout_bytes=3, stderr=b"b", stderr_bytes=1)
    )
    record({"web1": output, "web2": STARTED}, notices=["retry"], ends=False)
    assert history("show", "last", "--format", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(shown) == ["run", "hosts", "counts", "notices"]
    first, second = shown["hosts"]
    assert first["stdout_b64"] == "Yf8K"
    assert (first["stderr"], first["exit_status"], first["class"]) == ("b", 0, 1)
    assert first["phases"]["command_s"] == 0.1
    assert second == {"host": "web2", "status": None, "ran": "unknown"}
    assert shown["notices"][0]["message"] == "retry"


def test_html_is_a_page_in_a_file_for_its_owner_alone(tmp_path):
    """
    The file has mode 0600, and the page everything: facts, outputs, time line, hosts.
    """
    record(MIXED)
    path = tmp_path / "run.html"
    assert history("show", "last", "--format", "html", "--output", str(path)) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    page = Page(path.read_text())
    assert page.open == []
    assert DANGEROUS.isdisjoint(page.tags)
    for text in ("alice on ctl", "down\n", "exit status 3", "auth.denied: it did not work"):
        assert text in page.text
    assert "rect" in page.tags
    assert page.metas["Content-Security-Policy"].startswith("default-src 'none';")


def test_S01_S03_whatever_hosts_wrote_is_text(capsys):
    """
    S01, S03: no control character on the terminal, no markup in the page, both as escapes.
    """
    record({"web1": evil(f"\x1b[2J\u202e{EVIL}\udcff\n")}, label=f"\x1b]0;x\x07{EVIL}")
    for words in (("list",), ("show",), ("grep", "script"), ("show", "last", "--format", "html")):
        assert history(*words) == 0
        out = capsys.readouterr().out
        assert not set("\x1b\x07\u202e\udcff") & set(out)
        assert "\\x1b" in out
    page = Page(out)
    assert DANGEROUS.isdisjoint(page.tags)
    assert f"\\x1b[2J\\u202e{EVIL}\\xff" in page.text


def test_prune_forgets_what_is_beyond_the_limits(capsys):
    """
    First to look, then to do; a run that goes on is kept, and the log goes on too.
    """
    for number in range(1, 5):
        record({"web1": ok(f"{number}\n".encode())}, number=number)
    assert history("prune", "--keep", "2", "--dry-run") == 0
    shown = capsys.readouterr()
    assert shown.out == f"{run_id(1)}\n{run_id(2)}\n"
    assert shown.err == "fleetctl: 2 runs would be forgotten\n"
    assert history("prune", "--keep", "2") == 0
    assert re.match(r"forgotten: 2 runs, [02] outputs \(\d+ B\)\n", capsys.readouterr().out)
    assert history("prune", "--keep", "2") == 0
    assert capsys.readouterr().out == "there is nothing to forget\n"
    assert history("prune", "--older-than", "1h") == 0
    assert history("show", run_id(1)) == 2
    assert history("verify") == 0


def test_S34_verify_notices_what_was_changed(capsys):
    """
    S34: exit code 0 for a history as it was written, 6 for one that somebody changed.
    """
    record(MIXED)
    assert history("verify") == 0
    out = capsys.readouterr().out
    assert out.startswith("nothing was changed: ")
    head = out.split()[-1]
    record({"web1": ok()}, number=2)
    assert history("verify", "--head", head[:16]) == 0
    assert history("verify", "--head", "0" * 64) == 6
    assert "the log has no entry 000" in capsys.readouterr().err
    with sqlite3.connect(database()) as connection:
        connection.execute("UPDATE hosts SET status = 'ok' WHERE name = 'web2'")
    connection.close()
    assert history("verify", "--format", "json") == 6
    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"] is False
    assert run_id(1) in shown["problems"][0]


def test_a_store_that_cannot_be_read_is_exit_code_6(capsys):
    """
    The message says what is wrong with which file.
    """
    record({"web1": ok()})
    database().write_bytes(b"this is no database" * 100)
    assert history("list") == 6
    assert "history.db" in capsys.readouterr().err


def test_a_run_of_many_classes_stays_readable(capsys):
    """
    Hosts that all wrote something else are a section each, and the page keeps within a bound.
    """
    many = {f"web{n}": ok(b"%d\n" % n * 300_000) for n in range(1, 31)}
    many["web31"] = failure("connect.refused")
    record(many, sources=("web[1-31],",))
    assert history("show", "last", "--format", "html") == 0
    html = capsys.readouterr().out
    assert len(html) < 9 * 1024 * 1024
    assert html.count("<details") == 32
    assert "bytes are not shown" in html
