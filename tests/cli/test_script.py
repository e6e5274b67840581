"""
`fleetctl script` and the conditions of `run` on real hosts.
"""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import fleetctl

pytestmark = pytest.mark.fleet


@pytest.fixture
def web(fleet):
    """Three ordinary hosts, as an inventory."""
    return ("-i", str(fleet.inventory(fleet.hosts(3))))


def test_a_script_runs_everywhere_and_leaves_nothing(web, tmp_path):
    """
    With its arguments, and an interpreter of its own.
    """
    file = tmp_path / "report.py"
    file.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], sorted(os.listdir())]))\n"
    )
    before = fleetctl("run", *web, "web*", "--format", "json", "--", "ls -A").results()
    done = fleetctl("script", *web, "web*", str(file), "--format", "json", "--", "a b!", "")
    assert done.code == 0
    for name, result in done.results().items():
        there = sorted(before[name]["stdout"].split())
        assert json.loads(result["stdout"]) == [["a b!", ""], there]


def test_a_script_from_a_pipe(web):
    """
    What another command writes is run everywhere.
    """
    done = fleetctl("script", *web, "web*", "-", stdin=b"echo from $0\nexit 3\n")
    assert done.code == 1
    assert sorted(done.out.splitlines()) == [f"web0{n}: from stdin" for n in (1, 2, 3)]
    assert "exec.nonzero  web[01-03] (3): exit status 3" in done.err


def test_input_of_a_script(web, tmp_path):
    """
    --stdin is what it reads, to the byte.
    """
    file = tmp_path / "sum.sh"
    file.write_text("read -r first; echo $first; cksum\n")
    (tmp_path / "data").write_bytes(b"first\n" + bytes(range(256)) * 1000)
    words = (str(file), "--stdin", str(tmp_path / "data"), "--format", "json")
    result = fleetctl("script", *web, "web01", *words).results()["web01"]
    assert result["stdout"].startswith("first\n")
    assert result["stdout"].split()[-1] == "256000"


def test_conditions_of_a_command(web):
    """
    --env, --cwd, --umask and --nice, for a line of the login shell and for words.
    """
    conditions = ("--env", "A=it's !", "--cwd", "/usr", "--umask", "027", "--nice", "5")
    line = 'echo "$A|$(pwd)|$(umask)|$(nice)"'
    for words in ((line,), ("sh", "-c", line)):
        done = fleetctl("run", *web, "web01", *conditions, "--format", "json", "--", *words)
        assert done.results()["web01"]["stdout"] == "it's !|/usr|0027|5\n"


def test_a_folder_that_is_not_there(web):
    """
    One line for all hosts alike, and the command has no status.
    """
    done = fleetctl("run", *web, "web*", "--cwd", "/nope", "--", "echo", "x")
    assert (done.code, done.out) == (1, "")
    said = "the command was not started: there is no folder /nope on the host"
    assert f"  exec.refused  web[01-03] (3): {said}\n" in done.err
    done = fleetctl("run", *web, "web01", "--cwd", "/nope", "--format", "json", "--", "x")
    assert done.results()["web01"]["exit_status"] is None


def test_variables_that_the_server_does_not_take_are_said(web):
    """
    Once for all hosts, with what to do; --env does it.
    """
    words = ("run", *web, "web*", "-o", "SendEnv=FLEET_?", "--", "echo")
    done = fleetctl(*words, env={"FLEET_X": "1"})
    assert "not set on web[01-03] (3): FLEET_X; see AcceptEnv there, or use --env\n" in done.err
    words = ("run", *web, "web01", "-o", "SetEnv=FLEET_Y=2", "--format", "json", "--", "echo")
    done = fleetctl(*words)
    assert json.loads(done.out)["hosts"][0]["refused_env"] == ["FLEET_Y"]
    done = fleetctl("run", *web, "web01", "--env", "FLEET_Y=2", "--", 'echo "$FLEET_Y"')
    assert done.out == "web01: 2\n"
    assert "not set" not in done.err
