"""
Hands every event to every sink, and keeps one that fails from hurting the run or the others (F88).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleetctl.model.events import Event
from fleetctl.model.ports import Sink
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer


class Delivery:
    """
    A sink made of sinks, in the order given. Never raises for what a sink does.

    A sink that raises is reported once and gets no more events. A reader of standard output who
    left (BrokenPipeError) is not an error and is not reported.

    Attributes:
        broken: True once standard output was closed; the caller then exits with 141.
        failed: The sinks that are off because they raised, in that order.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        warnings: Printer,
        redact: Callable[[str], str] = lambda text: text,
    ) -> None:
        """
        Deliver to the sinks.

        Args:
            warnings: Where failures of sinks are reported, usually stderr.
            redact: Takes secrets out of what is said there.
        """
        self.broken = False
        self.failed: list[Sink] = []
        self._sinks = tuple(sinks)
        self._warnings = warnings
        self._redact = redact

    def handle(self, event: Event) -> None:
        """Deliver the event."""
        for sink in self._sinks:
            try:
                sink.handle(event)
            except Exception as error:
                self._disable(sink, error)

    def close(self) -> None:
        """Close all sinks that still work."""
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:
                self._disable(sink, error)

    def _disable(self, sink: Sink, error: Exception) -> None:
        self._sinks = tuple(other for other in self._sinks if other is not sink)
        if isinstance(error, BrokenPipeError):
            self.broken = True
            return
        self.failed.append(sink)
        cause = visible_line(self._redact(str(error))) or type(error).__name__
        try:
            self._warnings.write(
                f"fleetctl: warning: {type(sink).__name__} failed and is off: {cause}\n"
                "hint: the run goes on; what this output should have shown is missing\n"
            )
            self._warnings.flush()
        except (OSError, ValueError):
            return  # stderr is gone or closed: there is nobody left to tell
