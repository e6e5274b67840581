"""
The sinks of a run behind one door.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO

from fleetctl.model.events import Event
from fleetctl.model.ports import Sink
from fleetctl.wiring.words import fold

if TYPE_CHECKING:
    from fleetctl.sinks.classes import OutputClasses
    from fleetctl.sinks.printer import Printer
    from fleetctl.sinks.redact import Redactor

Format = Literal["stream", "gather", "oneline", "table", "csv", "junit", "json", "ndjson", "doctor"]
ColorChoice = Literal["auto", "always", "never"]

#: Formats that show output while it comes.
LIVE_FORMATS = frozenset({"stream", "ndjson"})
#: Formats in which what changed in files is shown behind what a host said; the others have it as it
#: is, or have no room.
_WITH_DIFF = frozenset({"gather", "stream"})


@dataclass(frozen=True, slots=True)
class View:
    """
    How a run is shown.

    Attributes:
        progress: Draw the live view, if stderr is a terminal that can.
        argv: The command line as given, from which the summary makes its rerun line.
        pattern: The word of it that named the hosts.
        remote_exit_status: Exit with the largest exit status of a host.
        details: Show more of what a diagnosis found.
        compare: Show how outputs differ, in gather.
        output_dir: Folder for the output of every host, or None.
        diff: Show what changed in files as well, in formats for people.
    """

    format: Format
    color: ColorChoice = "auto"
    progress: bool = True
    argv: Sequence[str] = ()
    pattern: str = ""
    remote_exit_status: bool = False
    details: bool = False
    compare: bool = False
    output_dir: str | None = None
    diff: bool = False


class Screen:
    """The sinks of a run behind one door: results on stdout, everything about the run on stderr."""

    def __init__(
        self,
        view: View,
        *,
        stdout: TextIO,
        stderr: TextIO,
        environ: Mapping[str, str],
        is_asking: Callable[[], bool] = lambda: False,
        redactor: Redactor | None = None,
    ) -> None:
        """
        Args:
            is_asking: True while a person is asked something; the live view waits then.
            redactor: Knows the secrets that nothing may show; None if there are none.

        Raises:
            UsageError: The folder for output cannot be used.
        """
        from fleetctl.sinks.classes import OutputClasses
        from fleetctl.sinks.deliver import Delivery
        from fleetctl.sinks.notices import NoticeSink
        from fleetctl.sinks.outlet import Outlets
        from fleetctl.sinks.redact import Redactor
        from fleetctl.sinks.redact_events import RedactedEvents
        from fleetctl.sinks.summary import SummarySink
        from fleetctl.sinks.tally import Tally

        redactor = redactor or Redactor()
        self.outlets = Outlets(stdout, stderr)
        stdout, stderr = self.outlets.stdout, self.outlets.stderr
        self._redacted = RedactedEvents(redactor)
        self._err = err = _printer(stderr, view.color, environ, ignore_closed=True)
        out = _printer(stdout, view.color, environ, ignore_closed=False)
        self._with_diff: Callable[[Event], Event] | None = None
        if view.diff and view.format in _WITH_DIFF:
            from fleetctl.sinks.file_changes import with_diff

            self._with_diff = with_diff
        self._remote_exit_status = view.remote_exit_status
        self._is_asking = is_asking
        self._tally = Tally()
        self._progress: ProgressSink | None = None
        if view.progress and stderr.isatty() and environ.get("TERM") != "dumb":
            from fleetctl.sinks.progress import ProgressSink

            self._progress = ProgressSink(
                stderr, clock=monotonic, size=lambda: _size(stderr, environ)
            )
            self._progress.share(err, *([out] if stdout.isatty() else []))
        self._is_live = (
            view.format in LIVE_FORMATS or view.output_dir is not None or self._progress is not None
        )
        classes = OutputClasses(keep_output=view.format == "gather")
        sinks: list[Sink] = [classes]
        if view.output_dir is not None:
            sinks.append(_folder_sink(view.output_dir))
        sinks += [
            _result_sink(view, stdout, out, err, classes),
            NoticeSink(err),
            self._tally,
            SummarySink(
                err,
                fold=fold,
                argv=[redactor.text(word) for word in view.argv],
                pattern=view.pattern,
                classes=classes,
            ),
        ]
        self._delivery = Delivery(sinks, warnings=err, redact=redactor.text)

    @property
    def wants_live_output(self) -> bool:
        """Whether output is to be sent as it comes."""
        return self._is_live

    @property
    def is_closed(self) -> bool:
        """Whether the reader of standard output has left."""
        return self._delivery.broken or isinstance(self.outlets.error, BrokenPipeError)

    def handle(self, event: Event) -> None:
        """Show the event; never raises for what a sink does."""
        if self._with_diff is not None:
            event = self._with_diff(event)
        for shown in self._redacted.handle(event):
            if self._progress is not None:
                self._progress.handle(shown)
                self.tick()
            self._delivery.handle(shown)

    def tick(self) -> None:
        """Let the live view move, unless a question is on the screen or nothing gets there now."""
        if self._progress is None or self._is_asking() or self.outlets.is_stderr_behind:
            return
        self._progress.tick()

    def erase(self) -> None:
        """Take the live view off the screen until the next tick."""
        if self._progress is not None:
            self._progress.erase()

    def close(self) -> None:
        """The last event was delivered."""
        if self._progress is not None:
            self._progress.close()
        self._delivery.close()

    def exit_code(self) -> int:
        """Return the exit code that the results ask for; 6 if they could not all be written."""
        error = self.outlets.error
        is_incomplete = error is not None and not isinstance(error, BrokenPipeError)
        return self._tally.exit_code(
            remote=self._remote_exit_status,
            incomplete=is_incomplete or bool(self._delivery.failed),
        )


def _result_sink(
    view: View, stdout: TextIO, out: Printer, err: Printer, classes: OutputClasses
) -> Sink:
    match view.format:
        case "stream":
            from fleetctl.sinks.stream import StreamSink

            return StreamSink(out, err)
        case "gather":
            from fleetctl.sinks.gather import GatherSink

            return GatherSink(out, fold=fold, classes=classes, compare=view.compare)
        case "oneline":
            from fleetctl.sinks.oneline import OnelineSink

            return OnelineSink(out)
        case "table":
            from fleetctl.sinks.table import TableSink

            return TableSink(out, classes=classes)
        case "doctor":
            from fleetctl.sinks.doctor import DoctorSink

            return DoctorSink(out, details=view.details)
        case "csv" | "junit" | "json" | "ndjson":
            return _program_sink(view.format, stdout.buffer)


def _program_sink(format_: Literal["csv", "junit", "json", "ndjson"], stdout: BinaryIO) -> Sink:
    match format_:
        case "csv":
            from fleetctl.sinks.csv_sink import CsvSink

            return CsvSink(stdout)
        case "junit":
            from fleetctl.sinks.junit import JunitSink

            return JunitSink(stdout)
        case "json":
            from fleetctl.sinks.json_sinks import JsonSink

            return JsonSink(stdout, local_user=_local_user())
        case "ndjson":
            from fleetctl.sinks.json_sinks import NdjsonSink

            return NdjsonSink(stdout, local_user=_local_user())


def _folder_sink(path: str) -> Sink:
    from fleetctl.sinks.folder import FolderSink, open_folder

    return FolderSink(open_folder(path), path, local_user=_local_user())


def _local_user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this uid
        return None


def _printer(
    stream: TextIO, color: ColorChoice, environ: Mapping[str, str], *, ignore_closed: bool
) -> Printer:
    from fleetctl.sinks.color import is_color_wanted
    from fleetctl.sinks.printer import Printer

    return Printer(
        stream,
        color=is_color_wanted(color, stream, environ),
        width=_size(stream, environ)[0] if stream.isatty() else None,
        ignore_closed=ignore_closed,
    )


def _size(stream: TextIO, environ: Mapping[str, str]) -> tuple[int, int]:
    """Return the columns and lines of a terminal; COLUMNS and LINES say it first."""
    try:
        found = os.get_terminal_size(stream.fileno())
        columns, lines = found.columns or 80, found.lines or 24
    except (OSError, ValueError):
        columns, lines = 80, 24
    return _named(environ, "COLUMNS") or columns, _named(environ, "LINES") or lines


def _named(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 6 else 0
