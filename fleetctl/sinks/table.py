"""
A table with one row per host, in the order of the run, shown when the run has finished.

On a terminal no row is wider than it: names and texts that are too long are cut. Columns are
aligned by how wide characters are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.model.failure import Status
from fleetctl.model.result import HostResult
from fleetctl.sinks.brief import doubts, main_fact, main_text
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.width import columns_of, cut, pad
from fleetctl.sinks.wording import render_duration, render_status

#: Widest column of names.
MAX_NAME_COLUMNS = 40
#: Widest column of what happened.
MAX_FACT_COLUMNS = 24
#: Longest text of a host when the output is not a terminal.
MAX_TEXT = 1000
#: Columns left for the text if the terminal is narrow.
MIN_TEXT = 10

_GAP = "  "


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    status: Status
    fact: str
    time: str
    text: str
    tail: str


class TableSink:
    """
    Collects a short row per host.

    Args:
        classes: Told each event before this sink; their numbers are a column if there are several.
    """

    def __init__(self, out: Printer, *, classes: OutputClasses) -> None:
        self._out = out
        self._classes = classes
        self._order: dict[str, int] = {}
        self._rows: dict[str, _Row] = {}

    def handle(self, event: Event) -> None:
        """Keep a row; show the table when the run has finished."""
        match event:
            case RunStarted():
                self._order = {host.name: index for index, host in enumerate(event.hosts)}
            case HostFinished():
                self._rows[event.result.host.name] = _row(event.result)
            case RunFinished():
                self._show()

    def close(self) -> None:
        """Show what was collected if the run never said it had finished."""
        self._show()

    def _show(self) -> None:
        rows, self._rows = self._rows, {}
        if not rows:
            return
        last = len(self._order)
        names = sorted(rows, key=lambda name: self._order.get(name, last))
        numbers = self._numbers()
        cells = [
            [row.name, render_status(row.status), row.fact, row.time, numbers.get(name, "")]
            for name in names
            for row in (rows[name],)
        ]
        titles = ["HOST", "STATUS", "RESULT", "TIME", "CLASS"]
        if not numbers:
            cells = [cell[:-1] for cell in cells]
            titles.pop()
        columns = [
            max(columns_of(cell) for cell in column) for column in zip(titles, *cells, strict=True)
        ]
        columns[0] = min(columns[0], MAX_NAME_COLUMNS)
        columns[2] = min(columns[2], MAX_FACT_COLUMNS)
        self._write(titles, columns, "OUTPUT", "", None)
        for name, cell in zip(names, cells, strict=True):
            self._write(cell, columns, rows[name].text, rows[name].tail, rows[name].status)
        self._out.flush()

    def _write(
        self,
        cells: Sequence[str],
        columns: Sequence[int],
        text: str,
        tail: str,
        status: Status | None,
    ) -> None:
        padded = [pad(cut(cell, room), room) for cell, room in zip(cells, columns, strict=True)]
        used = columns_of(_GAP.join([*padded, ""]))
        if self._out.width is not None:
            # The last column of a terminal stays free: some wrap when it is written.
            room = max(self._out.width - 1 - used - len(tail), MIN_TEXT)
            line = cut(_GAP.join([*padded, cut(text, room) + tail]), self._out.width - 1)
        else:
            line = _GAP.join([*padded, cut(text, MAX_TEXT) + tail])
        line = line.rstrip()
        start = len(padded[0] + _GAP)
        shown = line[start : start + len(cells[1])]
        painted = self._out.paint(status or "strong", shown)
        if status is None:
            self._out.write(self._out.paint("strong", line) + "\n")
        else:
            self._out.write(line[:start] + painted + line[start + len(shown) :] + "\n")

    def _numbers(self) -> dict[str, str]:
        """Return the number of each host's class; nothing if there is but one."""
        numbered = self._classes.numbered()
        if len(numbered) <= 1:
            return {}
        return {name: str(one.number) for one in numbered for name in one.names}


def _row(result: HostResult) -> _Row:
    text, tail = main_text(result)
    doubt = doubts(result)
    return _Row(
        name=visible_line(result.host.name),
        status=result.outcome.status,
        fact=main_fact(result).removeprefix("status=").replace("signal=", "SIG"),
        time=render_duration(result.duration_s) if result.started_at is not None else "-",
        text=cut(f"({doubt}) {text}" if doubt else text, MAX_TEXT),
        tail=tail,
    )
