"""
Results and events as JSON-ready dicts: the shapes that scripts rely on.

Only plain dicts are made here; turning them into text, and where that goes, is a sink's business.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from fleetctl.model.events import (
    Event,
    HostFinished,
    HostStarted,
    Notice,
    Output,
    RunFinished,
    RunStarted,
)
from fleetctl.model.failure import Failure
from fleetctl.model.result import ExecResult, HostResult, PhaseTimes

#: Version of the event shape, ``v`` in every event; raised only when a field changes its meaning.
EVENT_VERSION = 1

_NO_RESULT = ExecResult(exit_status=None)


def render_time(at: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with milliseconds: ``2026-07-01T12:00:00.123Z``."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def failure_to_json(failure: Failure) -> dict[str, object]:
    """Return the fields of a failure; ``hop`` only if it happened at a gateway."""
    fields: dict[str, object] = {
        "kind": failure.kind,
        "phase": failure.phase,
        "message": failure.message,
        "hint": failure.hint,
        "retryable": failure.retryable,
    }
    if failure.hop is not None:
        fields["hop"] = failure.hop
    return fields


def result_to_json(result: HostResult, *, local_user: str | None = None) -> dict[str, object]:
    """
    Return the fields of a host's result.

    Text is decoded as UTF-8. Bytes that are not valid UTF-8 are given whole as ``stdout_b64`` or
    ``stderr_b64`` beside a text with replacement characters. Times are seconds rounded to
    microseconds; a phase that was not entered is None. No command, no bytes: then the exit status
    is None and the output empty.

    ``data`` is there only if the operation has facts to tell, ``gone`` only if the command was
    ended from here, and ``refused_env`` only if the server did not take some variables.

    ``local_user`` is the name that logs in where the settings have no user.
    """
    host = result.host
    is_local = host.connection == "local"
    outcome = result.outcome
    run = outcome.result or _NO_RESULT
    fields: dict[str, object] = {
        "host": host.name,
        "address": result.address,
        "port": None if is_local else host.settings.port,
        "user": local_user if is_local else host.settings.user or local_user,
        "status": outcome.status,
        "changed": outcome.changed,
        "ran": result.ran,
        "exit_status": run.exit_status,
        "exit_signal": run.exit_signal,
    }
    _add_text(fields, "stdout", run.stdout)
    _add_text(fields, "stderr", run.stderr)
    fields["stdout_bytes"] = run.stdout_bytes
    fields["stderr_bytes"] = run.stderr_bytes
    fields["truncated"] = run.truncated
    fields["output_complete"] = run.output_complete
    if run.gone is not None:
        fields["gone"] = run.gone
    if run.refused_env:
        fields["refused_env"] = list(run.refused_env)
    if outcome.data:
        fields["data"] = dict(outcome.data)
    fields["failure"] = failure_to_json(outcome.failure) if outcome.failure else None
    fields["attempts"] = result.attempts
    fields["started_at"] = render_time(result.started_at) if result.started_at else None
    fields["duration_s"] = round(result.duration_s, 6)
    fields["phases"] = _phases_to_json(result.phases)
    return fields


def event_to_json(
    event: Event, *, run_id: str | None, seq: int, local_user: str | None = None
) -> dict[str, object]:
    """
    Return one event; every event has ``v``, ``run``, ``seq``, ``ts`` and ``event``, in that order.

    Args:
        event: Any event.
        run_id: Id of the run, or None before a run has started.
        seq: Number of the event in its output, from 1.
        local_user: As for `result_to_json`.
    """
    fields: dict[str, object] = {
        "v": EVENT_VERSION,
        "run": run_id,
        "seq": seq,
        "ts": render_time(event.at),
    }
    match event:
        case HostFinished():
            fields["event"] = "host.finished"
            fields.update(result_to_json(event.result, local_user=local_user))
        case Output():
            fields["event"] = "host.output"
            fields["host"] = event.host.name
            fields["stream"] = event.stream
            try:
                fields["data"] = event.data.decode()
            except UnicodeDecodeError:
                fields["data_b64"] = _base64(event.data)
        case HostStarted():
            fields["event"] = "host.started"
            fields["host"] = event.host.name
        case RunStarted():
            fields["event"] = "run.started"
            fields["label"] = event.label
            fields["hosts"] = [host.name for host in event.hosts]
            fields["check"] = event.check
        case Notice():
            fields["event"] = "notice"
            fields["kind"] = event.kind
            fields["message"] = event.message
            fields["host"] = event.host.name if event.host else None
            fields["hint"] = event.hint
        case RunFinished():
            fields["event"] = "run.finished"
            fields["duration_s"] = round(event.duration_s, 6)
            fields["counts"] = dict(event.counts)
            fields["interrupted_by"] = event.interrupted_by
    return fields


def _add_text(fields: dict[str, object], name: str, content: bytes) -> None:
    try:
        fields[name] = content.decode()
    except UnicodeDecodeError:
        fields[name] = content.decode("utf-8", "replace")
        fields[f"{name}_b64"] = _base64(content)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _phases_to_json(phases: PhaseTimes) -> dict[str, float | None]:
    return {
        "resolve_s": _microseconds(phases.resolve_s),
        "connect_s": _microseconds(phases.connect_s),
        "kex_s": _microseconds(phases.kex_s),
        "auth_s": _microseconds(phases.auth_s),
        "session_s": _microseconds(phases.session_s),
        "command_s": _microseconds(phases.command_s),
    }


def _microseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
