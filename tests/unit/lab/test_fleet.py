"""
What a lab's directory may be, and what is read from it; nothing is started here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleetctl.lab.fleet import lab_status, start_lab, stop_lab
from fleetctl.lab.layout import LabError

STATE = {
    "version": 1,
    "engine": "sshd (OpenSSH_9.2)",
    "hosts": [{"name": "web01", "address": "127.77.0.1", "port": 22022, "pid": 1}],
}


def write_state(directory: Path, text: str) -> None:
    directory.mkdir()
    (directory / "lab.json").write_text(text)


def test_directory_in_use_is_refused_and_untouched(tmp_path):
    """
    A lab is removed with all its directory, so it never starts in one that holds other files.
    """
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(LabError, match="in use: it is not a lab"):
        start_lab(tmp_path, hosts=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_in_place_of_the_directory_is_refused(tmp_path):
    """
    A file is an error like any other, not a traceback.
    """
    path = tmp_path / "lab"
    path.write_text("")
    with pytest.raises(LabError, match="in use"):
        start_lab(path, hosts=1)


def test_bad_count_leaves_nothing(tmp_path):
    """
    What is asked for is checked before the directory is made.
    """
    with pytest.raises(LabError, match="not 0"):
        start_lab(tmp_path / "lab", hosts=0)
    assert list(tmp_path.iterdir()) == []


def test_no_lab_is_none(tmp_path):
    """
    A directory without a lab, or none at all, has no status, and stopping it does nothing.
    """
    (tmp_path / "thesis.tex").write_text("mine")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "thesis.tex"):
        assert lab_status(path) is None
        assert stop_lab(path) is None
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_lab_of_another_boot_is_seen_as_ended(tmp_path):
    """
    A recorded pid that is somebody else's process now does not count as a running host.
    """
    directory = tmp_path / "lab"
    write_state(directory, json.dumps(STATE))
    status = lab_status(directory)
    assert status is not None
    assert [host.name for host in status.lab.hosts] == ["web01"]
    assert status.lab.hosts[0].pid == 1
    assert status.running == ()


def test_ended_lab_is_named_when_another_is_started(tmp_path):
    """
    The error says where the lab is, how much of it runs and how to stop it.
    """
    directory = tmp_path / "lab"
    write_state(directory, json.dumps(STATE))
    with pytest.raises(LabError) as caught:
        start_lab(directory, hosts=1)
    (problem,) = caught.value.problems
    assert str(directory) in problem.message
    assert "0 of 1 hosts are running" in problem.message
    assert "fleetctl lab stop" in str(problem.hint)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"engine": "x"}', '{"engine": 1, "hosts": 2}'])
def test_torn_state_can_still_be_stopped(tmp_path, text):
    """
    After a crash in the middle of writing the state, the directory is still a lab to remove.
    """
    directory = tmp_path / "lab"
    write_state(directory, text)
    status = stop_lab(directory)
    assert status is not None
    assert status.running == ()
    assert not directory.exists()
