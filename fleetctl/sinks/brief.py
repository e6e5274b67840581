"""
A result in the few words that fit a row: facts in columns, and the text that says most.
"""

from __future__ import annotations

from fleetctl.model.result import HostResult
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.wording import first_line, render_message


def main_fact(result: HostResult) -> str:
    """Return ``status=0``, ``signal=KILL``, the kind of the failure, or what else there is."""
    outcome = result.outcome
    run = outcome.result
    if run is not None and run.exit_status is not None:
        return f"status={run.exit_status}"
    if run is not None and run.exit_signal:
        return f"signal={visible_line(run.exit_signal)}"
    if outcome.failure is not None:
        return outcome.failure.kind
    if outcome.data:
        return f"{1000 * result.duration_s:.0f} ms"
    return "changed" if outcome.changed else "unchanged"


def doubts(result: HostResult) -> str:
    """Return what is not sure about the result and its output, empty if there is nothing."""
    run = result.outcome.result
    found = []
    if result.ran == "unknown":
        found.append("may have run")
    if run is not None and run.truncated:
        found.append(f"truncated from {run.stdout_bytes + run.stderr_bytes} bytes")
    if run is not None and not run.output_complete:
        found.append("output may be incomplete")
    return ", ".join(found)


def main_text(result: HostResult) -> tuple[str, str]:
    """Return one escaped line, and ``(+2 lines)`` if more lines of output follow it."""
    failure = result.outcome.failure
    run = result.outcome.result
    if failure is not None and not (run and (run.exit_status is not None or run.exit_signal)):
        return render_message(failure), ""
    if run is None and result.outcome.data:
        return visible_line(", ".join(str(fact) for fact in result.outcome.data.values())), ""
    line, more = first_line(result)
    return visible_line(line), f" (+{more} lines)" if more > 1 else " (+1 line)" if more else ""
