"""
A sink that keeps everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from fleetctl.model.events import Event, HostFinished
from fleetctl.model.result import HostResult

T = TypeVar("T")


class EventRecorder:
    """
    A `fleetctl.model.ports.Sink` that keeps everything.

    Attributes:
        events: In the order they came.
        is_closed: The sink was told that no more will come.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_closed = False

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.is_closed = True

    @property
    def results(self) -> dict[str, HostResult]:
        """
        The result of each host that has one, by name.

        Raises:
            AssertionError: A host got two.
        """
        found: dict[str, HostResult] = {}
        for event in self.of(HostFinished):
            name = event.result.host.name
            assert name not in found, f"{name} got two results"
            found[name] = event.result
        return found

    def of(self, kind: type[T]) -> list[T]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


async def record(events: AsyncIterator[Event]) -> EventRecorder:
    """Return a recorder with all events of a run, such as ``engine.execute(run)``."""
    recorder = EventRecorder()
    async for event in events:
        recorder.handle(event)
    recorder.close()
    return recorder
