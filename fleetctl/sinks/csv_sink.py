"""
Results as comma-separated values: one record per host, as it finishes.

For spreadsheets, which calculate what looks like a formula, so a cell that begins as one gets an
apostrophe before it. Control characters are shown as escapes; exact bytes are in JSON and in
folders.
"""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from fleetctl.model.events import Event, HostFinished, RunStarted
from fleetctl.model.result import HostResult
from fleetctl.sinks.ci_commands import break_ci_commands
from fleetctl.sinks.escape import visible, visible_bytes
from fleetctl.sinks.wording import render_message, split_kept

COLUMNS = (
    "host",
    "address",
    "status",
    "changed",
    "ran",
    "exit_status",
    "exit_signal",
    "duration_s",
    "failure",
    "message",
    "truncated",
    "output_complete",
    "stdout",
    "stderr",
)

# The signs that begin a formula, in ASCII and as full-width forms; a tab or a line end before one
# is skipped by spreadsheets, or begins a new cell.
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


class CsvSink:
    """Writes a header, then a record per host; UTF-8, whatever the locale."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def handle(self, event: Event) -> None:
        """Write a result; other events are not for this view."""
        match event:
            case RunStarted():
                self._write(COLUMNS)
            case HostFinished():
                self._write(_cells(event.result))

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._out.flush()

    def _write(self, cells: tuple[str, ...]) -> None:
        # The writer quotes as RFC 4180 says.
        record = io.StringIO(newline="")
        csv.writer(record).writerow([safe_cell(cell) for cell in cells])
        self._out.write(record.getvalue().encode("utf-8", "backslashreplace"))
        self._out.flush()


def safe_cell(text: str) -> str:
    """
    Return the text so that no spreadsheet takes it for a formula, and no build server for its own.

    Source: OWASP, CSV Injection.
    """
    text = break_ci_commands(visible(text))
    is_formula = text.startswith(_FORMULA_BEGINS) or text.lstrip()[:1] in _FORMULA_BEGINS[:4]
    return f"'{text}" if text and is_formula else text


def _cells(result: HostResult) -> tuple[str, ...]:
    outcome = result.outcome
    failure = outcome.failure
    run = outcome.result
    return (
        result.host.name,
        result.address or "",
        outcome.status,
        _yes_or_no(outcome.changed),
        result.ran,
        str(run.exit_status) if run is not None and run.exit_status is not None else "",
        (run.exit_signal or "") if run is not None else "",
        f"{result.duration_s:.6f}",
        failure.kind if failure is not None else "",
        render_message(failure) if failure is not None else "",
        _yes_or_no(run is not None and run.truncated),
        _yes_or_no(run is None or run.output_complete),
        _text(run.stdout, run.stdout_bytes) if run is not None else "",
        _text(run.stderr, run.stderr_bytes) if run is not None else "",
    )


def _yes_or_no(is_so: bool) -> str:  # noqa: FBT001 - one word for one fact
    return "yes" if is_so else "no"


def _text(content: bytes, total_bytes: int) -> str:
    head, tail = split_kept(content, total_bytes)
    if not tail:
        return visible_bytes(head)
    left_out = f"({total_bytes - len(content)} bytes left out here)"
    return f"{visible_bytes(head)}\n{left_out}\n{visible_bytes(tail)}"
