"""
`fleetctl run` and `ping` on real hosts, in every format.
"""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import fleetctl, on_terminal
from tests.support.patience import PATIENCE_S, at_some_pace

pytestmark = pytest.mark.fleet


@pytest.fixture
def web(fleet):
    """Three ordinary hosts, as an inventory."""
    return ("-i", str(fleet.inventory(fleet.hosts(3))))


def test_stream_puts_the_name_before_every_line(web):
    """
    Away from a terminal each line of a host comes behind its name, stdout and stderr apart.
    """
    done = fleetctl("run", *web, "web*", "--", "echo one; echo two; echo bad >&2")
    assert done.code == 0
    assert sorted(done.out.splitlines()) == sorted(
        f"web0{n}: {word}" for n in (1, 2, 3) for word in ("one", "two")
    )
    for n in (1, 2, 3):
        assert f"web0{n}: bad\n" in done.err
    assert done.err.splitlines()[-1].startswith("3 hosts ok in ")


def test_gather_shows_equal_output_once(web):
    """
    Equal output stands once under the folded names, who is different below, failures last.
    """
    line = "echo same; case $HOME in *web02*) echo more; exit 3;; esac"
    done = fleetctl("run", *web, "web*", "--format", "gather", "--", line)
    assert done.code == 1
    rule = "-" * 15
    assert done.out == (
        f"{rule}\nweb[01,03] (2) [class 1]\n{rule}\n  same\n"
        f"{rule}\nweb02: exit status 3 [class 2]\n{rule}\n  same\n  more\n"
    )
    assert "exec.nonzero  web02: exit status 3" in done.err
    assert "rerun the failed: fleetctl run" in done.err


def test_oneline_is_a_line_per_host(web):
    """
    Name, status, exit status and the first line of output.
    """
    done = fleetctl("run", *web, "web*", "--format", "oneline", "--", "echo a; echo b")
    assert sorted(done.out.splitlines()) == [
        f"web0{n} | ok | status=0 | a (+1 line)" for n in (1, 2, 3)
    ]


def test_json_is_the_whole_run(web):
    """
    Every field of the documentation is there, for every host, in the order of the pattern.
    """
    done = fleetctl("run", *web, "web*", "--format", "json", "--label", "x", "--", "echo hi")
    whole = json.loads(done.out)
    assert whole["counts"] == {"ok": 3}
    assert whole["run"]["label"] == "x"
    assert [host["host"] for host in whole["hosts"]] == ["web01", "web02", "web03"]
    result = whole["hosts"][0]
    assert result["stdout"] == "hi\n"
    assert (result["status"], result["ran"], result["exit_status"]) == ("ok", "yes", 0)
    fields = (
        "host address port user status changed ran exit_status exit_signal stdout stderr "
        "stdout_bytes stderr_bytes truncated output_complete failure attempts started_at "
        "duration_s phases"
    )
    assert set(fields.split()) <= set(result)
    assert result["attempts"] == 1
    assert set(result["phases"]) == {
        f"{phase}_s" for phase in ("resolve", "connect", "kex", "auth", "session", "command")
    }


def test_ndjson_is_one_event_per_line(web):
    """
    A start and an end per run and per host, output in between, numbered without a gap.
    """
    done = fleetctl("run", *web, "web*", "--format", "ndjson", "--", "echo hi")
    events = done.events()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["v"] for event in events} == {1}
    assert len({event["run"] for event in events}) == 1
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("run.started", "run.finished")
    assert names.count("host.started") == names.count("host.finished") == 3
    output = [event for event in events if event["event"] == "host.output"]
    assert {event["host"] for event in output} == {"web01", "web02", "web03"}


def test_several_words_arrive_as_they_are(web):
    """
    The remote program gets exactly the arguments that were given.
    """
    words = ("printf", "<%s>", "a  b", "it's", "$HOME", "*")
    done = fleetctl("run", *web, "web01", "--format", "json", "--", *words)
    assert done.results()["web01"]["stdout"] == "<a  b><it's><$HOME><*>"


def test_stdin_reaches_every_host(web):
    """
    `--stdin -` gives the same bytes to all, followed by end of file.
    """
    content = bytes(range(256)) * 1000
    words = ("run", *web, "web*", "--stdin", "-", "--format", "json", "--", "cksum")
    done = fleetctl(*words, stdin=content)
    sums = {result["stdout"] for result in done.results().values()}
    assert len(sums) == 1
    assert sums.pop().split()[1] == "256000"


def test_without_stdin_a_reading_command_ends(web):
    """
    A command that reads gets end of file at once (F47).
    """
    done = fleetctl("run", *web, "web01", "--format", "json", "--", "cat; echo done")
    assert done.results()["web01"]["stdout"] == "done\n"


def test_variables_reach_the_command(web):
    """
    --env works although sshd accepts no variable by default.
    """
    words = ("run", *web, "web01", "--env", "A=it's $x", "--format", "json", "--", 'echo "$A"')
    assert fleetctl(*words).results()["web01"]["stdout"] == "it's $x\n"


def test_timeout_ends_the_command(web):
    """
    A command over its time is timed_out, exit 1, and its output so far is kept (F48).
    """

    def check(pace):
        words = ("run", *web, "web01", "--timeout", f"{pace:g}", "--format", "json", "--")
        done = fleetctl(*words, "echo begun; sleep 600")
        assert done.code == 1
        result = done.results()["web01"]
        assert (result["status"], result["failure"]["kind"]) == ("timed_out", "exec.timeout")
        assert result["stdout"] == "begun\n"
        assert pace <= result["duration_s"] < pace + PATIENCE_S

    at_some_pace(check)


def test_max_output_keeps_head_and_tail(web):
    """
    Of endless output the beginning and the end are kept, the true count is told (F38).
    """
    words = ("run", *web, "web01", "--max-output", "1K", "--format", "json", "--")
    result = fleetctl(*words, "seq 100000").results()["web01"]
    assert result["truncated"] is True
    assert result["stdout_bytes"] == 588895
    assert len(result["stdout"]) == 1024
    assert result["stdout"].startswith("1\n2\n")
    assert result["stdout"].endswith("\n100000\n")


def test_a_pty_is_given_if_asked_for(web):
    """
    --pty gives the command a terminal; without it there is none.
    """
    line = "tty >/dev/null && echo terminal || echo none"
    for words, expected in ((("--pty",), "terminal"), ((), "none")):
        done = fleetctl("run", *web, "web01", *words, "--format", "json", "--", line)
        assert done.results()["web01"]["stdout"].strip() == expected


def test_exit_status_remote(web):
    """
    --exit-status remote makes fleetctl exit as the command did, 255 included (F45).
    """
    for status in (0, 7, 255):
        words = ("run", *web, "web01", "--exit-status", "remote", "--", f"exit {status}")
        assert fleetctl(*words).code == status


def test_ping_names_each_host(web):
    """
    Ping logs in and runs nothing; a line per host.
    """
    done = fleetctl("ping", *web, "all")
    assert done.code == 0
    assert {line.split(" | ")[0] for line in done.out.splitlines()} == {"web01", "web02", "web03"}
    assert {line.split(" | ")[1] for line in done.out.splitlines()} == {"ok"}


def test_hosts_expands_without_contacting_anybody(web):
    """
    Groups and operators of patterns work on the command line.
    """
    assert fleetctl("hosts", *web, "web:&eu").out == "web01\nweb03\n"
    assert fleetctl("hosts", *web, "all:!eu", "--fold").out == "web02\n"


def test_on_a_terminal_output_is_folded(web):
    """
    Where a person looks, auto means gather, in colour.
    """
    with on_terminal("run", *web, "web*", "--", "echo hi") as screen:
        ended = screen.wait()
    assert ended.code == 0
    assert "web[01-03]" in ended.out
    assert "\x1b[" in ended.out


def test_progress_is_live_on_a_terminal(web, tmp_path):
    """
    While hosts work, a line says how many are done and who is slow; it is gone at the end.
    """
    go_on = tmp_path / "go-on"
    line = f"case $HOME in *web02*) until test -e {go_on}; do sleep 0.05; done;; esac"
    with on_terminal("run", *web, "web*", "--", line) as screen:
        screen.read_until("2/3 done, 1 running")
        screen.read_until("slowest: web02")
        go_on.touch()
        ended = screen.wait()
    assert ended.code == 0
    assert "3 hosts ok" in ended.out.rpartition("\x1b[K")[2].replace("\x1b[32m", "").replace(
        "\x1b[0m", ""
    )


def test_no_color_is_honoured(web):
    """
    NO_COLOR turns colour off, even on a terminal.
    """
    with on_terminal("run", *web, "web01", "--", "true", env={"NO_COLOR": "1"}) as screen:
        assert "\x1b[3" not in screen.wait().out


def test_escapes_from_hosts_do_not_reach_the_terminal(web):
    """
    What a host prints cannot steer the terminal, in any human view (S01).
    """
    line = r"printf '\033]0;owned\007\033[31mred\r\nweb02: forged\n'"
    for name in ("stream", "gather", "oneline"):
        done = fleetctl("run", *web, "web01", "--format", name, "--", line)
        assert "\x1b" not in done.out
        assert "\r" not in done.out
        assert not any(out.startswith("web02") for out in done.out.splitlines())
        assert "\\x1b]0;owned\\x07" in done.out


def test_a_lab_of_200_hosts_gives_200_results(fleet):
    """
    Nobody is lost in text, json or ndjson.
    """
    inventory = ("-i", str(fleet.inventory(fleet.hosts(200))))
    words = ("run", *inventory, "web*", "--format")
    done = fleetctl(*words, "gather", "--", "echo hi")
    assert "(200)\n" in done.out
    assert len(fleetctl(*words, "json", "--", "uptime").results()) == 200
    events = fleetctl(*words, "ndjson", "--", "uptime").events()
    assert len({e["host"] for e in events if e["event"] == "host.finished"}) == 200
