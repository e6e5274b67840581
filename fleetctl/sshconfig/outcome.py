"""
What lines add up to, kept for the next host for which the same lines count.

Ten thousand hosts have few outcomes, as long as names are left out of them: HostName, User and
Port are kept apart (`fleetctl.sshconfig.walk.Naming`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.canonical import Rules
from fleetctl.sshconfig.shared import Shared
from fleetctl.sshconfig.state import State

#: If every host has an outcome of its own, keeping them all would only cost memory.
_MOST_KEPT = 1024


@dataclass(slots=True, eq=False)
class Outcome:
    """
    What certain lines say.

    Attributes:
        state: Their values; not changed any more.
        rules: What they say about canonical names.
        shared: Finished values, once they were asked for.
    """

    state: State
    rules: Rules
    shared: Shared | None = None

    @classmethod
    def of(cls, state: State) -> Outcome:
        return cls(state, Rules.from_values(state.values))


@dataclass(slots=True, eq=False)
class Outcomes:
    """
    The outcomes that are remembered, by the lines that count.

    Attributes:
        kept: By whatever says which lines they are.
        chosen: Algorithms that were chosen, by keyword and text of the line; few lines have any.
    """

    kept: dict[Hashable, Outcome] = field(default_factory=dict)
    chosen: dict[tuple[str, str], Value] = field(default_factory=dict)

    def find(self, lines: Hashable, make: Callable[[], State]) -> Outcome:
        """Return the outcome of these lines; ``make`` tells what they say if it is new."""
        known = self.kept.get(lines)
        if known is None:
            known = Outcome.of(make())
            if len(self.kept) >= _MOST_KEPT:
                self.kept.clear()
            self.kept[lines] = known
        return known
