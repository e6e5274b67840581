"""
A diagnosis for people: a block for each host, a line for each phase, and the fix below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleetctl.model.events import Event, HostFinished
from fleetctl.model.result import HostResult
from fleetctl.sinks.color import Style
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.printer import Printer

_STYLES: Mapping[str, Style] = {"ok": "ok", "warning": "changed", "failed": "failed"}
_WORDS = {"warning": "warn", "skipped": "-"}
_INDENT = " " * 28


class DoctorSink:
    """
    Shows each host's findings as it finishes.

    Args:
        details: Show what is good in detail, too.
    """

    def __init__(self, out: Printer, *, details: bool) -> None:
        self._out = out
        self._details = details

    def handle(self, event: Event) -> None:
        """Show a result; other events are not for this view."""
        if isinstance(event, HostFinished):
            self._out.write(self._render(event.result))
            self._out.flush()

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._out.flush()

    def _render(self, result: HostResult) -> str:
        lines = [visible_line(_title(result))]
        findings = result.outcome.data.get("findings")
        for finding in findings if isinstance(findings, list) else ():
            lines.extend(self._finding(finding))
        if not findings and result.outcome.failure is not None:
            failure = result.outcome.failure
            lines.append(f"  {failure.kind}: {visible_line(failure.message)}")
        return "\n".join(lines) + "\n\n"

    def _finding(self, finding: Mapping[str, object]) -> Sequence[str]:
        verdict = str(finding["verdict"])
        word = _WORDS.get(verdict, verdict).ljust(6)
        style = _STYLES.get(verdict)
        painted = self._out.paint(style, word) if style else word
        duration = finding.get("duration_s")
        took = f"{1000 * duration:.1f} ms" if isinstance(duration, float) else ""
        summary = visible_line(str(finding["summary"]))
        lines = [f"  {painted}  {finding['phase']!s:<8}{took:>8}  {summary}".rstrip()]
        details = finding.get("details")
        if self._details or verdict in ("warning", "failed"):
            lines += [
                f"{_INDENT}{visible_line(str(line))}"
                for line in (details if isinstance(details, list) else ())
            ]
        if finding.get("fix"):
            lines.append(f"{_INDENT}fix: {visible_line(str(finding['fix']))}")
        return lines


def _title(result: HostResult) -> str:
    host = result.host
    where = host.hostname if host.hostname != host.name else ""
    parts = [where, f"port {host.settings.port}"]
    if host.settings.user:
        parts.append(f"user {host.settings.user}")
    if host.settings.proxy_jump:
        parts.append(f"through {host.settings.proxy_jump}")
    if host.connection == "local":
        return f"{host.name} (this machine)"
    return f"{host.name} ({', '.join(part for part in parts if part)})"
