"""
The live progress line on a terminal: done, running, failed, elapsed, and who is slowest.

No thread and no timer of its own: it is drawn on events and on `ProgressSink.tick`, which whoever
owns the loop calls a few times a second, so that the clock moves while nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TextIO

from fleetctl.model.events import Event, HostFinished, HostStarted, RunFinished, RunStarted
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer, encodable
from fleetctl.sinks.wording import render_duration, shorten

#: Seconds between two drawings.
MIN_INTERVAL_S = 0.1
#: Seconds before the line appears at all; short runs are calmer without it.
FIRST_AFTER_S = 0.3
#: Hosts named as slowest.
MAX_SLOWEST = 3

_ERASE = "\r\x1b[K"


class ProgressSink:
    """
    Draws one line at the cursor and takes it away before anything else is written.

    Use only if the stream is a terminal. Printers that write to the same terminal are told with
    `share`. Never raises: a terminal that is gone only ends the drawing.
    """

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float], width: Callable[[], int]
    ) -> None:
        """
        Draw on the stream.

        Args:
            stream: A terminal.
            clock: Monotonic seconds.
            width: Columns of the terminal now.
        """
        self._stream = stream
        self._clock = clock
        self._width = width
        self._total = 0
        self._done = 0
        self._failed = 0
        self._running: dict[str, float] = {}
        self._started_at_s: float | None = None
        self._drawn_at_s = 0.0
        self._is_drawn = False

    def share(self, *printers: Printer) -> None:
        """Take the line away before each write of these printers."""
        for printer in printers:
            printer.before_write = self.erase

    def handle(self, event: Event) -> None:
        """Count the event and draw if it is time."""
        match event:
            case RunStarted():
                self._total += len(event.hosts)
                self._started_at_s = self._drawn_at_s = self._clock()
            case HostStarted():
                self._running.setdefault(event.host.name, self._clock())
            case HostFinished(result=result):
                self._running.pop(result.host.name, None)
                self._done += 1
                self._failed += result.outcome.status not in ("ok", "skipped")
            case RunFinished():
                self.close()
        self.tick()

    def tick(self) -> None:
        """Draw the line if a run is going on and the last drawing is long enough ago."""
        if self._started_at_s is None:
            return
        now_s = self._clock()
        if now_s < self._started_at_s + FIRST_AFTER_S or now_s < self._drawn_at_s + MIN_INTERVAL_S:
            return
        self._drawn_at_s = now_s
        self._is_drawn = True
        self._write(_ERASE + self._render(now_s, now_s - self._started_at_s))

    def erase(self) -> None:
        """Leave the cursor in the first column of an empty line, if the line is there."""
        if self._is_drawn:
            self._is_drawn = False
            self._write(_ERASE)

    def close(self) -> None:
        """Take the line away for good."""
        self.erase()
        self._started_at_s = None

    def _render(self, now_s: float, elapsed_s: float) -> str:
        parts = [f"{self._done}/{self._total} done", f"{len(self._running)} running"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(render_duration(elapsed_s))
        text = ", ".join(parts)
        # The last column stays free: writing there makes some terminals wrap.
        room = self._width() - 1
        separator = " | slowest: "
        # Hosts are kept in the order they were started, so the first run longest.
        for name, since_s in islice(self._running.items(), MAX_SLOWEST):
            slow = f"{separator}{visible_line(name)} {render_duration(now_s - since_s)}"
            if len(text) + len(slow) > room:
                break
            text += slow
            separator = ", "
        return shorten(text, room)

    def _write(self, text: str) -> None:
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self._stream.write(encodable(text, self._stream.encoding))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._started_at_s = None
