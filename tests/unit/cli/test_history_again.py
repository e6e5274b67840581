"""
`fleetctl history rerun` and `resume`: which hosts, in which folder, with which inventory.
"""

from __future__ import annotations

import io

import pytest

from fleetctl.wiring.inputs import file_input
from tests.unit.cli.fakes import FakeEngine, failure, fleetctl, ok
from tests.unit.cli.recorded import MIXED, STARTED, WAITING, record, run_id

CUT_SHORT = {"web1": ok(), "web2": STARTED, "web3": WAITING, "web4": WAITING}


def again(*words, engine=None):
    """Give a command line of `history`; return its exit code and the hosts it was done on."""
    engine = engine or FakeEngine()
    code = fleetctl("history", *words, engine=engine)
    return code, [each.host.name for run in engine.runs for each in run.assignments]


def test_rerun_does_the_same_on_the_same_hosts(capsys):
    """
    The same operation, all hosts of the run, and a word of which run that was.
    """
    record(MIXED)
    engine = FakeEngine()
    assert again("rerun", engine=engine) == (0, ["web1", "web2", "web3", "web4"])
    assert engine.operations["web1"].line == "uptime"
    assert f"fleetctl: again on web[1-4] (4): run {run_id()} (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("failed", ["web2"]),
        ("failed,unreachable", ["web2", "web3"]),
        ("unreachable, failed", ["web2", "web3"]),
        ("class1", ["web1"]),
        ("ok", ["web1", "web4"]),
    ],
)
def test_rerun_of_some_hosts(only, names):
    """
    `--only` names groups of hosts, in the order of the run.
    """
    record(MIXED)
    assert again("rerun", "last", "--only", only) == (0, names)


def test_skipped_is_whatever_did_not_happen():
    """
    For `--only`, cancelled hosts and those that were never started were skipped too.
    """
    record({"web1": ok(), "web2": failure("run.cancelled"), "web3": WAITING}, ends=False)
    assert again("rerun", "last", "--only", "skipped") == (0, ["web2", "web3"])
    assert again("rerun", "last", "--only", "unknown") == (0, [])


def test_F73_resume_does_what_was_never_started(capsys):
    """
    F73: a host with a result is left alone, and one on which it may have run needs a word more.
    """
    record(CUT_SHORT, ends=False)
    assert again("resume", "last") == (1, ["web3", "web4"])
    err = capsys.readouterr().err
    assert f"fleetctl: the rest on web[3-4] (2): run {run_id()} (" in err
    assert "fleetctl: left out, because it may have run there: web2\n" in err
    assert f"fleetctl history resume {run_id()} --include-unknown" in err


def test_F73_resume_with_the_unknown(capsys):
    """
    F73: whoever asks for it gets them too, in the order of the run.
    """
    record(CUT_SHORT, ends=False)
    assert again("resume", "last", "--include-unknown") == (0, ["web2", "web3", "web4"])
    assert "left out" not in capsys.readouterr().err


def test_resume_after_an_interruption(capsys):
    """
    Hosts that were cancelled before they started are the rest of a run that has an end.
    """
    record({"web1": ok(), "web2": failure("run.cancelled")})
    assert again("resume", "last") == (0, ["web2"])
    record({"web1": ok()}, number=2)
    assert again("resume", "last") == (0, [])
    assert f"nothing is left of run {run_id(2)}: 1 host is done" in capsys.readouterr().err


def test_what_a_resumed_run_did_is_not_done_again():
    """
    However often a run is resumed, and whichever of the runs is named, no host is done twice.
    """
    record(CUT_SHORT, ends=False)
    policy = {"resume_of": run_id(1)}
    record({"web3": ok(), "web4": WAITING}, number=2, policy=policy, ends=False)
    assert again("resume", run_id(1)) == (1, ["web4"])
    record({"web4": ok()}, number=3, policy={"resume_of": run_id(2)})
    assert again("resume", run_id(1)) == (1, [])
    assert again("resume", run_id(1), "--include-unknown") == (0, ["web2"])
    assert again("resume", run_id(2)) == (0, [])


def test_what_a_resumed_run_started_is_unknown_for_both():
    """
    A host that was waiting in the first run, and started in the second, may have run.
    """
    record(CUT_SHORT, ends=False)
    record({"web3": STARTED}, number=2, policy={"resume_of": run_id(1)}, ends=False)
    assert again("resume", run_id(1)) == (1, ["web4"])


def test_F89_a_changed_inventory_is_noticed(tmp_path, capsys):
    """
    F89: nobody is contacted with another inventory than that of the run unless --yes says so.
    """
    path = tmp_path / "hosts.yml"
    path.write_text("all: {hosts: {web1: , web2: }}\n")
    record({"web1": ok(), "web2": WAITING}, sources=(str(path),), ends=False)
    assert again("resume", "last") == (0, ["web2"])
    record({"web1": ok(), "web2": WAITING}, number=2, sources=(str(path),), ends=False)
    path.write_text("all: {hosts: {web1: , web2: {ansible_host: 10.0.0.9}}}\n")
    capsys.readouterr()
    assert again("resume", run_id(2)) == (2, [])
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"fleetctl: the inventory is not what it was in run {run_id(2)}: {path} has changed",
        "hint: look at what is different, then add --yes",
    ]
    assert again("resume", run_id(2), "--yes") == (0, ["web2"])
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("x: 1\n")
    assert again("rerun", "last") == (2, [])
    assert f"{tmp_path}/group_vars is new" in capsys.readouterr().err


def test_F89_a_changed_script_is_noticed(tmp_path, monkeypatch, capsys):
    """
    F89: the same for the file that is run; one that is gone cannot be run at all.
    """
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "job.sh"
    path.write_text("#!/bin/sh\nuptime\n")
    argv = ("fleetctl", "script", "-i", "web1,", "all", "job.sh")
    found = file_input("script", "job.sh")
    record({"web1": ok()}, argv=argv, pattern="all", sources=("web1,",), inputs=[found])
    assert again("rerun") == (0, ["web1"])
    path.write_text("#!/bin/sh\nreboot\n")
    assert again("rerun") == (2, [])
    assert "what it runs is not what it was" in capsys.readouterr().err
    assert again("rerun", "--yes") == (0, ["web1"])


def test_paths_count_from_the_folder_of_the_run(tmp_path, monkeypatch, capsys):
    """
    It is done where the command line was given; a folder that is gone is told.
    """
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    monkeypatch.chdir(there)
    (there / "hosts").write_text("web1\n")
    record({"web1": ok()}, sources=("hosts",), pattern="all")
    monkeypatch.chdir(here)
    assert again("rerun") == (0, ["web1"])
    assert f"fleetctl: in {there}\n" in capsys.readouterr().err
    monkeypatch.chdir(here)
    there.rename(tmp_path / "gone")
    assert again("rerun") == (2, [])
    assert f"the run was started in {there}, which cannot be used" in capsys.readouterr().err


def test_hosts_are_named_one_by_one(tmp_path):
    """
    A folded name may count in a group: the run is done on its own hosts, not on those counted.
    """
    path = tmp_path / "hosts"
    path.write_text("[web]\nweb0\nweb1\nweb2\nweb3\n")
    record({"web1": ok(), "web2": ok()}, sources=(str(path),), pattern="web[1,2]")
    assert again("rerun") == (0, ["web1", "web2"])


def test_a_host_that_left_the_inventory_is_told(tmp_path, capsys):
    """
    Nobody is left out silently.
    """
    path = tmp_path / "hosts"
    path.write_text("web1\nweb2\n")
    record({"web1": ok(), "web2": ok()}, sources=(str(path),), pattern="all")
    path.write_text("web1\n")
    assert again("rerun", "--yes") == (2, [])
    assert 'no host, group or pattern "web2"' in capsys.readouterr().err


def test_standard_input_is_not_recorded(capsys, monkeypatch):
    """
    Whoever does a run again that read standard input is warned.
    """
    argv = ("fleetctl", "run", "-i", "web1,", "all", "--stdin", "-", "--", "cat")
    record({"web1": ok()}, argv=argv, pattern="all", sources=("web1,",))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"input\n")))
    engine = FakeEngine()
    assert again("rerun", engine=engine) == (0, ["web1"])
    assert engine.operations["web1"].stdin == b"input\n"
    assert "standard input is not recorded; it is read again" in capsys.readouterr().err
