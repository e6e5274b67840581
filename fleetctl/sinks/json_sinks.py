"""
Results for programs: one JSON object, or one JSON event per line as it happens.

The shapes are `fleetctl.model.codec`'s; here they become bytes. Always UTF-8, whatever the locale.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from fleetctl.model.codec import event_to_json, render_time, result_to_json
from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.model.result import HostResult
from fleetctl.sinks.escape import UNSAFE

#: Of results that wait for their turn in ``--format json``.
HELD_BYTES = 64 * 1024 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class ByteStream(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> None: ...


def render_json(value: Mapping[str, object]) -> bytes:
    """
    Return compact JSON in one line, without its newline.

    Other scripts stay readable, but what could steer a terminal or break a line elsewhere (C1, bidi
    controls, U+2028) is escaped, as is what UTF-8 cannot hold (lone surrogates), and the commands
    of build servers.
    """
    text = _encode(value)
    if "##" in text:  # Azure Pipelines takes ##vso[ for a command anywhere in a line
        text = text.replace("##", "#\\u0023")
    if not text.isascii() or "\x7f" in text:
        text = UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.encode()


def without_output(result: HostResult) -> HostResult:
    """
    Return the result with nothing of its output but how much it was, and that it is not all there.

    For when memory runs out: a row is worth more than what is in it (F77).
    """
    run = result.outcome.result
    if run is None:
        return result
    run = replace(run, stdout=b"", stderr=b"", truncated=True)
    return replace(result, outcome=replace(result.outcome, result=run))


class NdjsonSink:
    """Writes one event per line, each handed to the operating system at once."""

    def __init__(self, out: ByteStream, *, local_user: str | None = None) -> None:
        self._out = out
        self._local_user = local_user
        self._run_id: str | None = None
        self._seq = 0

    def handle(self, event: Event) -> None:
        """Write the event."""
        if isinstance(event, RunStarted):
            self._run_id = event.run_id
        self._seq += 1
        try:
            rendered = self._render(event)
        except MemoryError:
            if not isinstance(event, HostFinished):
                raise
            rendered = self._render(replace(event, result=without_output(event.result)))
        self._out.write(rendered)
        self._out.write(b"\n")
        self._out.flush()

    def _render(self, event: Event) -> bytes:
        fields = event_to_json(
            event, run_id=self._run_id, seq=self._seq, local_user=self._local_user
        )
        return render_json(fields)

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._out.flush()


class JsonSink:
    """
    Writes ``{"hosts": […], "counts": {…}, "run": …}``, one host per line, while the run goes on.

    Hosts come in the order of the run, whatever order they finished in, as long as those that wait
    for their turn take less than `HELD_BYTES`; then all that wait are written. So the memory it
    takes does not depend on how much the hosts wrote. What is whole is written whole, and `close`
    ends the object wherever it was: whatever interrupts the run, it is valid JSON.
    """

    def __init__(
        self, out: ByteStream, *, local_user: str | None = None, held_bytes: int = HELD_BYTES
    ) -> None:
        self._out = out
        self._local_user = local_user
        self._most_held_bytes = held_bytes
        self._started: RunStarted | None = None
        self._counts: Counter[str] = Counter()
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0
        self._next = 0  # of the hosts of the run, the first whose turn has not come
        self._early: set[str] = set()  # written before their turn
        self._separator = b"\n"

    def handle(self, event: Event) -> None:
        """Write the results whose turn has come, and the end when the run has finished."""
        match event:
            case RunStarted():
                self._started = event
                self._out.write(b'{"hosts":[')
                self._out.flush()
            case HostFinished(result=result):
                self._counts[result.outcome.status] += 1
                try:
                    rendered = self._render(result)
                except MemoryError:
                    rendered = self._render(without_output(result))
                self._held[result.host.name] = rendered
                self._held_bytes += len(rendered)
                self._write_turns()
            case RunFinished():
                self._write_end(event)

    def _render(self, result: HostResult) -> bytes:
        return render_json(result_to_json(result, local_user=self._local_user))

    def close(self) -> None:
        """Write what there is if the run never said it had finished."""
        self._write_end(None)

    def _write_turns(self) -> None:
        assert self._started is not None
        hosts = self._started.hosts
        while self._next < len(hosts):
            name = hosts[self._next].name
            rendered = self._held.pop(name, None)
            if rendered is not None:
                self._held_bytes -= len(rendered)
                self._write_host(rendered)
            elif name not in self._early:
                break
            self._next += 1
        if self._held_bytes > self._most_held_bytes:
            self._write_held()
        self._out.flush()

    def _write_held(self) -> None:
        """Write all that wait, those of the order first."""
        assert self._started is not None
        for host in self._started.hosts[self._next :]:
            rendered = self._held.pop(host.name, None)
            if rendered is not None:
                self._early.add(host.name)
                self._write_host(rendered)
        self._held_bytes = 0

    def _write_host(self, rendered: bytes) -> None:
        self._out.write(self._separator)
        self._out.write(rendered)  # which may be large: not copied once more
        self._separator = b",\n"

    def _write_end(self, finished: RunFinished | None) -> None:
        started = self._started
        if started is None:
            return
        self._write_held()
        self._started = None
        run = {
            "id": started.run_id,
            "label": started.label,
            "check": started.check,
            "started_at": render_time(started.at),
            "finished_at": render_time(finished.at) if finished else None,
            "duration_s": round(finished.duration_s, 6) if finished else None,
            "interrupted_by": finished.interrupted_by if finished else None,
        }
        self._out.write(
            b'\n],\n"counts":%b,\n"run":%b}\n' % (render_json(self._counts), render_json(run))
        )
        self._out.flush()
