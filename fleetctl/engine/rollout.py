"""
A run in batches: canaries first, then the rest, as long as what came back is good enough.

Puts batches through an engine that knows nothing of them; its runs share one id.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

from fleetctl.engine.attempt import INTERRUPTED, never_started
from fleetctl.engine.ending import Ending
from fleetctl.model.events import Event, HostFinished, Notice, RunFinished, RunStarted
from fleetctl.model.result import HostResult, Outcome
from fleetctl.model.rollout import Batch, Gate, Rollout, batch_sizes
from fleetctl.model.run import Assignment, Run

#: How a host ended and what it printed.
_Class = tuple[str, int | None, str | None, bytes, bytes]

_GOOD = frozenset({"ok", "skipped"})


class BatchEngine(Protocol):
    """What runs one batch."""

    def execute(
        self, run: Run, *, watch: Callable[[HostResult], None] | None = None
    ) -> AsyncGenerator[Event, None]: ...

    def stop(self, why: str = INTERRUPTED, *, kind: str = "run.cancelled") -> None: ...

    def cancel(self) -> None: ...

    async def aclose(self) -> None: ...


class RolloutEngine:
    """
    Implements `fleetctl.model.ports.Engine` over another engine.

    Args:
        gate: Asked after each batch but the last; None to ask nobody.
    """

    def __init__(self, engine: BatchEngine, gate: Gate | None = None) -> None:
        self._engine = engine
        self._gate = gate
        self._rollouts: list[_Progress] = []

    async def execute(self, run: Run) -> AsyncGenerator[Event, None]:
        """Yield the events of the run; see `Engine`. A run without a rollout is passed through."""
        rollout = run.rollout
        if rollout is None:
            async with aclosing(self._engine.execute(run)) as events:
                async for event in events:
                    yield event
            return
        progress = _Progress(replace(run, assignments=in_order(run.assignments, rollout)), rollout)
        self._rollouts.append(progress)
        try:
            async with aclosing(self._batches(progress)) as events:
                async for event in events:
                    yield event
        finally:
            self._rollouts.remove(progress)

    def stop(self) -> None:
        """As for every engine: what is at work goes on to its end, and no batch follows."""
        for progress in self._rollouts:
            progress.ending.ask(INTERRUPTED)
        self._engine.stop()

    def cancel(self) -> None:
        for progress in self._rollouts:
            progress.ending.ask(INTERRUPTED)
        self._engine.cancel()

    async def aclose(self) -> None:
        await self._engine.aclose()

    async def _batches(self, progress: _Progress) -> AsyncGenerator[Event, None]:
        run, started = progress.run, monotonic()
        hosts = tuple(assignment.host for assignment in run.assignments)
        yield RunStarted(run.id, run.label, hosts, datetime.now(UTC), run.check)
        if progress.rollout.once:
            for assignment in progress.skip_all_but_first():
                why = f"run once, on {hosts[0].name}"
                yield progress.count(_skipped(assignment, why))
        for batch, assignments in progress.batches():
            async with aclosing(self._batch(progress, batch, assignments)) as events:
                async for event in events:
                    yield event
            if progress.ending.why:
                break
        for assignment in progress.not_started():
            result = never_started(assignment.host, progress.ending.why, progress.ending.kind)
            yield progress.count(HostFinished(result, datetime.now(UTC)))
        counts = dict(progress.counts)
        yield RunFinished(run.id, datetime.now(UTC), monotonic() - started, counts)

    async def _batch(
        self, progress: _Progress, batch: Batch, assignments: Sequence[Assignment]
    ) -> AsyncGenerator[Event, None]:
        if batch.count > 1:
            yield _notice(progress.describe(batch))
        run = replace(progress.run, assignments=assignments)

        def watch(result: HostResult) -> None:
            why, kind = progress.verdict(result, batch)
            if why and not progress.ending.why:
                progress.ending.ask(why, kind=kind)
                self._engine.stop(why, kind=kind)

        async with aclosing(self._engine.execute(run, watch=watch)) as events:
            was_ending = False
            async for event in events:
                if isinstance(event, HostFinished):
                    yield progress.count(event)
                    if progress.has_verdict and not was_ending:
                        was_ending = True
                        yield _notice(f"stopping: {progress.ending.why}")
                elif not isinstance(event, RunStarted | RunFinished):
                    yield event
        if batch.number < batch.count and not progress.ending.why:
            async for event in self._between(progress, batch):
                yield event

    async def _between(self, progress: _Progress, batch: Batch) -> AsyncGenerator[Event, None]:
        rollout, ending = progress.rollout, progress.ending
        if batch.is_canary and rollout.soak_s:
            yield _notice(f"the canary soaks for {rollout.soak_s:g} s")
            if not await ending.passes(rollout.soak_s):
                return
        if self._gate is not None:
            why = await self._gate.judge(batch, progress.results_of(batch))
            if why:
                ending.ask(why, kind="run.gate")
                yield _notice(f"stopping: {why}")
                return
        if rollout.pause_s:
            yield _notice(f"pausing for {rollout.pause_s:g} s")
            await ending.passes(rollout.pause_s)


class _Progress:
    """How far a rollout has come."""

    def __init__(self, run: Run, rollout: Rollout) -> None:
        self.run = run
        self.rollout = rollout
        self.ending = Ending()
        self.counts: Counter[str] = Counter()
        self._results: dict[str, HostResult] = {}
        self._assignments = list(run.assignments)
        self._failed = 0
        self._known: set[_Class] = set()

    @property
    def has_verdict(self) -> bool:
        """Whether what came back has ended it, and not somebody from outside."""
        return bool(self.ending.why) and self.ending.kind != "run.cancelled"

    def skip_all_but_first(self) -> list[Assignment]:
        rest, self._assignments = self._assignments[1:], self._assignments[:1]
        return rest

    def batches(self) -> Iterator[tuple[Batch, Sequence[Assignment]]]:
        sizes = batch_sizes(self.rollout, len(self._assignments))
        first = 0
        for number, (size, is_canary) in enumerate(sizes, 1):
            assignments = self._assignments[first : first + size]
            names = tuple(assignment.host.name for assignment in assignments)
            yield Batch(number, len(sizes), names, is_canary), assignments
            first += size

    def describe(self, batch: Batch) -> str:
        what = "canary" if batch.is_canary else "batch"
        hosts = "1 host" if len(batch.names) == 1 else f"{len(batch.names)} hosts"
        return f"{what} {batch.number} of {batch.count}: {hosts}"

    def count(self, event: HostFinished) -> HostFinished:
        self.counts[event.result.outcome.status] += 1
        self._results[event.result.host.name] = event.result
        return event

    def results_of(self, batch: Batch) -> list[HostResult]:
        return [self._results[name] for name in batch.names]

    def not_started(self) -> list[Assignment]:
        return [each for each in self.run.assignments if each.host.name not in self._results]

    def verdict(self, result: HostResult, batch: Batch) -> tuple[str, str]:
        """Return why a result must stop the run, and the kind of failure that is; or nothing."""
        name = result.host.name
        if result.outcome.status not in _GOOD and result.outcome.status != "cancelled":
            self._failed += 1
            if batch.is_canary:
                return f"the canary {name} failed", "run.gate"
            limit = self.rollout.max_fail
            if limit is not None and self._failed > limit.of(len(self.run.assignments)):
                many = "1 host has" if self._failed == 1 else f"{self._failed} hosts have"
                return f"{many} failed, more than {limit} may", "run.max_fail"
        if not self.rollout.stops_at_new_output or result.outcome.status == "cancelled":
            return "", ""
        if batch.is_canary:
            self._known.add(_class_of(result))
        elif _class_of(result) not in self._known:
            return f"{name} gave a result that no canary gave", "run.gate"
        return "", ""


def in_order(assignments: Sequence[Assignment], rollout: Rollout) -> Sequence[Assignment]:
    """Return the assignments in the order in which they are to start."""
    ordered = list(assignments)
    if rollout.order == "reverse":
        ordered.reverse()
    elif rollout.order == "shuffle":
        random.Random(rollout.seed).shuffle(ordered)  # noqa: S311 - not for secrets
    return ordered


def _class_of(result: HostResult) -> _Class:
    run = result.outcome.result
    if run is None:
        return result.outcome.status, None, None, b"", b""
    return result.outcome.status, run.exit_status, run.exit_signal, run.stdout, run.stderr


def _skipped(assignment: Assignment, why: str) -> HostFinished:
    outcome = Outcome(status="skipped", data={"why": why})
    return HostFinished(HostResult(assignment.host, outcome), datetime.now(UTC))


def _notice(message: str) -> Notice:
    return Notice("rollout", message, datetime.now(UTC))
