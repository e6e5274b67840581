"""
Notices on stderr: retries, waits and warnings, as ``fleetctl: web03: …``.
"""

from __future__ import annotations

from fleetctl.model.events import Event, Notice
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer


class NoticeSink:
    """Shows each notice when it comes; a hint only the first time it is given."""

    def __init__(self, err: Printer) -> None:
        self._err = err
        self._hints: set[str] = set()

    def handle(self, event: Event) -> None:
        """Show a notice; other events are not for this view."""
        if not isinstance(event, Notice):
            return
        subject = f"{visible_line(event.host.name)}: " if event.host else ""
        text = f"fleetctl: {subject}{visible_line(event.message)}\n"
        if event.hint and event.hint not in self._hints:
            self._hints.add(event.hint)
            text += f"hint: {visible_line(event.hint)}\n"
        self._err.write(text)
        self._err.flush()

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._err.flush()
