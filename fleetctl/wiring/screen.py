"""
The sinks of a run behind one door.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Literal, TextIO

from fleetctl.model.events import Event
from fleetctl.model.ports import Sink
from fleetctl.wiring.words import fold

if TYPE_CHECKING:
    from fleetctl.sinks.printer import Printer

Format = Literal["stream", "gather", "oneline", "json", "ndjson", "doctor"]
ColorChoice = Literal["auto", "always", "never"]

#: Formats that show output while it comes.
LIVE_FORMATS = frozenset({"stream", "ndjson"})


@dataclass(frozen=True, slots=True)
class View:
    """
    How a run is shown.

    Attributes:
        progress: Draw the progress line, if stderr is a terminal.
        argv: The command line as given, from which the summary makes its rerun line.
        pattern: The word of it that named the hosts.
        remote_exit_status: Exit with the largest exit status of a host.
        details: Show more of what a diagnosis found.
    """

    format: Format
    color: ColorChoice = "auto"
    progress: bool = True
    argv: Sequence[str] = ()
    pattern: str = ""
    remote_exit_status: bool = False
    details: bool = False


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
    ) -> None:
        """
        Args:
            is_asking: True while a person is asked something; the progress line waits then.
        """
        from fleetctl.sinks.deliver import Delivery
        from fleetctl.sinks.notices import NoticeSink
        from fleetctl.sinks.progress import ProgressSink
        from fleetctl.sinks.summary import SummarySink
        from fleetctl.sinks.tally import Tally

        out = _printer(stdout, view.color, environ, ignore_closed=False)
        err = _printer(stderr, view.color, environ, ignore_closed=True)
        self._remote_exit_status = view.remote_exit_status
        self._is_asking = is_asking
        self._unseen: list[Event] = []
        self._tally = Tally()
        self._progress: ProgressSink | None = None
        if view.progress and stderr.isatty():
            self._progress = ProgressSink(
                stderr, clock=monotonic, width=lambda: _width(stderr, environ)
            )
            self._progress.share(err, *([out] if stdout.isatty() else []))
        self._delivery = Delivery(
            [
                _result_sink(view, stdout, out, err),
                NoticeSink(err),
                self._tally,
                SummarySink(err, fold=fold, argv=view.argv, pattern=view.pattern),
            ],
            warnings=err,
        )

    @property
    def is_closed(self) -> bool:
        """Whether the reader of standard output has left."""
        return self._delivery.broken

    def handle(self, event: Event) -> None:
        """Show the event; never raises for what a sink does."""
        if self._progress is not None:
            self._unseen.append(event)
            self.tick()
        self._delivery.handle(event)

    def tick(self) -> None:
        """Let the progress line move, unless a question is on the screen."""
        if self._progress is None or self._is_asking():
            return
        for event in self._unseen:
            self._progress.handle(event)
        self._unseen.clear()
        self._progress.tick()

    def erase(self) -> None:
        """Take the progress line off the screen until the next tick."""
        if self._progress is not None:
            self._progress.erase()

    def close(self) -> None:
        """The last event was delivered."""
        if self._progress is not None:
            self._progress.close()
        self._delivery.close()

    def exit_code(self) -> int:
        """Return the exit code that the results ask for; 6 if they could not all be written."""
        return self._tally.exit_code(
            remote=self._remote_exit_status, incomplete=bool(self._delivery.failed)
        )


def _result_sink(view: View, stdout: TextIO, out: Printer, err: Printer) -> Sink:
    match view.format:
        case "stream":
            from fleetctl.sinks.stream import StreamSink

            return StreamSink(out, err)
        case "gather":
            from fleetctl.sinks.gather import GatherSink

            return GatherSink(out, fold=fold)
        case "oneline":
            from fleetctl.sinks.oneline import OnelineSink

            return OnelineSink(out)
        case "doctor":
            from fleetctl.sinks.doctor import DoctorSink

            return DoctorSink(out, details=view.details)
        case "json":
            from fleetctl.sinks.json_sinks import JsonSink

            return JsonSink(stdout.buffer, local_user=_local_user())
        case "ndjson":
            from fleetctl.sinks.json_sinks import NdjsonSink

            return NdjsonSink(stdout.buffer, local_user=_local_user())


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
        width=_width(stream, environ) if stream.isatty() else None,
        ignore_closed=ignore_closed,
    )


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Return the columns of a terminal; COLUMNS says it first."""
    named = environ.get("COLUMNS", "")
    try:
        return (
            int(named)
            if named.isdecimal() and int(named)
            else (os.get_terminal_size(stream.fileno()).columns or 80)
        )
    except (OSError, ValueError):
        return 80
