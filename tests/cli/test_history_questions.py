"""
What `history` asks on a terminal before it goes on; without one it does not go on.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.shell import LIMIT_S, PROGRAM, fleetctl, on_terminal
from tests.unit.cli.fakes import ok
from tests.unit.cli.recorded import WAITING, record, run_id


@pytest.fixture
def cut_short(tmp_path, monkeypatch):
    """A run on this machine whose inventory has changed since; one host is waiting."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hosts"
    path.write_text("a ansible_connection=local\nb ansible_connection=local\n")
    path.chmod(0o600)
    argv = ("fleetctl", "run", "-i", "hosts", "all", "--", "echo done")
    record({"a": ok(), "b": WAITING}, argv=argv, pattern="all", sources=("hosts",), ends=False)
    path.write_text(path.read_text() + "c ansible_connection=local\n")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
def test_a_changed_inventory_needs_a_yes(cut_short, answer, code):
    """
    It is said what has changed; whatever is not yes means that nobody is contacted.
    """
    with on_terminal("history", "resume") as screen:
        screen.read_until("Go on? [y/N]: ")
        screen.type(f"{answer}\n")
        ended = screen.wait()
    assert ended.code == code, ended.out
    assert f"the inventory is not what it was in run {run_id()}: hosts has changed" in ended.out
    assert ("\n  done\n" in ended.out) == (code == 0)


def test_without_a_terminal_it_needs_an_option(cut_short):
    """
    A script says `--yes` beforehand; the host that has a result is left alone.
    """
    refused = fleetctl("history", "resume")
    assert (refused.code, refused.out) == (2, "")
    assert "hint: look at what is different, then add --yes" in refused.err
    agreed = fleetctl("history", "resume", "--yes")
    assert (agreed.code, agreed.out) == (0, "b: done\n")
    assert "warning: the inventory is not what it was" in agreed.err


def test_nothing_is_forgotten_unasked():
    """
    How many runs would go is in the question; `--yes`, or no terminal, is no question.
    """
    for number in (1, 2, 3):
        record({"a": ok()}, number=number)
    with on_terminal("history", "prune", "--keep", "1") as screen:
        screen.read_until(f"Forget 2 runs, {run_id(1)} to {run_id(2)}? [y/N]: ")
        screen.type("n\n")
        ended = screen.wait()
    assert ended.code == 2
    assert "not confirmed: nothing was forgotten" in ended.out
    assert fleetctl("history", "prune", "--keep", "1").out.startswith("forgotten: 2 runs, ")


def test_a_page_does_not_go_to_a_terminal():
    """
    Where it would be of no use to anybody; the hint says where to.
    """
    record({"a": ok()})
    with on_terminal("history", "show", "--format", "html") as screen:
        ended = screen.wait()
    assert ended.code == 2
    assert "a page is not for a terminal" in ended.out
    assert "hint: --output run.html" in ended.out


def test_F54_the_reader_leaves():
    """
    F54: `history show | head -1` is exit code 141, and no complaint.
    """
    record({f"a{n}": ok(b"%d\n" % n * 20_000) for n in range(40)})
    line = f"{' '.join(PROGRAM)} history show; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({line}) | head -1"],
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert done.stdout.decode().startswith(run_id())
    assert done.stderr.decode() == "141\n"
