"""
Output classes: hosts that ended alike and wrote the same, byte for byte.

One copy is kept of equal output. Classes are numbered from 1, biggest first; of equal size, the one
whose first host comes first in the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fleetctl.model.events import Event, HostFinished, RunStarted
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.sinks.wording import render_message, split_kept

#: Bytes of output kept whole, of all classes together; of more classes little is kept.
MAX_KEPT_BYTES = 64 * 1024 * 1024
#: Bytes kept of each stream once there is that much.
FEW_BYTES = 2 * 1024

#: Kinds of failure whose ending says it all.
PLAIN_KINDS = frozenset({"exec.nonzero", "exec.signal"})


@dataclass(slots=True)
class OutputClass:
    """
    Hosts that ended alike.

    Attributes:
        sample: The first result; stands for all, only the messages may differ.
        order: Place in the run of the host that comes first.
        names: In the order in which they finished.
        messages: What failures say -> the hosts that say it; empty if the ending says it all.
        number: From 1, biggest first.
    """

    sample: HostResult
    order: int
    names: list[str] = field(default_factory=list)
    messages: dict[str, list[str]] = field(default_factory=dict)
    number: int = 0


class OutputClasses:
    """
    Sorts results into classes as they come; a sink, to be told before those that show them.

    Args:
        keep_output: Keep the output of each class; without it only the names.
    """

    def __init__(self, *, keep_output: bool = True) -> None:
        self._keep_output = keep_output
        self._kept_bytes = 0
        self._order: dict[str, int] = {}
        self._classes: dict[object, OutputClass] = {}

    def handle(self, event: Event) -> None:
        """Sort a result; other events do not matter."""
        match event:
            case RunStarted():
                self._order = {host.name: index for index, host in enumerate(event.hosts)}
            case HostFinished():
                self._add(event.result)

    def close(self) -> None:
        """Nothing to flush."""

    def numbered(self) -> Sequence[OutputClass]:
        """Return the classes in the order of their numbers."""
        found = sorted(self._classes.values(), key=lambda one: (-len(one.names), one.order))
        for number, one in enumerate(found, 1):
            one.number = number
        return found

    def typical(self) -> OutputClass | None:
        """
        Return the class of more than half of the hosts that are ok, None if there is none.

        Only hosts that ran a command count, and one or two are nothing to compare.
        """
        total = 0
        biggest: OutputClass | None = None
        for one in self.numbered():
            if is_comparable(one):
                biggest = biggest or one
                total += len(one.names)
        if biggest is None or total <= 2 or 2 * len(biggest.names) <= total:
            return None
        return biggest

    def outliers(self) -> Sequence[OutputClass]:
        """Return the classes of hosts that are ok but unlike the typical ones, by number."""
        typical = self.typical()
        if typical is None:
            return ()
        return [one for one in self.numbered() if is_comparable(one) and one is not typical]

    def _add(self, result: HostResult) -> None:
        key = likeness(result)
        found = self._classes.get(key)
        order = self._order.get(result.host.name, len(self._order))
        if found is None:
            found = self._classes[key] = OutputClass(self._bounded(result), order)
        found.order = min(found.order, order)
        found.names.append(result.host.name)
        failure = result.outcome.failure
        if failure is not None and failure.kind not in PLAIN_KINDS:
            message = render_message(failure)
            found.messages.setdefault(message, []).append(result.host.name)

    def _bounded(self, result: HostResult) -> HostResult:
        """Return the result with as much of its output as there is room for."""
        run = result.outcome.result
        if run is None:
            return result
        size = len(run.stdout) + len(run.stderr)
        if self._keep_output and self._kept_bytes + size <= MAX_KEPT_BYTES:
            self._kept_bytes += size
            return result
        few = FEW_BYTES if self._keep_output else 0
        run = replace(
            run,
            stdout=_shortened(run.stdout, run.stdout_bytes, few),
            stderr=_shortened(run.stderr, run.stderr_bytes, few),
        )
        return replace(result, outcome=replace(result.outcome, result=run))


def is_comparable(one: OutputClass) -> bool:
    """Tell whether the hosts of the class ran a command that went well."""
    outcome = one.sample.outcome
    return outcome.status == "ok" and outcome.result is not None


def likeness(result: HostResult) -> object:
    """Return what is equal for two hosts of a class, and for no others."""
    outcome = result.outcome
    failure = outcome.failure
    run = outcome.result
    return (
        outcome.status,
        result.ran,
        (failure.kind, failure.hop) if failure else None,
        run and _likeness_of_run(run),
        # Without a command there is nothing but this to tell hosts apart.
        outcome.changed if run is None else None,
    )


def _likeness_of_run(run: ExecResult) -> object:
    return (
        run.exit_status,
        run.exit_signal,
        hashlib.sha256(run.stdout).digest(),
        hashlib.sha256(run.stderr).digest(),
        run.stdout_bytes,
        run.stderr_bytes,
        run.output_complete,
    )


def _shortened(content: bytes, total_bytes: int, size: int) -> bytes:
    """Return head and tail of what is head and tail already, or the whole."""
    if len(content) <= size:
        return content
    head, tail = split_kept(content, total_bytes)
    last = size // 2
    return head[: size - last] + ((tail or head)[-last:] if last else b"")
