"""
When each host was at work, as shapes of a drawing; no text of hosts, no markup.

Of a large run the hosts that took longest are drawn, and above them how many were at work at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from fleetctl.model.result import PhaseTimes
from fleetctl.report.content import HostLine

#: Most hosts that get a bar of their own.
MAX_BARS = 100
#: Measures of the drawing, in its own units.
WIDTH = 960
LABEL_WIDTH = 170
BAR_HEIGHT = 12
ROW_HEIGHT = 16
CROWD_HEIGHT = 56
#: Points of the curve of how many were at work.
_CROWD_STEPS = 240
_MOST_TICKS = 6

_ROOM = WIDTH - LABEL_WIDTH - 10


@dataclass(frozen=True, slots=True)
class Part:
    """A phase of a host: ``resolve``, ``connect``, ``kex``, ``auth``, ``session``, ``command``."""

    phase: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """
    A host at work.

    Attributes:
        y: Of its upper edge.
        x: Of its start.
        parts: Its phases, one behind the other; what lies between them is waiting.
    """

    host: HostLine
    x: float
    y: float
    width: float
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis of time."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """
    The drawing.

    Attributes:
        total: Hosts that were started.
        most: Most hosts at work at once.
        crowd: Points of the curve of how many were at work, ``x,y`` each; empty if there is none.
        end_s: Where the axis ends.
    """

    width: int
    height: float
    label_width: int
    top: float
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    crowd: str
    most: int
    total: int
    end_s: float


def draw(hosts: Sequence[HostLine]) -> Timeline | None:
    """Return the drawing, or None if no host was started."""
    started = [host for host in hosts if host.start_s is not None]
    if not started:
        return None
    end_s = max(0.001, *(_end(host) for host in started))
    shown = started
    if len(started) > MAX_BARS:
        slowest = sorted(started, key=lambda host: -host.duration_s)[:MAX_BARS]
        names = {host.name for host in slowest}
        shown = [host for host in started if host.name in names]
    shown = sorted(shown, key=lambda host: host.start_s or 0.0)
    has_crowd = len(started) > 1
    crowd, most = _crowd(started, end_s) if has_crowd else ("", 1)
    top = 18.0 + (CROWD_HEIGHT + 8 if has_crowd else 0)
    bars = [_bar(host, top + row * ROW_HEIGHT, end_s) for row, host in enumerate(shown)]
    return Timeline(
        width=WIDTH,
        height=top + len(bars) * ROW_HEIGHT + 4,
        label_width=LABEL_WIDTH,
        top=top,
        bars=bars,
        ticks=list(_ticks(end_s)),
        crowd=crowd,
        most=most,
        total=len(started),
        end_s=end_s,
    )


def _end(host: HostLine) -> float:
    return (host.start_s or 0.0) + host.duration_s


def _x(seconds: float, end_s: float) -> float:
    return round(LABEL_WIDTH + min(max(seconds / end_s, 0.0), 1.0) * _ROOM, 2)


def _bar(host: HostLine, y: float, end_s: float) -> Bar:
    start = host.start_s or 0.0
    x = _x(start, end_s)
    width = max(_x(_end(host), end_s) - x, 1.0)
    return Bar(host, x, y, round(width, 2), _parts(host, end_s))


def _parts(host: HostLine, end_s: float) -> list[Part]:
    """Return the phases; they end with the host, and what came before them was waiting."""
    known = [
        (field.name.removesuffix("_s"), seconds)
        for field in fields(PhaseTimes)
        if (seconds := getattr(host.phases, field.name)) is not None and seconds >= 0
    ]
    at = max(_end(host) - sum(seconds for _, seconds in known), host.start_s or 0.0)
    parts = []
    for phase, seconds in known:
        x = _x(at, end_s)
        at += seconds
        width = round(_x(at, end_s) - x, 2)
        if width > 0:
            parts.append(Part(phase, x, width))
    return parts


def _crowd(hosts: Sequence[HostLine], end_s: float) -> tuple[str, int]:
    changes: dict[float, int] = {}
    for host in hosts:
        start = host.start_s or 0.0
        changes[start] = changes.get(start, 0) + 1
        changes[_end(host)] = changes.get(_end(host), 0) - 1
    # The most of each step: a short crowd is not lost between two points.
    steps = [0] * (_CROWD_STEPS + 1)
    now = most = 0
    last = 0
    for at in sorted(changes):
        step = min(int(at / end_s * _CROWD_STEPS), _CROWD_STEPS)
        for between in range(last + 1, step + 1):
            steps[between] = now
        now += changes[at]
        most = max(most, now)
        steps[step] = max(steps[step], now)
        last = step
    return _curve(steps, most), most


def _curve(steps: Sequence[int], most: int) -> str:
    """Return the outline of the counts, points on a straight line left out."""
    base = 18 + CROWD_HEIGHT
    points = [f"{LABEL_WIDTH},{base}"]
    for number, count in enumerate(steps):
        if 0 < number < len(steps) - 1 and steps[number - 1] == count == steps[number + 1]:
            continue
        x = round(LABEL_WIDTH + number / _CROWD_STEPS * _ROOM, 2)
        points.append(f"{x},{round(base - count / max(most, 1) * (CROWD_HEIGHT - 4), 2)}")
    points.append(f"{LABEL_WIDTH + _ROOM},{base}")
    return " ".join(points)


def _ticks(end_s: float) -> Iterator[Tick]:
    raw = end_s / _MOST_TICKS
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999)
    digits = max(0, -math.floor(math.log10(step)))
    for number in range(int(end_s / step * 1.0001) + 1):
        yield Tick(_x(number * step, end_s), f"{number * step:.{digits}f} s")
