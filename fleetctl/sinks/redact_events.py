"""
Events without secrets: what every sink gets to see.

Names, kinds and numbers stay: they are what results are found by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from fleetctl.model.events import (
    Event,
    HostFinished,
    Notice,
    Output,
    RunFinished,
    RunStarted,
    Stream,
)
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult, HostResult, Outcome
from fleetctl.sinks.redact import RedactedStream, Redactor


class RedactedEvents:
    """
    Takes secrets out of events, in the order in which they come.

    Live output is held back as long as its end may be the beginning of a secret, at most until its
    host has finished.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._streams: dict[str, tuple[Host, dict[Stream, RedactedStream]]] = {}

    def handle(self, event: Event) -> Iterator[Event]:
        """Yield what may be shown now; the same objects where there was nothing to take out."""
        if self._redactor.is_idle:
            yield event
            return
        redact = self._redactor.text
        match event:
            case Output():
                yield from self._output(event)
            case HostFinished():
                yield from self._rest_of(event.result.host.name, event.at)
                result = redact_result(event.result, self._redactor)
                yield event if result is event.result else replace(event, result=result)
            case Notice():
                hint = redact(event.hint) if event.hint else event.hint
                yield replace(event, message=redact(event.message), hint=hint)
            case RunStarted():
                yield replace(event, label=redact(event.label))
            case RunFinished():
                for name in tuple(self._streams):
                    yield from self._rest_of(name, event.at)
                yield event
            case _:
                yield event

    def _output(self, event: Output) -> Iterator[Event]:
        _, streams = self._streams.setdefault(event.host.name, (event.host, {}))
        stream = streams.get(event.stream)
        if stream is None:
            stream = streams[event.stream] = RedactedStream(self._redactor)
        shown = stream.add(event.data)
        if shown:
            yield event if shown is event.data else replace(event, data=shown)

    def _rest_of(self, name: str, at: datetime) -> Iterator[Event]:
        host, streams = self._streams.pop(name, (None, {}))
        for kind, stream in streams.items():
            rest = stream.end()
            if rest and host is not None:
                yield Output(host, kind, rest, at)


def redact_cut_output(event: Event, redactor: Redactor) -> Event:
    """
    Return the event without secrets if it has truncated output, else the same object.

    For whoever keeps results and takes secrets out of whole texts: halves of them beside the gap
    are found here only.
    """
    if not isinstance(event, HostFinished) or redactor.is_idle:
        return event
    run = event.result.outcome.result
    if run is None or not run.truncated:
        return event
    return replace(event, result=redact_result(event.result, redactor))


def redact_result(result: HostResult, redactor: Redactor) -> HostResult:
    """Return the result without secrets; the same object if there were none in it."""
    before = result.outcome
    run = _run(before.result, redactor) if before.result is not None else None
    failure = _failure(before.failure, redactor) if before.failure is not None else None
    data = redactor.json(before.data) if before.data else before.data
    diff = redactor.text(before.diff) if before.diff else before.diff
    are_same = run is before.result and failure is before.failure
    if are_same and data is before.data and diff is before.diff:
        return result
    assert isinstance(data, Mapping)
    outcome = Outcome(
        status=before.status,
        changed=before.changed,
        result=run,
        data=data,
        diff=diff,
        failure=failure,
    )
    return replace(result, outcome=outcome)


def _failure(failure: Failure, redactor: Redactor) -> Failure:
    message = redactor.text(failure.message)
    hint = redactor.text(failure.hint) if failure.hint else failure.hint
    if message is failure.message and hint is failure.hint:
        return failure
    return replace(failure, message=message, hint=hint)


def _run(run: ExecResult, redactor: Redactor) -> ExecResult:
    stdout, stdout_bytes = _kept(run.stdout, run.stdout_bytes, redactor)
    stderr, stderr_bytes = _kept(run.stderr, run.stderr_bytes, redactor)
    signal = redactor.text(run.exit_signal) if run.exit_signal else run.exit_signal
    if stdout is run.stdout and stderr is run.stderr and signal is run.exit_signal:
        return run
    return replace(
        run,
        stdout=stdout,
        stdout_bytes=stdout_bytes,
        stderr=stderr,
        stderr_bytes=stderr_bytes,
        exit_signal=signal,
    )


def _kept(content: bytes, total_bytes: int, redactor: Redactor) -> tuple[bytes, int]:
    """
    Return kept output without secrets, and how much of it there was.

    Whole output stays whole: what was taken out counts as never sent. Of truncated output head and
    tail are looked at apart, and the longer is cut at the gap, so that the gap stays in the middle.
    """
    if total_bytes <= len(content):
        clean = redactor.data(content)
        return clean, total_bytes + len(clean) - len(content)
    middle = len(content) - len(content) // 2
    head, begun, _ = redactor.begun(content[:middle])
    tail = redactor.after_gap(content[middle:])
    if not begun and head + tail == content:
        return content, total_bytes
    half = min(len(head), len(tail))
    return head[:half] + tail[len(tail) - half :], total_bytes
