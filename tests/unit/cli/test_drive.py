"""
What interrupts a run: signals, and a reader of stdout who leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import pytest

from fleetctl.cli.drive import Drive
from fleetctl.cli.interruption import Interruption, Stage
from fleetctl.commands.ping import Ping
from fleetctl.model.events import HostFinished, Notice, RunFinished
from fleetctl.model.host import Host
from fleetctl.model.nodeset import fold
from fleetctl.model.run import Assignment, Run
from fleetctl.ssh.loop import run_loop
from tests.unit.cli.fakes import FakeEngine, fleetctl

RUN = Run("id", "label", [Assignment(Host(f"web{n}"), Ping()) for n in (1, 2, 3)])


class RecordingScreen:
    """Remembers the events; the reader may leave after some of them."""

    def __init__(self, *, leaves_after=None):
        self.events = []
        self.closed = 0
        self._leaves_after = leaves_after

    @property
    def is_closed(self):
        return self._leaves_after is not None and len(self.events) > self._leaves_after

    def handle(self, event):
        self.events.append(event)

    def tick(self):
        pass

    def close(self):
        self.closed += 1

    def exit_code(self):
        return 42

    def of_kind(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def drive(engine, screen, *, loop="asyncio"):
    return run_loop(lambda: Drive(engine, screen, fold=fold).execute(RUN), choice=loop)


def kill_at(name, *numbers):
    """Return a hook that sends signals to this process while the host is running."""

    async def hook(host):
        if host == name:
            for number in numbers:
                os.kill(os.getpid(), number)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    return hook


def test_an_undisturbed_run_ends_with_what_the_results_ask_for():
    """
    All events reach the screen, it is closed once, and its exit code is returned.
    """
    engine, screen = FakeEngine(), RecordingScreen()
    assert drive(engine, screen) == 42
    assert len(screen.of_kind(HostFinished)) == 3
    assert screen.events[-1].interrupted_by is None
    assert screen.closed == 1
    assert engine.asked == []


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("numbers", "asked", "name"),
    [
        ((signal.SIGINT,), ["stop"], "INT"),
        ((signal.SIGINT, signal.SIGINT), ["stop", "cancel"], "INT"),
        ((signal.SIGTERM,), ["cancel"], "TERM"),
        ((signal.SIGHUP,), ["cancel"], "HUP"),
        ((signal.SIGINT, signal.SIGTERM), ["stop", "cancel"], "TERM"),
        ((signal.SIGTERM, signal.SIGTERM, signal.SIGHUP), ["cancel"], "TERM"),
    ],
)
def test_signals_stop_and_then_end_the_run(numbers, asked, name, loop):
    """
    First Ctrl-C starts nothing new, the second, SIGTERM or SIGHUP ends what runs (F74).
    """
    engine, screen = FakeEngine(before_each=kill_at("web2", *numbers)), RecordingScreen()
    drive(engine, screen, loop=loop)
    assert engine.asked == asked
    (finished,) = screen.of_kind(RunFinished)
    assert finished.interrupted_by == name
    assert len(screen.of_kind(HostFinished)) == 3


def test_an_interruption_says_who_is_still_running():
    """
    The notice names the hosts in flight, folded, and what the next Ctrl-C does (F74).
    """
    screen = RecordingScreen()
    drive(FakeEngine(before_each=kill_at("web2", signal.SIGINT, signal.SIGINT)), screen)
    stopping, ending = screen.of_kind(Notice)
    assert stopping.kind == "run.stopping"
    assert stopping.message.endswith("still running: web2 (1)")
    assert stopping.hint == "Ctrl-C again ends them"
    assert (ending.kind, ending.message) == ("run.ending", "ending what still runs: web2 (1)")


def test_signal_handlers_are_given_back():
    """
    After the run Ctrl-C means what it meant before.
    """
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    drive(FakeEngine(), RecordingScreen())
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


def test_ignored_signals_stay_ignored():
    """
    Under nohup SIGHUP is ignored before fleetctl starts; the run goes on.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        engine, screen = FakeEngine(before_each=kill_at("web2", signal.SIGHUP)), RecordingScreen()
        assert drive(engine, screen) == 42
        assert engine.asked == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_third_interrupt_leaves_at_once(capfd):
    """
    It says who may still run, on the descriptor itself, and ends the process with 130 (F74).
    """
    left: list[int] = []
    interruption = Interruption(
        on_stage=lambda _: None,
        last_words=lambda: "may still run: web2\n",
        leave=left.append,
    )

    def call_soon(*_):
        pass

    for _ in range(2):
        interruption.receive("INT", call_soon)
    assert left == []
    assert interruption.stage is Stage.ENDING
    interruption.receive("TERM", call_soon)
    assert left == []
    interruption.receive("INT", call_soon)
    assert left == [130]
    assert capfd.readouterr().err == "may still run: web2\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_exit_code_of_an_interrupted_run(number, code, capsys):
    """
    130, 143 and 129 after the summary; hosts that were not started are cancelled.
    """
    engine = FakeEngine(before_each=kill_at("web1", number))
    assert fleetctl("run", "-i", "web[1-3],", "all", "--", "x", engine=engine) == code
    err = capsys.readouterr().err
    assert "run.cancelled" in err
    assert "2 cancelled" in err


def test_a_reader_who_leaves_stops_the_run_but_not_what_runs():
    """
    With stdout closed nothing new is started, running hosts finish, and the exit is 141 (F54).
    """
    engine, screen = FakeEngine(), RecordingScreen(leaves_after=2)
    assert drive(engine, screen) == 141
    assert engine.asked == ["stop"]
    assert len(screen.of_kind(HostFinished)) == 3
    assert screen.of_kind(RunFinished)[0].interrupted_by is None


class SlowWriting:
    """
    Output that has room when a test says so.

    Attributes:
        open: Set while there is room.
        lost: What is given up.
    """

    def __init__(self, *, lost=0):
        self.open = asyncio.Event()
        self.lost = lost
        self.waited = 0

    @property
    def has_room(self):
        return self.open.is_set()

    async def room(self):
        self.waited += 1
        await self.open.wait()

    async def drained(self):
        await self.open.wait()

    def give_up(self):
        return self.lost

    def watched(self):
        return contextlib.nullcontext()


def drive_into(engine, screen, writing, meanwhile):
    """Drive a run whose output is slow; return the exit code."""

    async def main():
        run = asyncio.ensure_future(Drive(engine, screen, fold=fold, writing=writing).execute(RUN))
        await meanwhile()
        return await run

    return run_loop(main, choice="asyncio")


async def settled():
    for _ in range(50):
        await asyncio.sleep(0)


def test_F53_no_event_is_taken_while_there_is_no_room():
    """
    F53: the engine is asked for the next event when the output has gone, and not before.
    """
    screen, writing = RecordingScreen(), SlowWriting()

    async def meanwhile():
        await settled()
        assert len(screen.events) == 1
        writing.open.set()

    assert drive_into(FakeEngine(), screen, writing, meanwhile) == 42
    assert len(screen.of_kind(HostFinished)) == 3
    assert writing.waited == 1


def test_F74_a_run_that_is_to_end_waits_for_no_reader(monkeypatch):
    """
    F74: after SIGTERM the rest is shown, its writing given up after a while, and that is said.
    """
    monkeypatch.setattr("fleetctl.cli.drive.LAST_WRITE_S", 0.01)
    screen, writing = RecordingScreen(), SlowWriting(lost=77)

    async def meanwhile():
        await settled()
        os.kill(os.getpid(), signal.SIGTERM)

    engine = FakeEngine()
    assert drive_into(engine, screen, writing, meanwhile) == 42
    assert engine.asked == ["cancel"]
    assert screen.of_kind(RunFinished)[0].interrupted_by == "TERM"
    assert len(screen.of_kind(HostFinished)) == 3
    assert "77 bytes were not written" in screen.of_kind(Notice)[-1].message


def test_interrupt_while_the_rest_is_written():
    """
    After the run the first Ctrl-C says what is waited for; the output still goes out.
    """
    writing = SlowWriting()

    class Filling(RecordingScreen):
        def close(self):
            super().close()
            writing.open.clear()

    screen = Filling()

    async def meanwhile():
        writing.open.set()
        await settled()
        assert screen.closed
        os.kill(os.getpid(), signal.SIGINT)
        await settled()
        writing.open.set()

    assert drive_into(FakeEngine(), screen, writing, meanwhile) == 42
    (notice,) = screen.of_kind(Notice)
    assert notice.kind == "run.writing"


def test_stdout_closed_during_a_run(monkeypatch, capsys):
    """
    The whole command ends with 141 and without a word about pipes (F54).
    """

    class Gone:
        encoding = "utf-8"

        def write(self, _):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

        def isatty(self):
            return False

        def fileno(self):
            raise OSError

    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("fleetctl.cli.main._let_go_of_stdout", lambda: None)
    engine = FakeEngine()
    words = ("run", "-i", "web[1-3],", "all", "--format", "stream", "--", "x")
    assert fleetctl(*words, engine=engine) == 141
    assert "pipe" not in capsys.readouterr().err.lower()


def test_a_full_disk_is_exit_6(monkeypatch, capsys):
    """
    Results that cannot be written are told, the run goes on, and the exit code says incomplete.
    """

    class Full:
        encoding = "utf-8"

        def write(self, _):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        def isatty(self):
            return False

    monkeypatch.setattr(sys, "stdout", Full())
    engine = FakeEngine()
    words = ("run", "-i", "web[1-3],", "all", "--format", "stream", "--", "x")
    assert fleetctl(*words, engine=engine) == 6
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert "3 hosts ok" in err
