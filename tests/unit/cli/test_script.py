"""
`fleetctl script`: from a file and words to a run.
"""

from __future__ import annotations

import io
import sys

import pytest

from fleetctl.commands.conditions import Conditions
from fleetctl.commands.script import Script
from tests.unit.cli.fakes import FakeEngine, fleetctl

HOSTS = ("-i", "web[1-3],")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "set up.sh"
    path.write_bytes(b"#!/bin/sh\necho hi\n")
    return path


def script(*words, engine=None):
    return fleetctl("script", *HOSTS, *words, engine=engine or FakeEngine())


def operation(*words):
    """Type a command line and return the operation of its first host."""
    engine = FakeEngine()
    assert script(*words, engine=engine) == 0
    return engine.operations["web1"]


def test_a_script_goes_to_every_host_of_the_pattern(file):
    """
    Its text, and the name it had.
    """
    engine = FakeEngine()
    assert script("web[2-3]", str(file), engine=engine) == 0
    made = Script("set up.sh", b"#!/bin/sh\necho hi\n")
    assert engine.operations == {"web2": made, "web3": made}


def test_words_behind_the_dashes_are_the_scripts(file):
    """
    Options that we have as well, further dashes, and empty words.
    """
    words = ("all", str(file), "--", "--format", "json", "", "--", "a b")
    assert operation(*words).arguments == ("--format", "json", "", "--", "a b")


def test_it_takes_the_options_of_run(file, tmp_path):
    """
    Each does the same.
    """
    (tmp_path / "input").write_bytes(b"\x00lines\n")
    made = operation(
        *("all", str(file), "--stdin", str(tmp_path / "input"), "--env", "A=1", "--cwd", "/srv"),
        *("--umask", "22", "--nice", "4", "--timeout", "2m", "--max-output", "1K", "--pty"),
    )
    assert made == Script(
        "set up.sh",
        b"#!/bin/sh\necho hi\n",
        stdin=b"\x00lines\n",
        conditions=Conditions({"A": "1"}, "/srv", 0o022, 4),
        timeout_s=120.0,
        max_output_bytes=1024,
        pty=True,
    )


def test_a_script_can_come_from_standard_input(monkeypatch):
    """
    ``-`` as everywhere; it has no file whose name it could see.
    """
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"echo \xff\n")))
    assert operation("all", "-") == Script("stdin", b"echo \xff\n")


def test_standard_input_is_not_read_twice(capsys):
    """
    It is the script or what the script reads.
    """
    assert script("all", "-", "--stdin", "-") == 2
    assert "--stdin: standard input cannot be the script and" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_an_error_before_anybody_is_contacted(tmp_path, capsys):
    """
    With the right command if it looks like a command line.
    """
    engine = FakeEngine()
    assert script("all", str(tmp_path / "nope"), engine=engine) == 2
    assert capsys.readouterr().err == f"fleetctl: there is no such file: {tmp_path}/nope\n"
    assert script("all", "ls -l", engine=engine) == 2
    assert capsys.readouterr().err.endswith("fleetctl run PATTERN -- 'ls -l'\n")
    assert script("all", str(tmp_path), engine=engine) == 2
    assert "Is a directory" in capsys.readouterr().err
    assert engine.runs == []


def test_a_file_that_is_no_script_is_named_with_the_line(file, capsys):
    """
    And what to do about it.
    """
    file.write_bytes(b"#!/bin/sh\r\necho\r\n")
    engine = FakeEngine()
    assert script("all", str(file), engine=engine) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"fleetctl: {file}:1: the script has the line ends of Windows (CRLF)")
    assert "hint: sed -i" in err
    assert engine.runs == []


def test_list_hosts_contacts_nobody(file, capsys):
    """
    The file is read all the same: a mistake in it is one.
    """
    engine = FakeEngine()
    assert script("web*", str(file), "--list-hosts", engine=engine) == 0
    assert capsys.readouterr().out == "web[1-3] (3)\n"
    assert engine.runs == []
