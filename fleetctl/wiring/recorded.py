"""
A recorded run, told as events to whoever shows runs, as JSON, and as an HTML page.

The store's plain data is named here too, for the commands about the history.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetctl.model.codec import render_time, result_to_json
from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult, HostResult, Outcome
from fleetctl.model.settings import HostSettings
from fleetctl.sinks.color import Style
from fleetctl.sinks.wording import render_duration
from fleetctl.store.answers import (
    ClassChange,
    GrepHit,
    GrepQuery,
    GrepResult,
    Pruned,
    Resumption,
    RunDiff,
    Verification,
)
from fleetctl.store.history import History
from fleetctl.store.types import (
    MIB,
    HostFilter,
    HostRecord,
    NoticeRecord,
    OutputClass,
    Retention,
    RunFacts,
    RunRecord,
    StoredOutput,
    StoreError,
)

if TYPE_CHECKING:
    from typing import TextIO

    from fleetctl.sinks.printer import Printer

__all__ = [
    "ClassChange",
    "GrepHit",
    "GrepQuery",
    "GrepResult",
    "History",
    "HostFilter",
    "HostRecord",
    "NoticeRecord",
    "OutputClass",
    "Pruned",
    "Resumption",
    "Retention",
    "RunDiff",
    "RunFacts",
    "RunRecord",
    "StoreError",
    "Style",
    "Verification",
    "describe_run",
    "open_printer",
    "render_duration",
    "replay",
    "report_pages",
    "run_to_json",
]

#: Different outputs held at a time, so that equal ones are fetched once.
_HELD_BYTES = 32 * MIB


def open_printer(stream: TextIO, environ: Mapping[str, str]) -> Printer:
    """Return what writes to a text stream with its colour and width."""
    import shutil

    from fleetctl.sinks.color import is_color_wanted
    from fleetctl.sinks.printer import Printer

    return Printer(
        stream,
        color=is_color_wanted("auto", stream, environ),
        width=shutil.get_terminal_size().columns if stream.isatty() else None,
    )


class Outputs:
    """Fetches what hosts wrote; equal outputs once, as long as there is room."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0

    async def get(self, stored: StoredOutput) -> bytes:
        """Return what is kept of an output; nothing if none of it is."""
        if not stored.sha256:
            return b""
        held = self._held.get(stored.sha256)
        if held is not None:
            return held
        content = await self._history.output(stored) or b""
        if self._held_bytes + len(content) > _HELD_BYTES:
            self._held.clear()
            self._held_bytes = 0
        self._held[stored.sha256] = content
        self._held_bytes += len(content)
        return content


async def replay(
    history: History, run: RunRecord, hosts: Sequence[HostRecord]
) -> AsyncIterator[Event]:
    """
    Yield the run as its events, in the order of its hosts; a host without a result has none.

    Args:
        hosts: Those of the run that are wanted.

    Raises:
        StoreError: The store cannot be read.
    """
    outputs = Outputs(history)
    names = tuple(_host(record) for record in hosts)
    yield RunStarted(run.id, run.label, names, run.started_at, check=run.check)
    for record in hosts:
        result = await to_result(record, outputs)
        if result is not None:
            yield HostFinished(result, record.finished_at or run.started_at)
    counts: dict[str, int] = {}
    for record in hosts:
        if record.status is not None:
            counts[record.status] = counts.get(record.status, 0) + 1
    yield RunFinished(
        run.id,
        run.finished_at or _last_word(run, hosts),
        run.duration_s if run.duration_s is not None else _lasted_s(run, hosts),
        counts,
        run.interrupted_by,
    )


async def to_result(record: HostRecord, outputs: Outputs) -> HostResult | None:
    """Return the result as the engine gave it, with what is kept of its output; None if none."""
    if record.status is None:
        return None
    stdout, stderr = await outputs.get(record.stdout), await outputs.get(record.stderr)
    has_run = (
        record.exit_status is not None
        or record.exit_signal is not None
        or record.stdout.sent_bytes
        or record.stderr.sent_bytes
        or record.phases.command_s is not None
    )
    result = ExecResult(
        exit_status=record.exit_status,
        exit_signal=record.exit_signal,
        stdout=stdout,
        stderr=stderr,
        stdout_bytes=record.stdout.sent_bytes,
        stderr_bytes=record.stderr.sent_bytes,
        truncated=record.truncated or _is_cut(record.stdout) or _is_cut(record.stderr),
        output_complete=record.output_complete,
        duration_s=record.phases.command_s or 0.0,
        gone=record.gone,
        refused_env=record.refused_env,
    )
    outcome = Outcome(
        record.status,
        changed=record.changed,
        result=result if has_run else None,
        data=record.data,
        diff=record.diff,
        failure=record.failure,
    )
    return HostResult(
        _host(record),
        outcome,
        ran=record.ran,
        started_at=record.started_at,
        duration_s=record.duration_s,
        phases=record.phases,
        attempts=record.attempts,
        address=record.address,
    )


async def run_to_json(
    history: History,
    run: RunRecord,
    hosts: Sequence[HostRecord],
    notices: Sequence[NoticeRecord],
) -> AsyncIterator[bytes]:
    """
    Yield one JSON object, in pieces: ``{"run": …, "hosts": […], "counts": …, "notices": […]}``.

    Hosts have the fields they had in ``--format json``, and ``class``, the number of their output
    class. One without a result has ``host``, ``status`` (null) and ``ran`` alone.
    """
    from fleetctl.sinks.json_sinks import render_json

    outputs = Outputs(history)
    yield b'{"run":%b,\n"hosts":[\n' % render_json(describe_run(run))
    for number, record in enumerate(hosts):
        result = await to_result(record, outputs)
        if result is None:
            fields: dict[str, object] = {"host": record.name, "status": None, "ran": record.ran}
        else:
            fields = result_to_json(result) | {"port": record.port, "user": record.user}
            fields["class"] = record.class_number
        yield (b",\n" if number else b"") + render_json(fields)
    told = b",\n".join(render_json(_notice_to_json(notice)) for notice in notices)
    yield b'\n],\n"counts":%b,\n"notices":[%b]}\n' % (render_json(dict(run.counts)), told)


def describe_run(run: RunRecord) -> dict[str, object]:
    """Return everything about a run but its hosts; JSON types only."""
    facts = run.facts
    return {
        "id": run.id,
        "label": run.label,
        "check": run.check,
        "state": run.state,
        "started_at": render_time(run.started_at),
        "finished_at": render_time(run.finished_at) if run.finished_at else None,
        "duration_s": None if run.duration_s is None else round(run.duration_s, 6),
        "interrupted_by": run.interrupted_by,
        "exit_code": run.exit_code,
        "lost": run.lost,
        "hosts": run.host_count,
        "counts": dict(run.counts),
        "argv": list(facts.argv),
        "pattern": facts.pattern,
        "cwd": facts.cwd,
        "user": facts.user,
        "controller": facts.controller,
        "pid": facts.pid,
        "version": facts.version,
        "inputs": [asdict(each) for each in facts.inputs],
        "inventory_hash": facts.inventory_hash,
        "policy": dict(facts.policy),
        "operation": dict(facts.operation),
    }


async def report_pages(
    history: History,
    run: RunRecord,
    hosts: Sequence[HostRecord],
    facts: Sequence[tuple[str, str]],
    verdict: str,
) -> str:
    """
    Return the run as one HTML page.

    Args:
        facts: (name, text) of what is known about the run, in words.
        verdict: How it ended, in one line.
    """
    from fleetctl.report.page import render_page
    from fleetctl.sinks.escape import visible
    from fleetctl.wiring.reports import make_report

    notices = await history.notices(run.id)
    report = await make_report(run, hosts, notices, Outputs(history), facts=facts, verdict=verdict)
    return "".join(render_page(report, visible=visible))


def _notice_to_json(notice: NoticeRecord) -> Mapping[str, object]:
    return {
        "ts": render_time(notice.at),
        "kind": notice.kind,
        "message": notice.message,
        "host": notice.host,
        "hint": notice.hint,
    }


def _host(record: HostRecord) -> Host:
    is_local = record.status is not None and record.port is None
    settings = HostSettings(port=record.port or HostSettings().port, user=record.user)
    return Host(record.name, settings=settings, connection="local" if is_local else "ssh")


def _is_cut(stored: StoredOutput) -> bool:
    return stored.kept_bytes < stored.sent_bytes


def _times(hosts: Sequence[HostRecord]) -> Iterator[datetime]:
    return (host.finished_at for host in hosts if host.finished_at is not None)


def _last_word(run: RunRecord, hosts: Sequence[HostRecord]) -> datetime:
    return max(_times(hosts), default=run.started_at).astimezone(UTC)


def _lasted_s(run: RunRecord, hosts: Sequence[HostRecord]) -> float:
    return max((_last_word(run, hosts) - run.started_at).total_seconds(), 0.0)
