"""
One line per host, as it finishes: ``host | ok | status=0 | first line of output``.

The last column is the only one a host can write in; it is one physical line.
"""

from __future__ import annotations

from fleetctl.model.events import Event, HostFinished, RunStarted
from fleetctl.model.result import HostResult
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.wording import (
    first_line,
    render_message,
    render_status,
    shorten,
)

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
                longest = max((len(host.name) for host in event.hosts), default=0)
                self._columns = min(longest, MAX_NAME_COLUMNS)
            case HostFinished():
                self._out.write(self._render(event.result))
                self._out.flush()

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._out.flush()

    def _render(self, result: HostResult) -> str:
        name = visible_line(result.host.name).ljust(self._columns)
        status = result.outcome.status
        facts = _facts(result)
        head = _SEPARATOR.join([name, render_status(status), *facts, ""])
        text, more = _last_column(result)
        tail = f" (+{more} lines)" if more > 1 else " (+1 line)" if more else ""
        room = (self._out.width or MAX_LINE) - len(head) - len(tail)
        line = shorten(text, max(room, 10)) + tail
        painted = self._out.paint(status, render_status(status))
        return _SEPARATOR.join([name, painted, *facts, line]).rstrip() + "\n"


def _facts(result: HostResult) -> list[str]:
    """Return the columns between the status and the text."""
    outcome = result.outcome
    run = outcome.result
    if run is not None and run.exit_status is not None:
        fact = f"status={run.exit_status}"
    elif run is not None and run.exit_signal:
        fact = f"signal={visible_line(run.exit_signal)}"
    elif outcome.failure is not None:
        fact = outcome.failure.kind
    elif outcome.data:
        fact = f"{1000 * result.duration_s:.0f} ms"
    else:
        fact = "changed" if outcome.changed else "unchanged"
    doubts = []
    if result.ran == "unknown":
        doubts.append("may have run")
    if run is not None and run.truncated:
        doubts.append(f"truncated from {run.stdout_bytes + run.stderr_bytes} bytes")
    if run is not None and not run.output_complete:
        doubts.append("output may be incomplete")
    return [fact, ", ".join(doubts)] if doubts else [fact]


def _last_column(result: HostResult) -> tuple[str, int]:
    """Return the text of the last column, and how many lines of output follow it."""
    failure = result.outcome.failure
    run = result.outcome.result
    if failure is not None and not (run and (run.exit_status is not None or run.exit_signal)):
        return render_message(failure), 0
    if run is None and result.outcome.data:
        return visible_line(", ".join(str(fact) for fact in result.outcome.data.values())), 0
    line, more = first_line(result)
    return visible_line(line), more
