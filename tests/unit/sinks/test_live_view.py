"""
What is on a terminal while the live view and results are written to it in turn.
"""

from __future__ import annotations

import io
import re

from hypothesis import given
from hypothesis import strategies as st

from fleetctl.model.events import Event, HostFinished, HostStarted, RunStarted
from fleetctl.model.host import Host
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.progress import ProgressSink
from fleetctl.sinks.stream import StreamSink
from tests.unit.sinks import samples

COLUMNS = 40
NAMES = [f"web{number}" for number in range(6)]

_TOKEN = re.compile(r"\x1b\[K|\x1b\[1A|\r|\n|[^\x1b\r\n]+")


class Emulator:
    """
    As much of a terminal as the view uses: lines, carriage return, erase to the end, up.

    Anything else fails, and so does a line that is written over.
    """

    def __init__(self, lines: int) -> None:
        self.rows = [""]
        self._lines = lines
        self._row = 0
        self._column = 0

    def write(self, text: str) -> None:
        assert _TOKEN.sub("", text) == "", "an escape that is not known"
        for token in _TOKEN.findall(text):
            if token == "\r":
                self._column = 0
            elif token == "\n":
                self._row += 1
                self._column = 0  # the driver of a terminal adds the carriage return
                if self._row == len(self.rows):
                    self.rows.append("")
            elif token == "\x1b[K":
                self.rows[self._row] = self.rows[self._row][: self._column]
            elif token == "\x1b[1A":
                self._row -= 1
                assert self._row >= max(0, len(self.rows) - self._lines), "it left the screen"
            else:
                row = self.rows[self._row]
                assert self._column == len(row), "something is written over"
                self.rows[self._row] = row + token
                self._column = len(self.rows[self._row])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from(NAMES)),
        st.tuples(st.just("finish"), st.sampled_from(NAMES)),
        st.tuples(
            st.just("output"),
            st.sampled_from(NAMES),
            st.sampled_from([b"a\n", b"no newline", b"\x1b[2J\x1b[1A", b"x" * 100, b"\r", b"\n\n"])
            | st.binary(max_size=60),
        ),
        st.tuples(st.just("wait"), st.floats(0.05, 3)),
    ),
    max_size=60,
)


@given(STEPS)
def test_S01_nothing_of_the_view_is_left_and_no_result_is_lost(steps):
    """
    S01: whatever hosts write and in whatever order, at the end the screen shows what it would show
    without the view, line for line.
    """
    shown, plain = io.StringIO(), io.StringIO()
    now_s = 0.0
    view = ProgressSink(shown, clock=lambda: now_s, size=lambda: (COLUMNS, 12))
    printer, alone = Printer(shown, width=COLUMNS), Printer(plain, width=COLUMNS)
    view.share(printer)
    sinks = [StreamSink(printer, printer), StreamSink(alone, alone)]
    started: set[str] = set()
    finished: set[str] = set()
    events: list[Event] = [RunStarted("R1", "x", tuple(map(Host, NAMES)), samples.at(0))]
    for step in steps:
        match step:
            case ("start", name) if name not in started:
                started.add(name)
                events = [*events, HostStarted(Host(name), samples.at(0))]
            case ("finish", name) if name in started - finished:
                finished.add(name)
                events = [*events, HostFinished(samples.failed(name, 3, b"kept\n"), samples.at(0))]
            case ("output", name, data) if name in started - finished:
                events = [*events, samples.output(name, data)]
            case ("wait", seconds):
                now_s += seconds
        for event in events:
            view.handle(event)
            view.tick()
            for sink in sinks:
                sink.handle(event)
        events = []
        view.tick()
    view.close()
    for sink in sinks:
        sink.close()
    terminal = Emulator(12)
    terminal.write(shown.getvalue())
    assert "\n".join(terminal.rows).rstrip("\n") == plain.getvalue().rstrip("\n")
