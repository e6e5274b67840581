"""
Equal output shown once, under the folded names of the hosts that gave it, as ``clush -b`` does.

Our lines begin in the first column. A host's lines are set in by a two-column gutter, blank for
stdout and ``!`` for stderr, so no output can imitate a header. Nothing is shown before the run has
finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.sinks.escape import prefix_lines, visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.wording import (
    STATUS_ORDER,
    Fold,
    render_ending,
    render_message,
    render_names,
    render_notes,
    render_status,
    split_kept,
)

RULE = "-" * 15
OUT_GUTTER = "  "
ERR_GUTTER = "! "

#: Most different messages shown for hosts that failed alike; the rest are counted.
MAX_MESSAGES = 8

# Kinds whose ending says it all in the header.
_PLAIN_KINDS = frozenset({"exec.nonzero", "exec.signal"})


@dataclass(slots=True)
class _Group:
    """Hosts that ended alike; ``first`` stands for all, only the messages may differ."""

    first: HostResult
    order: int
    names: list[str] = field(default_factory=list)
    messages: dict[str, list[str]] = field(default_factory=dict)

    def add(self, result: HostResult) -> None:
        self.names.append(result.host.name)
        failure = result.outcome.failure
        if failure is not None and failure.kind not in _PLAIN_KINDS:
            message = render_message(failure)
            self.messages.setdefault(message, []).append(result.host.name)


class GatherSink:
    """Collects results, keeping one copy of equal output, and shows them at the end of the run."""

    def __init__(self, out: Printer, *, fold: Fold) -> None:
        self._out = out
        self._fold = fold
        self._order: dict[str, int] = {}
        self._groups: dict[object, _Group] = {}

    def handle(self, event: Event) -> None:
        """Collect a result; show everything when the run has finished."""
        match event:
            case RunStarted():
                self._order = {host.name: index for index, host in enumerate(event.hosts)}
            case HostFinished():
                self._add(event.result)
            case RunFinished():
                self._show()

    def close(self) -> None:
        """Show what was collected if the run never said it had finished."""
        self._show()

    def _add(self, result: HostResult) -> None:
        key = _likeness(result)
        group = self._groups.get(key)
        order = self._order.get(result.host.name, len(self._order))
        if group is None:
            group = self._groups[key] = _Group(result, order)
        group.order = min(group.order, order)
        group.add(result)

    def _show(self) -> None:
        groups = sorted(
            self._groups.values(),
            key=lambda group: (
                STATUS_ORDER.index(group.first.outcome.status),
                -len(group.names),
                group.order,
            ),
        )
        self._groups.clear()
        for group in groups:
            self._out.write("".join(self._render(group)))
        self._out.flush()

    def _render(self, group: _Group) -> Iterator[str]:
        rule = self._out.paint("faint", RULE)
        yield f"{rule}\n{self._header(group)}\n{rule}\n"
        result = group.first
        run = result.outcome.result
        if run is not None:
            yield from _render_output(run)
        yield from self._render_messages(group)
        yield from (f"({note})\n" for note in render_notes(result))
        failure = result.outcome.failure
        if failure is not None and failure.hint:
            yield f"hint: {visible_line(failure.hint)}\n"

    def _header(self, group: _Group) -> str:
        outcome = group.first.outcome
        header = self._out.paint("strong", self._names(group.names))
        ending = render_status(outcome.status)
        if outcome.failure is not None and not group.messages:
            ending = render_ending(group.first)
        elif outcome.status == "ok" and outcome.result is not None:
            has_output = outcome.result.stdout or outcome.result.stderr
            ending = "" if has_output else "ok, no output"
        elif outcome.status == "ok" and outcome.changed:
            ending = "ok, changed"
        if ending:
            header += f": {self._out.paint(outcome.status, ending)}"
        return header

    def _render_messages(self, group: _Group) -> Iterator[str]:
        # The kind comes first, so that text a host sent cannot pass for a hint or a note of ours.
        failure = group.first.outcome.failure
        kind = failure.kind if failure else ""
        for message, names in list(group.messages.items())[:MAX_MESSAGES]:
            subject = f"{self._names(names)}: " if len(group.messages) > 1 else ""
            yield f"{kind}: {subject}{message}\n"
        more = len(group.messages) - MAX_MESSAGES
        if more > 0:
            yield f"(and {more} more such messages)\n"

    def _names(self, names: Iterable[str]) -> str:
        return render_names(names, self._fold)


def _likeness(result: HostResult) -> object:
    """Return what must be equal for two hosts to share a group."""
    outcome = result.outcome
    failure = outcome.failure
    run = outcome.result
    return (
        outcome.status,
        result.ran,
        (failure.kind, failure.hop) if failure else None,
        run
        and (
            run.exit_status,
            run.exit_signal,
            run.stdout,
            run.stderr,
            run.stdout_bytes,
            run.stderr_bytes,
            run.output_complete,
        ),
        # Without a command there is nothing but this to tell hosts apart.
        outcome.changed if run is None else None,
    )


def _render_output(run: ExecResult) -> Iterator[str]:
    for gutter, stream, content, total_bytes in (
        (OUT_GUTTER, "stdout", run.stdout, run.stdout_bytes),
        (ERR_GUTTER, "stderr", run.stderr, run.stderr_bytes),
    ):
        head, tail = split_kept(content, total_bytes)
        yield prefix_lines(gutter, head)
        if tail:
            yield f"({total_bytes - len(content)} bytes of {stream} left out here)\n"
            yield prefix_lines(gutter, tail)
