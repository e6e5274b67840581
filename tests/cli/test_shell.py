"""
`fleetctl shell --script`: the login shell of hosts, fed with lines.
"""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import fleetctl

NOWHERE = ("-i", "127.0.0.1:1,", "all")


@pytest.fixture
def two(fleet):
    """The words that name two hosts."""
    return "-i", str(fleet.inventory(fleet.hosts(2))), "all"


@pytest.mark.parametrize("way", [(), ("--pty",), ("--wait-prompt",), ("--prompt-regex", "[$#]")])
def test_every_host_gets_the_lines(two, way, tmp_path):
    """
    Each host's shell says how it ended; the exit code is 1, or the hosts' own if asked for.
    """
    script = tmp_path / "lines"
    script.write_text("ls /; exit 3\n")
    words = ("shell", *two, "--script", str(script), *way, "--format", "json")
    done = fleetctl(*words)
    assert done.code == 1
    results = done.results()
    assert {name: each["exit_status"] for name, each in results.items()} == {"web01": 3, "web02": 3}
    assert all("etc" in each["stdout"] for each in results.values())
    assert fleetctl(*words, "--exit-status", "remote").code == 3


def test_lines_may_come_from_standard_input(two):
    """
    As from a file; output is shown as for any command.
    """
    done = fleetctl("shell", *two, "--script", "-", "--format", "gather", stdin=b"echo same\n")
    assert done.code == 0
    assert "web[01-02] (2)" in done.out
    assert "same" in done.out


def test_what_is_known_beyond_the_shell_is_told(two):
    """
    The status of the last command, and where the transcript is.
    """
    words = ("--wait-prompt", "--script", "-", "--format", "json")
    (result, _) = fleetctl("shell", *two, *words, stdin=b"(exit 4)\nexit 5\n").results().values()
    assert result["exit_status"] == 5
    assert result["data"] == {"last_exit_status": 4}


def test_transcripts(two, tmp_path):
    """
    One per host, as asciinema plays them.
    """
    words = ("--script", "-", "--record", str(tmp_path / "casts"))
    assert fleetctl("shell", *two, *words, stdin=b"echo hi\n").code == 0
    for name in ("web01", "web02"):
        lines = (tmp_path / "casts" / f"{name}.cast").read_text().splitlines()
        assert json.loads(lines[0])["title"] == f"stdin on {name}"
        assert json.loads(lines[-1])[1:] == ["x", "0"]


def test_this_machine_itself():
    """
    The login shell of whoever asks.
    """
    done = fleetctl("shell", "localhost", "--script", "-", stdin=b"echo here\nexit 4\n")
    assert done.code == 1
    assert "localhost: here\n" in done.out


# -- mistakes; nobody is contacted


def test_a_line_that_cannot_be_typed(tmp_path):
    """
    A terminal would cut it without a word, so it is an error with its line.
    """
    script = tmp_path / "lines"
    script.write_text("echo a\n" + "x" * 4095 + "\n" + "y" * 5000 + "\n")
    done = fleetctl("shell", *NOWHERE, "--script", str(script), "--pty")
    assert done.code == 2
    assert f"{script}:2: the line has 4095 bytes, and a terminal takes 4094 at most" in done.err
    assert f"{script}:3: the line has 5000 bytes" in done.err
    assert "without --pty" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "there is nothing for the shell to do"),
        (("--script", "no-such-file"), "there is no such file: no-such-file"),
        (("--script", "-"), "the script is empty"),
        (("--script", "-", "--expect", "a.yml"), "--script: it cannot be combined with --expect"),
        (("--expect", "a.yml", "--pty"), "--pty: it cannot be combined with --expect"),
        (("--script", "lines", "--prompt-regex", "("), "--prompt-regex: not a regular expression"),
        (("--script", "lines", "--prompt-regex", "a*"), "--prompt-regex: it matches nothing"),
        (("--script", "lines", "--env", "A"), "NAME=VALUE is expected"),
    ],
)
def test_mistakes(words, message, tmp_path, monkeypatch):
    """
    Each is said with what to do.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines").write_text("echo a\n")
    done = fleetctl("shell", *NOWHERE, *words)
    assert done.code == 2
    assert message in done.err
