"""
Runs are recorded as they go; a history that cannot be written costs no result.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3

from fleetctl.cli.drive import Drive
from fleetctl.model.events import HostFinished, RunFinished
from fleetctl.model.nodeset import fold
from fleetctl.ssh.loop import run_loop
from fleetctl.wiring.recorded import StoreError
from tests.unit.cli.fakes import FakeEngine, fleetctl, nonzero
from tests.unit.cli.test_drive import RUN, RecordingScreen

WORDS = ("run", "-i", "web[1-3],", "all")


def last(capsys):
    """Return what the history has of the last run."""
    capsys.readouterr()
    assert fleetctl("history", "show", "last", "--format", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_every_result_is_recorded(capsys):
    """
    What was shown is in the history: each host, the counts, and the exit code.
    """
    engine = FakeEngine({"web2": nonzero(3)})
    assert fleetctl(*WORDS, "--", "uptime", engine=engine) == 1
    found = last(capsys)
    assert {host["host"]: host["status"] for host in found["hosts"]} == {
        "web1": "ok",
        "web2": "failed",
        "web3": "ok",
    }
    assert found["run"]["exit_code"] == 1
    assert found["run"]["argv"] == ["fleetctl", *WORDS, "--", "uptime"]
    assert engine.given["journal"] is not None


def test_the_history_can_be_left_out(capsys, tmp_path):
    """
    With --no-history, or `history: no` in the user's settings, there is nothing.
    """
    assert fleetctl(*WORDS, "--no-history", "--", "uptime") == 0
    capsys.readouterr()
    assert fleetctl("history", "list") == 0
    assert capsys.readouterr().out == "no run is recorded\n"


def test_a_result_is_recorded_before_it_is_shown():
    """
    When a host's result is on the screen, the history has it already.
    """
    kept: list[object] = []

    class Watching(RecordingScreen):
        def handle(self, event):
            if isinstance(event, HostFinished):
                assert any(event is one for one in kept)
            super().handle(event)

    async def record(events):
        await asyncio.sleep(0)
        kept.extend(events)
        assert not set(map(id, events)) & set(map(id, screen.events))

    screen = Watching()
    run_loop(lambda: Drive(FakeEngine(), screen, fold=fold, record=record).execute(RUN))
    assert len([event for event in kept if isinstance(event, HostFinished)]) == 3
    assert [event for event in kept if isinstance(event, RunFinished)]


def test_F79_a_history_that_hangs_does_not_hold_up_an_interrupted_run(monkeypatch):
    """
    F79, F74: once the run was told to end, what the history does not take in time is shown.
    """
    monkeypatch.setattr("fleetctl.cli.drive.LAST_RECORD_S", 0.01)
    screen = RecordingScreen()
    drives: list[Drive] = []

    async def record(events):
        drives[0]._ending.set()
        await asyncio.Event().wait()

    async def main():
        drives.append(Drive(FakeEngine(), screen, fold=fold, record=record))
        return await drives[0].execute(RUN)

    assert run_loop(main) == 42
    assert len(screen.of_kind(HostFinished)) == 3


def test_F78_what_cannot_be_recorded_is_said_and_is_exit_6(capsys, tmp_path, monkeypatch):
    """
    F78: the run goes on without a history, its results come, and nothing is claimed stored.
    """
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    monkeypatch.setenv("FLEETCTL_STATE", str(state))
    assert fleetctl(*WORDS, "--", "first") == 0

    def full(*_arguments, **_options):
        raise StoreError("the disk is full")

    monkeypatch.setattr("fleetctl.store.writer.RunWriter.write", full)
    capsys.readouterr()
    assert fleetctl(*WORDS, "--format", "json", "--", "second") == 6
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)["hosts"]) == 3
    assert "disk is full" in shown.err


def test_F81_a_history_of_a_newer_version_is_exit_2_before_anybody_is_contacted(
    capsys, tmp_path, monkeypatch
):
    """
    F81: it is not written to, and no host is contacted.
    """
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    monkeypatch.setenv("FLEETCTL_STATE", str(state))
    assert fleetctl(*WORDS, "--", "first") == 0
    (database,) = state.glob("*.db")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = database.read_bytes()
    capsys.readouterr()
    engine = FakeEngine()
    assert fleetctl(*WORDS, "--", "second", engine=engine) == 2
    assert engine.runs == []
    assert "newer" in capsys.readouterr().err
    assert database.read_bytes() == before
