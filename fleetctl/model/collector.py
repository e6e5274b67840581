"""
Keeping what a stream sends, within a bound.
"""

from __future__ import annotations

#: Beyond the limit, so that the tail is not moved for every few bytes.
_SLACK_BYTES = 4096


class Collector:
    """
    Keeps the first and the last half of at most `limit` bytes, and counts all of them.

    Memory stays near the limit however small the pieces are in which the bytes come.
    """

    __slots__ = ("_head", "_head_limit", "_slack", "_tail", "_tail_limit", "total")

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._head = bytearray()
        self._tail = bytearray()
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._slack = _SLACK_BYTES + limit // 8

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._head_limit - len(self._head)
        if room:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            excess = len(self._tail) - self._tail_limit
            if excess > self._slack:
                del self._tail[:excess]

    @property
    def truncated(self) -> bool:
        return self.total > self._head_limit + self._tail_limit

    def value(self) -> bytes:
        """Return what was kept: everything, or head and tail without a mark between them."""
        start = max(0, len(self._tail) - self._tail_limit)
        return b"".join((self._head, memoryview(self._tail)[start:]))
