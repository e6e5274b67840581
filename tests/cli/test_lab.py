"""
`fleetctl lab` and `fleetctl demo`, from the first command to the last process gone.
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from fleetctl.cli.demo import Stop
from fleetctl.cli.main import main
from fleetctl.lab.processes import owned, process_table
from tests.cli.shell import LIMIT_S, fleetctl, on_terminal, started

pytestmark = pytest.mark.fleet


def state():
    return Path(os.environ["FLEETCTL_STATE"])


@pytest.fixture(autouse=True)
def _own_temporary_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture
def lab():
    """Stop the lab of the test, whatever happens to it."""
    yield
    assert fleetctl("lab", "stop").code == 0


@pytest.mark.parametrize(("options", "engine"), [((), "sshd"), (("--embedded",), "embedded")])
def test_a_lab_from_start_to_stop(lab, options, engine):
    """
    Start says what to type, and that works; without -i the lab is used; stop removes all.
    """
    begun = fleetctl("lab", "start", "--hosts", "3", *options)
    assert begun.code == 0, begun.err
    assert f"web[01-03] (3) started: {engine}" in begun.out
    (ping,) = [line for line in begun.out.splitlines() if "fleetctl ping" in line]
    assert fleetctl(*ping.split()[1:]).code == 0

    seen = fleetctl("lab", "status")
    assert (seen.code, f"{engine}" in seen.out, "3 running" in seen.out) == (0, True, True)

    done = fleetctl("run", "web*", "--format", "json", "--", "echo hi")
    assert {result["stdout"] for result in done.results().values()} == {"hi\n"}
    assert len(done.results()) == 3
    inventory = state() / "lab" / "inventory.yml"
    assert f"fleetctl: no inventory given: using the lab's, {inventory}\n" in done.err

    ended = fleetctl("lab", "stop")
    assert (ended.code, ended.out) == (0, "web[01-03] (3) stopped and removed\n")
    assert not inventory.parent.exists()
    assert not owned(process_table(), inventory.parent)


def test_a_second_lab_is_refused(lab):
    """
    One lab at a time; the error says how to end it.
    """
    assert fleetctl("lab", "start", "--hosts", "1").code == 0
    again = fleetctl("lab", "start", "--hosts", "1")
    assert again.code == 2
    assert "fleetctl lab stop" in again.err


def test_without_a_lab():
    """
    Status says so with exit 3; stopping what is not there is no error.
    """
    seen = fleetctl("lab", "status")
    assert (seen.code, seen.out) == (3, "no lab is there; start one: fleetctl lab start\n")
    ended = fleetctl("lab", "stop")
    assert (ended.code, ended.out) == (0, "no lab is there\n")


def test_a_lab_with_a_dead_host(lab):
    """
    A daemon that is gone is named, exit 4.
    """
    assert fleetctl("lab", "start", "--hosts", "2").code == 0
    state_file = json.loads((state() / "lab" / "lab.json").read_text())
    os.kill(state_file["hosts"][1]["pid"], signal.SIGKILL)
    seen = fleetctl("lab", "status")
    assert seen.code == 4
    assert "not running: web02" in seen.err


def test_the_demo_shows_everything_and_leaves_nothing(tmp_path):
    """
    It ends with 0, shows each command with its real output, and the lab is gone.
    """
    done = fleetctl("demo")
    assert done.code == 0, done.err
    for line in (
        "$ fleetctl hosts 'web*' --fold\nweb[01-10]\n",
        "web[03,07] (2) [class 2]\n",
        "web05: exit status 1 [class 2]\n",
        '... "counts":{"ok":10}, ...\n',
    ):
        assert line in done.out
    assert "rerun the failed: fleetctl run web05" in done.err
    assert list(tmp_path.iterdir()) == []
    assert not state().exists()


def test_the_demo_on_a_terminal():
    """
    Where colour and progress are on, it passes as well.
    """
    with on_terminal("demo") as screen:
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert "\x1b[32mok" in ended.out
    with on_terminal("demo", env={"NO_COLOR": "1"}) as screen:
        shown = screen.wait().out
    assert re.search(r"\x1b\[[0-9;]*m", shown) is None


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupted_demo_leaves_nothing(tmp_path, number, code):
    """
    Whenever it is interrupted, the lab is ended and its files are removed.
    """
    for _ in range(20):
        with started("demo") as child:
            assert child.stdout is not None
            for line in child.stdout:
                if b"fleetctl ping" in line:
                    break
            directories = list(tmp_path.iterdir())
            child.send_signal(number)
            child.communicate(timeout=LIMIT_S)
        assert list(tmp_path.iterdir()) == []
        assert not any(owned(process_table(), directory) for directory in directories)
        # Where this process had to wait too long, the demo was over before the signal came.
        if child.returncode != 0:
            break
    assert child.returncode == code


def test_a_demo_that_does_not_behave_fails(tmp_path, monkeypatch, capsys):
    """
    A wrong exit code or other output than expected ends the demo with 1; the lab is removed.
    """
    words = ("hosts", "web*", "--count")
    for stop, said in (
        (Stop("count", words, 0, lambda out: out == "11\n"), "not the output that was expected"),
        (Stop("count", words, 3, lambda _: True), "the exit code was 0, it should have been 3"),
    ):
        monkeypatch.setattr("fleetctl.cli.demo.TOUR", (stop,))
        assert main(("demo",)) == 1
        out, err = capsys.readouterr()
        assert "\n10\n" in out
        assert said in err
        assert list(tmp_path.iterdir()) == []
