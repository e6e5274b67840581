"""
From what the store has of a run to what its report tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fleetctl import __version__
from fleetctl.report.content import Fact, HostLine, Message, Report, Section, Stream
from fleetctl.sinks.wording import STATUS_ORDER, render_ending, render_message, render_notes
from fleetctl.wiring.recorded import to_result
from fleetctl.wiring.words import fold

if TYPE_CHECKING:
    from fleetctl.model.result import ExecResult, HostResult
    from fleetctl.store.types import HostRecord, NoticeRecord, RunRecord
    from fleetctl.wiring.recorded import Outputs

#: Shown of one stream of one class, head and tail.
SHOWN_BYTES = 256 * 1024
#: Shown of all of them; what is beyond is only counted.
SHOWN_BYTES_OF_ALL = 8 * 1024 * 1024
#: Unfolded if there are no more than so many.
_OPEN_SECTIONS = 3
#: Different messages of one class.
_MAX_MESSAGES = 20
_CODE = frozenset({"command", "files"})


async def make_report(
    run: RunRecord,
    hosts: Sequence[HostRecord],
    notices: Sequence[NoticeRecord],
    outputs: Outputs,
    *,
    facts: Sequence[tuple[str, str]],
    verdict: str,
) -> Report:
    """
    Return the report of a run.

    Args:
        hosts: Those that are told of, in the order of the run.
        facts: (name, text) of what is known about the run.
        verdict: How it ended, in one line.

    Raises:
        StoreError: The store cannot be read.
    """
    return Report(
        title=run.label,
        run_id=run.id,
        verdict=verdict,
        facts=[Fact(name, text, is_code=name in _CODE) for name, text in facts],
        counts=list(_counts(hosts)),
        warnings=list(_warnings(run, hosts)),
        sections=await _sections(hosts, outputs),
        hosts=[_host_line(run, host) for host in hosts],
        messages=[Message(each.at.astimezone(), each.kind, _said(each)) for each in notices],
        made_by=f"fleetctl {__version__}",
    )


def _counts(hosts: Sequence[HostRecord]) -> Iterator[tuple[str, int]]:
    for status in STATUS_ORDER:
        count = sum(host.status == status for host in hosts)
        if count:
            yield status, count
    missing = sum(host.status is None for host in hosts)
    if missing:
        yield "no result", missing


def _warnings(run: RunRecord, hosts: Sequence[HostRecord]) -> Iterator[str]:
    if run.state == "lost":
        yield "Whoever ran this was gone before it was over. What has no result was not finished."
    if run.state == "running":
        yield "This run was not over when the page was made."
    if run.lost:
        yield f"Not everything was recorded: {run.lost}"
    doubtful = [host.name for host in hosts if host.ran == "unknown"]
    if doubtful:
        yield f"It may have run, and nobody knows how it ended, on {fold(doubtful)}."


async def _sections(hosts: Sequence[HostRecord], outputs: Outputs) -> list[Section]:
    alike: dict[int | None, list[HostRecord]] = {}
    for host in hosts:
        alike.setdefault(host.class_number, []).append(host)
    groups = [group for number, group in sorted(alike.items(), key=lambda item: item[0] or 0)]
    groups.sort(key=_worst_first)
    budget = SHOWN_BYTES_OF_ALL
    sections = []
    for group in groups:
        is_open = len(groups) <= _OPEN_SECTIONS
        section, used = await _section(group, outputs, budget, is_open=is_open)
        sections.append(section)
        budget -= used
    return sections


def _worst_first(group: Sequence[HostRecord]) -> int:
    status = group[0].status
    return -len(STATUS_ORDER) if status is None else -STATUS_ORDER.index(status)


async def _section(
    group: Sequence[HostRecord], outputs: Outputs, budget: int, *, is_open: bool
) -> tuple[Section, int]:
    """Return hosts that ended alike, and how many bytes of output are shown of them."""
    sample = group[0]
    names = fold(host.name for host in group)
    result = await to_result(sample, outputs)
    if result is None:
        section = Section(None, names, len(group), None, _no_result(sample), is_open=True)
        return section, 0
    run = result.outcome.result
    streams = list(_streams(run, budget)) if run is not None else []
    if result.outcome.diff:
        streams.append(Stream("what changed", result.outcome.diff[:SHOWN_BYTES]))
    section = Section(
        sample.class_number,
        names,
        len(group),
        sample.status,
        render_ending(result),
        lines=list(_lines(group, result)),
        streams=streams,
        is_open=is_open or sample.status not in ("ok", "skipped"),
    )
    return section, sum(len(stream.text) for stream in streams)


def _lines(group: Sequence[HostRecord], result: HostResult) -> Iterator[str]:
    messages: dict[str, list[str]] = {}
    for host in group:
        if host.failure is not None:
            messages.setdefault(render_message(host.failure), []).append(host.name)
    if len(messages) > 1:
        for message, names in list(messages.items())[:_MAX_MESSAGES]:
            yield f"{fold(names)}: {message}"
        if len(messages) > _MAX_MESSAGES:
            yield f"and {len(messages) - _MAX_MESSAGES} more such messages"
    yield from render_notes(result)
    failure = result.outcome.failure
    if failure is not None and failure.hint:
        yield f"hint: {failure.hint}"


def _streams(run: ExecResult, budget: int) -> Iterator[Stream]:
    for name, content, sent in (
        ("stdout", run.stdout, run.stdout_bytes),
        ("stderr", run.stderr, run.stderr_bytes),
    ):
        if not sent and not content:
            continue
        room = max(min(SHOWN_BYTES, budget), 0)
        shown = content if len(content) <= room else _ends_of(content, room)
        budget -= len(shown)
        total = max(sent, len(content))
        left_out = total - len(shown)
        note = f"{left_out} of {total} bytes are not shown" if left_out else ""
        yield Stream(name, shown.decode("utf-8", "surrogateescape"), note)


def _ends_of(content: bytes, room: int) -> bytes:
    tail = room // 2
    return content[: room - tail] + content[len(content) - tail :]


def _host_line(run: RunRecord, host: HostRecord) -> HostLine:
    start_s = None
    if host.started_at is not None:
        start_s = max((host.started_at - run.started_at).total_seconds(), 0.0)
    return HostLine(
        name=host.name,
        status=host.status,
        ran=host.ran,
        ending=_ending(host),
        class_number=host.class_number,
        address=host.address,
        attempts=host.attempts,
        start_s=start_s,
        duration_s=host.duration_s,
        phases=host.phases,
    )


def _ending(host: HostRecord) -> str:
    if host.status is None:
        return _no_result(host)
    failure = host.failure
    if failure is None:
        return host.status.replace("_", " ")
    if failure.kind == "exec.nonzero" and host.exit_status is not None:
        return f"exit status {host.exit_status}"
    return f"{failure.kind}: {render_message(failure)}"


def _no_result(host: HostRecord) -> str:
    return "no result: it was never started" if host.ran == "no" else "no result: it may have run"


def _said(notice: NoticeRecord) -> str:
    subject = f"{notice.host}: " if notice.host else ""
    hint = f" (hint: {notice.hint})" if notice.hint else ""
    return f"{subject}{notice.message}{hint}"
