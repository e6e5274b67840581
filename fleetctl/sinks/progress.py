"""
The live view on a terminal: done, running, failed, elapsed, and the slowest hosts.

One line at first; in a run that lasts, the slowest hosts stand above it, each with the last line it
wrote. No thread and no timer of its own: it is drawn by `ProgressSink.tick`, which whoever owns the
loop calls on events and a few times a second, so that the clock moves while nothing happens. A
drawing costs the same for ten hosts as for ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.sinks.printer import Printer, encodable
from fleetctl.sinks.running import Running
from fleetctl.sinks.width import columns_of, cut, pad
from fleetctl.sinks.wording import render_duration

#: Seconds between two drawings.
MIN_INTERVAL_S = 0.1
#: Seconds before anything appears at all; short runs are calmer without it.
FIRST_AFTER_S = 0.3
#: Seconds before hosts get lines of their own.
LINES_AFTER_S = 2.0
#: Hosts named as slowest in one line.
MAX_SLOWEST = 3
#: Hosts with lines of their own, and the part of the screen they may take.
MAX_LINES = 8
SCREEN_PART = 3
#: Widest column of names.
MAX_NAME_COLUMNS = 30

_ERASE_LINE = "\r\x1b[K"
_UP = "\x1b[1A"


class ProgressSink:
    """
    Draws at the cursor and takes it away before anything else is written.

    Use only if the stream is a terminal. Printers that write to the same terminal are told with
    `share`. Never raises: a terminal that is gone only ends the drawing.
    """

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float], size: Callable[[], tuple[int, int]]
    ) -> None:
        """
        Draw on the stream.

        Args:
            stream: A terminal.
            clock: Monotonic seconds.
            size: Columns and lines of the terminal now.
        """
        self._stream = stream
        self._clock = clock
        self._size = size
        self._running = Running(clock=clock)
        self._total = 0
        self._done = 0
        self._failed = 0
        self._started_at_s: float | None = None
        self._drawn_at_s = 0.0
        # The columns that each line of the drawing takes; empty if there is none.
        self._drawn: list[int] = []

    def share(self, *printers: Printer) -> None:
        """Take the drawing away before each write of these printers."""
        for printer in printers:
            printer.before_write = self.erase

    def handle(self, event: Event) -> None:
        """Count the event; draws nothing."""
        self._running.handle(event)
        match event:
            case RunStarted():
                self._total += len(event.hosts)
                self._started_at_s = self._drawn_at_s = self._clock()
            case HostFinished(result=result):
                self._done += 1
                self._failed += result.outcome.status not in ("ok", "skipped")
            case RunFinished():
                self.close()

    def tick(self) -> None:
        """Draw if a run is going on and the last drawing is long enough ago."""
        if self._started_at_s is None:
            return
        now_s = self._clock()
        if now_s < self._started_at_s + FIRST_AFTER_S or now_s < self._drawn_at_s + MIN_INTERVAL_S:
            return
        self._drawn_at_s = now_s
        columns, lines = self._size()
        drawing = self._render(now_s - self._started_at_s, columns - 1, lines)
        erase = self._erasure(columns)
        self._drawn = [columns_of(line) for line in drawing]
        self._write(erase + "\r\n".join(drawing))

    def erase(self) -> None:
        """Leave the cursor in the first column of an empty line, if there is a drawing."""
        if self._drawn:
            erase = self._erasure(self._size()[0])
            self._drawn = []
            self._write(erase)

    def close(self) -> None:
        """Take the drawing away for good."""
        self.erase()
        self._started_at_s = None

    def _erasure(self, columns: int) -> str:
        """Return what takes the drawing away, also if the terminal has become narrower since."""
        rows = sum(max(1, -(-used // max(columns, 1))) for used in self._drawn)
        return _ERASE_LINE + (_UP + _ERASE_LINE) * (rows - 1)

    def _render(self, elapsed_s: float, room: int, lines: int) -> list[str]:
        """Return the lines of the drawing; in the last column some terminals wrap already."""
        most = min(MAX_LINES, lines // SCREEN_PART)
        if elapsed_s < LINES_AFTER_S or most < 1:
            return [self._render_line(elapsed_s, room, MAX_SLOWEST)]
        slowest = list(self._running.slowest(most))
        names = min(max((columns_of(slow.name) for slow in slowest), default=0), MAX_NAME_COLUMNS)
        drawing = []
        for slow in slowest:
            name = pad(cut(slow.name, names), names)
            line = f"  {name}  {render_duration(slow.duration_s):>10}  {slow.line}"
            drawing.append(cut(line.rstrip(), room))
        return [*drawing, self._render_line(elapsed_s, room, 0)]

    def _render_line(self, elapsed_s: float, room: int, slowest: int) -> str:
        parts = [f"{self._done}/{self._total} done", f"{len(self._running)} running"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(render_duration(elapsed_s))
        text = ", ".join(parts)
        separator = " | slowest: "
        for slow in self._running.slowest(slowest):
            more = f"{separator}{slow.name} {render_duration(slow.duration_s)}"
            if columns_of(text + more) > room:
                break
            text += more
            separator = ", "
        return cut(text, room)

    def _write(self, text: str) -> None:
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(encodable(text, self._stream.encoding))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._started_at_s = None
