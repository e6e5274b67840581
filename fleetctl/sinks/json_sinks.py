"""
Results for programs: one JSON object at the end, or one JSON event per line as it happens.

The shapes are `fleetctl.model.codec`'s; here they become bytes. Always UTF-8, whatever the locale.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import BinaryIO

from fleetctl.model.codec import event_to_json, render_time, result_to_json
from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.sinks.escape import UNSAFE

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def render_json(value: Mapping[str, object]) -> bytes:
    """
    Return compact JSON in one line, without its newline.

    Other scripts stay readable, but what could steer a terminal or break a line elsewhere (C1, bidi
    controls, U+2028) is escaped, as is what UTF-8 cannot hold (lone surrogates).
    """
    text = _encode(value)
    if not text.isascii() or "\x7f" in text:
        text = UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.encode()


class NdjsonSink:
    """Writes one event per line, each handed to the operating system at once."""

    def __init__(self, out: BinaryIO, *, local_user: str | None = None) -> None:
        self._out = out
        self._local_user = local_user
        self._run_id: str | None = None
        self._seq = 0

    def handle(self, event: Event) -> None:
        """Write the event."""
        if isinstance(event, RunStarted):
            self._run_id = event.run_id
        self._seq += 1
        fields = event_to_json(
            event, run_id=self._run_id, seq=self._seq, local_user=self._local_user
        )
        self._out.write(render_json(fields) + b"\n")
        self._out.flush()

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._out.flush()


class JsonSink:
    """
    Writes ``{"run": …, "hosts": […], "counts": {…}}`` once the run has finished.

    Hosts come in the order of the run, one per line, whatever order they finished in.
    """

    def __init__(self, out: BinaryIO, *, local_user: str | None = None) -> None:
        self._out = out
        self._local_user = local_user
        self._started: RunStarted | None = None
        self._hosts: dict[str, bytes] = {}
        self._counts: Counter[str] = Counter()

    def handle(self, event: Event) -> None:
        """Keep a result; write the object when the run has finished."""
        match event:
            case RunStarted():
                self._started = event
            case HostFinished(result=result):
                fields = result_to_json(result, local_user=self._local_user)
                self._hosts[result.host.name] = render_json(fields)
                self._counts[result.outcome.status] += 1
            case RunFinished():
                self._write(event)

    def close(self) -> None:
        """Write what there is if the run never said it had finished."""
        if self._started is not None:
            self._write(None)

    def _write(self, finished: RunFinished | None) -> None:
        started, self._started = self._started, None
        if started is None:
            return
        run = {
            "id": started.run_id,
            "label": started.label,
            "check": started.check,
            "started_at": render_time(started.at),
            "finished_at": render_time(finished.at) if finished else None,
            "duration_s": round(finished.duration_s, 6) if finished else None,
            "interrupted_by": finished.interrupted_by if finished else None,
        }
        hosts = [self._hosts[host.name] for host in started.hosts if host.name in self._hosts]
        self._out.write(
            b'{"run":%b,\n"hosts":[\n%b\n],\n"counts":%b}\n'
            % (render_json(run), b",\n".join(hosts), render_json(self._counts))
        )
        self._out.flush()
