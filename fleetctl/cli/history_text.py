"""
Recorded runs in words: how they ended, what is known about them. Text is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from fleetctl.cli.perform import render_label
from fleetctl.wiring import fold, one_visible_line
from fleetctl.wiring.recorded import render_duration

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import HostRecord, RunRecord, Style

#: Best first, as in the summary of a run.
_STATUSES: Sequence[Style] = ("ok", "skipped", "cancelled", "unreachable", "timed_out", "failed")
_INTERRUPTIONS = {"INT": "interrupted", "TERM": "terminated", "HUP": "hung up"}
#: Characters of a label or a list of names in a line of facts.
_MOST_CHARACTERS = 400
_SHORT_HASH = 12


def render_names(names: Sequence[str]) -> str:
    """Return ``web[01-18] (18)``; the count is left out for a single host."""
    folded = one_visible_line(fold(names))
    return folded if len(names) == 1 else f"{folded} ({len(names)})"


def render_counts(counts: Mapping[str, int]) -> str:
    """Return ``18 ok, 2 failed``; what needs attention comes last."""
    parts = [f"{counts[name]} {name.replace('_', ' ')}" for name in _STATUSES if counts.get(name)]
    return ", ".join(parts)


def render_verdict(run: RunRecord) -> str:
    """Return how a run ended, in a few words."""
    done = sum(run.counts.values())
    counts = render_counts(run.counts)
    if run.state == "running":
        return f"running: {done} of {run.host_count} done"
    if run.state == "lost":
        return f"lost: {done} of {run.host_count} done"
    if run.interrupted_by is not None:
        return f"{_INTERRUPTIONS.get(run.interrupted_by, 'interrupted')}: {counts}"
    return counts or "no result"


def verdict_style(run: RunRecord) -> Style:
    """Return the style that a verdict is painted in."""
    if run.state != "finished" or run.interrupted_by is not None:
        return "cancelled"
    for status in reversed(_STATUSES):
        if run.counts.get(status):
            return status
    return "ok"


def render_time(at: datetime) -> str:
    """Return the local time of an aware one: ``2026-11-21 18:02:01``."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def render_bytes(size: int) -> str:
    """Return ``512 B``, ``1.2 KiB``, ``3.4 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def what_ran(run: RunRecord) -> str:
    """Return the command line without the program's name, or what the user calls the run."""
    words = run.facts.argv
    if run.label != render_label(words):
        return one_visible_line(run.label)
    return one_visible_line(render_label(words[1:]))


def describe(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of what is known about a run; each text is one escaped line."""
    for name, text in _facts(run):
        shown = one_visible_line(text)
        if len(shown) > _MOST_CHARACTERS:
            shown = shown[: _MOST_CHARACTERS - 1] + "…"
        yield name, shown


def _facts(run: RunRecord) -> Iterator[tuple[str, str]]:
    facts = run.facts
    command = render_label(facts.argv)
    yield "command", command
    if run.label != command:
        yield "label", run.label
    yield "when", _when(run)
    yield "who", f"{facts.user} on {facts.controller}, in {facts.cwd}"
    if run.check:
        yield "check", "looked only, nothing was touched"
    if facts.policy:
        yield "policy", ", ".join(_policy(facts.policy))
    if facts.inputs:
        files = [f"{one.role} {one.path} ({one.sha256[:_SHORT_HASH]})" for one in facts.inputs]
        yield "files", ", ".join(files)
    if run.exit_code is not None:
        yield "exit code", str(run.exit_code)
    yield "fleetctl", facts.version
    if run.lost:
        yield "not recorded", run.lost


def _when(run: RunRecord) -> str:
    zone = f"{run.started_at.astimezone():%z}"
    began = render_time(run.started_at)
    took = "" if run.duration_s is None else f", {render_duration(run.duration_s)}"
    return f"{began} {zone}{took}"


def _policy(policy: Mapping[str, object]) -> Iterator[str]:
    for name, value in policy.items():
        if value in (None, False, "", 0, [], {}):
            continue
        word = name.replace("_", " ")
        yield word if value is True else f"{word} {_plain(value)}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ",".join(_plain(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def without_result(hosts: Sequence[HostRecord]) -> Iterator[str]:
    """Yield a line for the hosts that have no result, by whether it may have run there."""
    silent = [host for host in hosts if host.status is None]
    started = [host.name for host in silent if host.ran != "no"]
    waiting = [host.name for host in silent if host.ran == "no"]
    if waiting:
        yield f"never started: {render_names(waiting)}"
    if started:
        yield f"no result, and it may have run there: {render_names(started)}"
