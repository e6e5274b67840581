"""
Blocks of lines and the conditions before them, put into the form in which hosts are resolved.

Blocks that always apply, such as those of ``Host *``, are joined with their neighbours; a line that
names the host or the login is kept apart from the others, for what the others say is the same for
many hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fleetctl.sshconfig.match import HostCondition, MatchCondition
from fleetctl.sshconfig.state import NAMING, Step


@dataclass(frozen=True, slots=True)
class Gate:
    """
    A condition that decides over segments.

    Attributes:
        parent: Number of the gate round it, or None.
        condition: What must apply.
        origin: ``file:line``.
    """

    parent: int | None
    condition: HostCondition | MatchCondition
    origin: str


@dataclass(slots=True)
class Draft:
    """
    Lines that count together, while the files are read.

    Attributes:
        gate: Number of the gate before them, or None if they always count.
        steps: The lines.
    """

    gate: int | None
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Segment:
    """
    Lines that count together.

    Attributes:
        gate: Number of the gate before them, or None if they always count.
        naming: Those that set HostName, User or Port.
        steps: All others.
        tag: Value of the first Tag among them.
    """

    gate: int | None
    naming: tuple[Step, ...]
    steps: tuple[Step, ...]
    tag: str | None

    @classmethod
    def make(cls, gate: int | None, steps: Sequence[Step]) -> Segment:
        """Sort the lines, without those that come too late within the segment."""
        naming, others = split_naming(_without_late(steps))
        tags = (value[0] for _, slot, value, _ in others if slot == "tag")
        return cls(gate, naming, others, next(tags, None))


def _without_late(steps: Sequence[Step]) -> list[Step]:
    kept: list[Step] = []
    seen: set[str] = set()
    for step in steps:
        action, slot = step[:2]
        if action is not None or slot not in seen:
            kept.append(step)
            seen.add(slot)
    return kept


def split_naming(steps: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the lines that set HostName, User or Port, and the others."""
    naming = tuple(step for step in steps if step[1] in NAMING)
    return naming, tuple(step for step in steps if step[1] not in NAMING)


def join_blocks(
    drafts: Sequence[Draft], gates: Sequence[Gate]
) -> tuple[tuple[Segment, ...], tuple[Gate, ...]]:
    """
    Return segments and gates that mean the same and are fewer.

    A segment without lines stays if asking its condition can run a command or fail.
    """
    outer: list[int | None] = []
    kept: list[Gate] = []
    for number, gate in enumerate(gates):
        parent = None if gate.parent is None else outer[gate.parent]
        kept.append(Gate(parent, gate.condition, gate.origin))
        outer.append(parent if gate.condition.is_constant else number)
    joined: list[Draft] = []
    for draft in drafts:
        own = None if draft.gate is None else outer[draft.gate]
        if not draft.steps and (own is None or not _can_fail(kept[own])):
            continue
        if joined and joined[-1].gate == own:
            joined[-1].steps.extend(draft.steps)
        else:
            joined.append(Draft(own, list(draft.steps)))
    return tuple(Segment.make(draft.gate, draft.steps) for draft in joined), tuple(kept)


def _can_fail(gate: Gate) -> bool:
    condition = gate.condition
    return isinstance(condition, MatchCondition) and (
        condition.asks("exec") or condition.asks("host")
    )


def conditions_of(
    segment: Segment, gates: Sequence[Gate]
) -> Iterator[HostCondition | MatchCondition]:
    """Yield the conditions that must apply for a segment to count, from inside out."""
    number = segment.gate
    while number is not None:
        yield gates[number].condition
        number = gates[number].parent
