"""
Which hosts are at work, since when, and the last line each has written.

Costs a bounded amount of memory and work per host and event, however much a host writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from fleetctl.model.events import Event, HostFinished, HostStarted, Output
from fleetctl.sinks.escape import visible_bytes, visible_line

#: Bytes kept of the end of what a host has written.
MAX_TAIL_BYTES = 400


@dataclass(slots=True)
class _AtWork:
    since_s: float
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class SlowHost:
    """
    A host at work.

    Attributes:
        name: Escaped.
        duration_s: Since it was started.
        line: The last line it wrote that is not blank, escaped; empty if there is none.
    """

    name: str
    duration_s: float
    line: str


class Running:
    """Follows events; whoever draws asks `slowest`."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        # In the order they were started, so the first ones run longest.
        self._hosts: dict[str, _AtWork] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    def handle(self, event: Event) -> None:
        """Note who starts, writes and finishes."""
        match event:
            case Output(host=host, data=data):
                at_work = self._hosts.get(host.name)
                if at_work is not None:
                    at_work.tail = (at_work.tail + data[-MAX_TAIL_BYTES:])[-MAX_TAIL_BYTES:]
            case HostStarted(host=host):
                self._hosts.setdefault(host.name, _AtWork(self._clock()))
            case HostFinished(result=result):
                self._hosts.pop(result.host.name, None)

    def slowest(self, count: int) -> Iterator[SlowHost]:
        """Yield the hosts that have been at work longest, at most so many."""
        now_s = self._clock()
        for name, at_work in islice(self._hosts.items(), count):
            line = _last_line(at_work.tail)
            yield SlowHost(visible_line(name), now_s - at_work.since_s, line)


def _last_line(tail: bytes) -> str:
    # A carriage return begins a line, too: that is how programs draw their own progress.
    for line in reversed(tail.replace(b"\r", b"\n").split(b"\n")):
        if line.strip():
            return visible_line(visible_bytes(line.strip()))
    return ""
