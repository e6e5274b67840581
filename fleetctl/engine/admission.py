"""
Which host of a run may start next, where groups of hosts may not all be down at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from fleetctl.model.result import HostResult
from fleetctl.model.run import Assignment

#: What a host shares with others: the name of a variable, and its value.
_Share = tuple[str, str]


class Admission:
    """
    The assignments of a run that were not started, and who of them may be.

    Args:
        max_down: Name of a variable -> how many hosts with the same value of it may be down: at
            work, or failed. Hosts without the variable are not counted.
    """

    def __init__(self, assignments: Iterable[Assignment], max_down: Mapping[str, int]) -> None:
        self._waiting = deque(assignments)
        self._max_down = max_down
        self._down: Counter[_Share] = Counter()
        self._failed: Counter[_Share] = Counter()

    @property
    def may_start(self) -> bool:
        """Whether there is one that may start now."""
        return bool(self._waiting) and (not self._max_down or self._find() is not None)

    def next(self) -> Assignment:
        """Take the first that may start; there is one."""
        if not self._max_down:
            return self._waiting.popleft()
        position = self._find()
        assert position is not None
        assignment = self._waiting[position]
        del self._waiting[position]
        self._down.update(self._shares(assignment))
        return assignment

    def _find(self) -> int | None:
        for position, assignment in enumerate(self._waiting):
            shares = self._shares(assignment)
            if all(self._down[share] < self._max_down[share[0]] for share in shares):
                return position
        return None

    def finished(self, assignment: Assignment, result: HostResult) -> None:
        """One that was taken has its result; one that failed stays down."""
        for share in self._shares(assignment):
            if result.outcome.status in ("ok", "skipped"):
                self._down[share] -= 1
            else:
                self._failed[share] += 1

    def take_hopeless(self) -> list[tuple[Assignment, str]]:
        """Take those that can never start, because enough of their like have failed, and why."""
        hopeless = []
        for assignment in tuple(self._waiting) if self._max_down else ():
            for name, value in self._shares(assignment):
                if self._failed[name, value] >= self._max_down[name]:
                    self._waiting.remove(assignment)
                    many = self._failed[name, value]
                    what = "1 host" if many == 1 else f"{many} hosts"
                    hopeless.append((assignment, f"{what} of {name} {value} failed"))
                    break
        return hopeless

    def _shares(self, assignment: Assignment) -> list[_Share]:
        values = assignment.host.vars
        return [(name, str(values[name])) for name in self._max_down if name in values]
