"""
In which order and in how large steps a run reaches its hosts, and what stops it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fleetctl.model.result import HostResult

Order = Literal["inventory", "reverse", "shuffle"]


@dataclass(frozen=True, slots=True)
class Size:
    """
    A number of hosts, or a part of all.

    Attributes:
        number: Hosts, or percent of all hosts.
        is_percent: Which of the two.
    """

    number: float
    is_percent: bool = False

    def of(self, total: int) -> int:
        """
        Return how many of so many hosts that is, rounded down.

        >>> Size(30, is_percent=True).of(5)
        1
        """
        return int(total * self.number / 100) if self.is_percent else int(self.number)

    def __str__(self) -> str:
        return f"{self.number:g}%" if self.is_percent else f"{self.number:g}"


def parse_size(text: str, *, lowest: int = 1) -> Size:
    """
    Parse ``5`` or ``20%``.

    Args:
        lowest: The smallest number that makes sense.

    Raises:
        ValueError: It is neither, or out of range; says what is expected.
    """
    match = re.fullmatch(r"([0-9]{1,9})|([0-9]{1,3}(?:\.[0-9]{1,3})?)%", text.strip())
    if match is None:
        raise ValueError(f'a number such as 5 or a part such as 20% is expected, not "{text}"')
    size = Size(float(match[1] or match[2]), is_percent=match[1] is None)
    if size.number < lowest or (size.is_percent and size.number > 100):
        raise ValueError(f'{lowest} or more, and at most 100%, is expected, not "{text}"')
    return size


@dataclass(frozen=True, slots=True)
class Rollout:
    """
    A run in batches: each must be over, and good enough, before the next one starts.

    Attributes:
        order: In which hosts come; ``inventory`` is the order of the pattern.
        seed: Of the shuffle, so that it can be repeated.
        canary: Sizes of the first batches; none of their hosts may fail, and after each comes the
            soak.
        serial: Sizes of the batches after them, the last one repeated; empty for one batch.
        soak_s: Wait so long after each canary batch before it is judged.
        pause_s: Wait so long between batches.
        max_fail: Nothing new is started once more hosts than this have failed, those that could
            not be reached included; None for no limit.
        stops_at_new_output: Stop when a host outside the canary ends or prints as none in it did.
        once: Only the first host does it; the others are skipped.
    """

    order: Order = "inventory"
    seed: int | None = None
    canary: Sequence[Size] = ()
    serial: Sequence[Size] = ()
    soak_s: float = 0.0
    pause_s: float = 0.0
    max_fail: Size | None = None
    stops_at_new_output: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Hosts that are done together.

    Attributes:
        number: From 1.
        count: How many batches there are.
        is_canary: One of the first that are watched most closely.
    """

    number: int
    count: int
    names: tuple[str, ...]
    is_canary: bool


class Gate(Protocol):
    """Says whether a run may go on, from what it knows beside the results."""

    async def judge(self, batch: Batch, results: Sequence[HostResult]) -> str:
        """Return why the run must not go on after this batch, or an empty string."""
        ...


def batch_sizes(rollout: Rollout, total: int) -> list[tuple[int, bool]]:
    """
    Return the size of each batch and whether it is a canary; together they are all hosts.

    A part of all hosts is at least one host.

    >>> batch_sizes(Rollout(canary=[Size(1)], serial=[Size(40, is_percent=True)]), 10)
    [(1, True), (4, False), (4, False), (1, False)]
    """
    sizes: list[tuple[int, bool]] = []
    left = total
    serial = list(rollout.serial)
    wanted = [(size, True) for size in rollout.canary] + [(size, False) for size in serial]
    while left:
        position = len(sizes)
        if position < len(wanted):
            size, is_canary = wanted[position]
            count = max(1, size.of(total))
        else:
            count, is_canary = (max(1, serial[-1].of(total)) if serial else left), False
        count = min(count, left)
        sizes.append((count, is_canary))
        left -= count
    return sizes
