"""
How `fleetctl run` shows results, and the folder it writes, on real hosts.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from tests.cli.shell import LIMIT_S, PROGRAM, fleetctl, on_terminal

pytestmark = pytest.mark.fleet

#: A megabyte and a bit that is no text, the same on every host.
MUCH = "i=0; while [ $i -lt 4000 ]; do printf '%0300d\\377' $i; i=$((i+1)); done"


@pytest.fixture
def web(fleet):
    """Three ordinary hosts, as an inventory."""
    return ("-i", str(fleet.inventory(fleet.hosts(3))))


def test_F38_output_dir_has_all_bytes_of_every_host(web, tmp_path):
    """
    F38: `--max-output` bounds what is shown, not what is written; bytes are exact.
    """
    folder = tmp_path / "out"
    words = ("--max-output", "1K", "--output-dir", str(folder), "--format", "oneline")
    done = fleetctl("run", *web, "web*", *words, "--", MUCH + "; echo bad >&2")
    assert done.code == 0, done.err
    expected = b"".join(b"%0300d\xff" % n for n in range(4000))
    for n in (1, 2, 3):
        assert (folder / f"web0{n}.stdout").read_bytes() == expected
        assert (folder / f"web0{n}.stderr").read_bytes() == b"bad\n"
        result = json.loads((folder / f"web0{n}.json").read_text())
        assert (result["stdout_bytes"], result["truncated"]) == (len(expected), False)
    assert json.loads((folder / "_run.json").read_text())["counts"] == {"ok": 3}


def test_second_run_into_a_folder_contacts_nobody(web, tmp_path):
    """
    Exit 2 with the reason and the next step; what is there stays as it is.
    """
    folder = tmp_path / "out"
    words = ("run", *web, "web01", "--output-dir", str(folder), "--")
    assert fleetctl(*words, "echo first").code == 0
    done = fleetctl(*words, "echo second; touch ~/contacted")
    assert done.code == 2
    assert "is not empty" in done.err
    assert "hint: name a new folder" in done.err
    assert (folder / "web01.stdout").read_text() == "first\n"
    assert fleetctl("run", *web, "web01", "--", "test ! -e ~/contacted").code == 0


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="needs a mount namespace"
)
def test_F78_full_disk_is_reported_and_the_run_goes_on(web, tmp_path):
    """
    F78: where the disk of the folder is full, every host runs and is shown; the exit code is 6.
    """
    line = shlex.join(
        [*PROGRAM, "run", *web, "web*", "--output-dir", f"{tmp_path}/small/out", "--", MUCH]
    )
    script = (
        f"mkdir {tmp_path}/small; mount -t tmpfs -o size=64k small {tmp_path}/small;"
        f"{line} | tr -d '\\000' | wc -c; {line.replace('/out', '/out2')} >/dev/null"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 6, done.stderr
    assert int(done.stdout) > 3 * 4000 * 300
    assert "No space left on device" in done.stderr
    assert "3 hosts ok" in done.stderr


def test_compare_shows_who_differs(web):
    """
    `--compare` is gather, also away from a terminal: one output whole, a diff for each other one.
    """
    line = "echo one; case $HOME in *web02*) echo two;; esac; echo three"
    done = fleetctl("run", *web, "web*", "--compare", "--", line)
    rule = "-" * 15
    assert done.out == (
        f"{rule}\nweb[01,03] (2) [class 1]\n{rule}\n  one\n  three\n"
        f"{rule}\nweb02 [class 2]\n{rule}\n  @@ -1,2 +1,3 @@\n   one\n  +two\n   three\n"
    )
    assert "unlike the other 2  web02: class 2" in done.err
    refused = fleetctl("run", *web, "web*", "--compare", "--format", "json", "--", line)
    assert refused.code == 2
    assert "hint: add --format gather" in refused.err


def test_table_csv_and_junit_have_every_host(web):
    """
    Three more formats: rows for people, records for spreadsheets, a report for build servers.
    """
    words = ("run", *web, "web*", "--format")
    line = "echo '=1+1'; case $HOME in *web02*) exit 3;; esac"
    table = fleetctl(*words, "table", "--", line)
    assert table.code == 1
    assert [row.split()[:2] for row in table.out.splitlines()[1:]] == [
        ["web01", "ok"],
        ["web02", "failed"],
        ["web03", "ok"],
    ]
    records = csv.DictReader(io.StringIO(fleetctl(*words, "csv", "--", line).out, newline=""))
    by_host = {record["host"]: record for record in records}
    assert by_host["web02"]["exit_status"] == "3"
    assert by_host["web03"]["stdout"] == "'=1+1\n"
    suite = ET.fromstring(fleetctl(*words, "junit", "--", line).out).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert len(suite.findall("testcase[system-out='=1+1\n']")) == 3


def test_S03_no_command_of_a_build_server_in_a_log(web):
    """
    S03: where stdout is no terminal no host can speak to the build server that reads it.
    """
    line = "echo '::add-path::/tmp'; echo '##vso[task.complete]' >&2"
    for format_ in ("stream", "gather", "oneline", "table", "csv"):
        done = fleetctl("run", *web, "web*", "--format", format_, "--", line)
        for shown in (done.out + done.err).splitlines():
            assert not shown.lstrip().startswith("::")
            assert "##vso[" not in shown


def test_long_run_shows_its_slowest_hosts_with_their_last_lines(web):
    """
    After two seconds a terminal shows what each host wrote last; nothing of it is left at the end.
    """
    line = "case $HOME in *web02*) echo step one; printf 'step \\033[31mtwo'; sleep 6;; esac; echo"
    with on_terminal("run", *web, "web*", "--", line) as screen:
        screen.read_until("step \\x1b[31mtwo")
        screen.read_until("2/3 done, 1 running")
        ended = screen.wait()
    assert ended.code == 0
    results = ended.out[ended.out.rindex("\x1b[K") :]
    assert "running" not in results
    assert "web02" in results
    assert "3 hosts " in results


def test_no_progress_and_dumb_terminals_show_none(web):
    """
    `--no-progress` and TERM=dumb: only results and the summary.
    """
    line = "sleep 1; echo done"
    for words, env in ((("--no-progress",), {}), ((), {"TERM": "dumb"})):
        with on_terminal("run", *web, "web01", *words, "--", line, env=env) as screen:
            ended = screen.wait()
        assert ended.code == 0
        assert "running" not in ended.out
        assert "\x1b[K" not in ended.out


def test_S01_terminal_sees_no_control_of_a_host(web):
    """
    S01: in every format for people, on a terminal, only our own colours and no controls of a host.
    """
    line = r"printf 'a\033]0;title\007b\233c\342\200\256d\rweb9: e\n'"
    for format_ in ("gather", "stream", "oneline", "table"):
        words = ("--format", format_, "--no-progress", "--color", "never")
        with on_terminal("run", *web, "web01", *words, "--", line) as screen:
            ended = screen.wait()
        assert "a\\x1b]0;title\\x07b\\x9bc\\u202ed\\rweb9: e" in ended.out, format_
        assert all(c.isprintable() or c == "\n" for c in ended.out)
