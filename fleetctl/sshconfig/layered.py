"""
A mapping of what is one's own over what is shared with others, without a copy of the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class Layered(Mapping[str, V], Generic[V]):
    """
    Two mappings seen as one; a key of the first hides that of the second.

    Ten thousand hosts differ in a few of a hundred values, so a copy for each would be mostly
    repetition. Neither mapping may change as long as this is used.
    """

    __slots__ = ("_below", "_own")

    def __init__(self, own: Mapping[str, V], below: Mapping[str, V]) -> None:
        self._own = own
        self._below = below

    def __getitem__(self, key: str) -> V:
        return self._own[key] if key in self._own else self._below[key]

    def __contains__(self, key: object) -> bool:
        return key in self._own or key in self._below

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        for key in self._below:
            if key not in self._own:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
