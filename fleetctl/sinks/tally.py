"""
Counts of a run: statuses, what failed and how, and the exit code that follows.

Keeps one small record per host without a good result, never output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.model.failure import Status, exit_code_of
from fleetctl.model.result import HostResult, Ran
from fleetctl.model.settings import HostSettings
from fleetctl.sinks.wording import render_ending

_SIGNAL_CODES = {"HUP": 129, "INT": 130, "TERM": 143}


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    A host without a good result (skipped hosts are not in trouble).

    Attributes:
        kind: Failure kind, or the status if the result has no failure.
        text: How it ended, in one escaped line without the host's name.
    """

    host: str
    status: Status
    kind: str
    text: str
    hint: str | None
    ran: Ran


def _wanted(refused: Sequence[str], settings: HostSettings) -> tuple[str, ...]:
    """
    Return the refused variables that somebody here asked for.

    Many systems come with a SendEnv for the language, which hosts need not take.
    """
    written = settings.origin.get("SendEnv", "").split(", ")
    if any(origin and not origin.startswith("/etc/ssh/") for origin in written):
        return tuple(refused)
    return tuple(name for name in refused if name in settings.set_env)


class Tally:
    """
    Counts results.

    Attributes:
        counts: Status -> number of hosts.
        troubles: In the order in which hosts finished.
        interrupted_by: Signal name or None, known when the run has finished.
        refused_env: Variables that somebody wanted to be sent -> the hosts that did not take them.
        is_check: Nothing was to be changed.
        changed: How many hosts are different, or would be.
    """

    def __init__(self) -> None:
        self.counts: Counter[Status] = Counter()
        self.interrupted_by: str | None = None
        self.refused_env: dict[tuple[str, ...], list[str]] = {}
        self.is_check = False
        self.changed = 0
        self._troubles: list[Trouble] = []
        self._expected = 0
        self._largest_status = 0

    @property
    def troubles(self) -> Sequence[Trouble]:
        return self._troubles

    @property
    def total(self) -> int:
        """How many hosts have a result."""
        return self.counts.total()

    @property
    def missing(self) -> int:
        """How many hosts of the run have no result yet; at the end there should be none."""
        return max(self._expected - self.total, 0)

    def handle(self, event: Event) -> None:
        """Count a result."""
        match event:
            case RunStarted():
                self._expected += len(event.hosts)
                self.is_check = self.is_check or event.check
            case HostFinished():
                self.changed += event.result.outcome.changed
                self._count(event.result)
            case RunFinished():
                self.interrupted_by = event.interrupted_by or self.interrupted_by

    def close(self) -> None:
        """Nothing to flush."""

    def exit_code(self, *, remote: bool = False, incomplete: bool = False) -> int:
        """
        Return the exit code of the process.

        Args:
            remote: Return the largest exit status of any host, if one is not 0
                (``--exit-status remote``). A host without a status never makes it 0.
            incomplete: Results were lost on the way to a store or disk.

        Source: docs of the command line, section "Exit codes". A host of the run without a
        result is an internal error.
        """
        if self.interrupted_by is not None:
            return _SIGNAL_CODES.get(self.interrupted_by, _SIGNAL_CODES["INT"])
        if remote and self._largest_status:
            return self._largest_status
        codes = [0]
        if incomplete:
            codes.append(6)
        if self.missing:
            codes.append(5)
        codes += (exit_code_of(trouble.kind) for trouble in self._troubles)
        if self.counts["unreachable"]:
            codes.append(4)
        return max(codes)

    def _count(self, result: HostResult) -> None:
        outcome = result.outcome
        self.counts[outcome.status] += 1
        if outcome.result is not None and outcome.result.exit_status is not None:
            self._largest_status = max(self._largest_status, outcome.result.exit_status)
        if outcome.result is not None and outcome.result.refused_env:
            names = _wanted(outcome.result.refused_env, result.host.settings)
            if names:
                self.refused_env.setdefault(names, []).append(result.host.name)
        if outcome.status in ("ok", "skipped"):
            return
        failure = outcome.failure
        self._troubles.append(
            Trouble(
                host=result.host.name,
                status=outcome.status,
                kind=failure.kind if failure else outcome.status,
                text=render_ending(result),
                hint=failure.hint if failure else None,
                ran=result.ran,
            )
        )
