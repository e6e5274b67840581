"""
One line per host, as it finishes: ``host | ok | status=0 | first line of output``.

The last column is the only one a host can write in; it is one physical line.
"""

from __future__ import annotations

from fleetctl.model.events import Event, HostFinished, RunStarted
from fleetctl.model.result import HostResult
from fleetctl.sinks.brief import doubts, main_fact, main_text
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.width import columns_of, cut, pad
from fleetctl.sinks.wording import render_status

#: Widest column of names; longer names push their own line to the right.
MAX_NAME_COLUMNS = 30
#: Longest line when the output is not a terminal.
MAX_LINE = 1000
_SEPARATOR = " | "


class OnelineSink:
    """Shows each host as it finishes, names padded to the longest of the run."""

    def __init__(self, out: Printer) -> None:
        self._out = out
        self._columns = 0

    def handle(self, event: Event) -> None:
        """Show a result; other events are not for this view."""
        match event:
            case RunStarted():
                longest = max(
                    (columns_of(visible_line(host.name)) for host in event.hosts), default=0
                )
                self._columns = min(longest, MAX_NAME_COLUMNS)
            case HostFinished():
                self._out.write(self._render(event.result))
                self._out.flush()

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._out.flush()

    def _render(self, result: HostResult) -> str:
        name = pad(visible_line(result.host.name), self._columns)
        status = result.outcome.status
        facts = [fact for fact in (main_fact(result), doubts(result)) if fact]
        head = _SEPARATOR.join([name, render_status(status), *facts, ""])
        text, tail = main_text(result)
        room = (self._out.width or MAX_LINE) - columns_of(head) - len(tail)
        line = cut(text, max(room, 10)) + tail
        painted = self._out.paint(status, render_status(status))
        return _SEPARATOR.join([name, painted, *facts, line]).rstrip() + "\n"
