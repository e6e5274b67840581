"""
What is kept of a stream: everything, or its head and its tail, in bounded memory.
"""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.model.collector import Collector


def collect(limit: int, chunks: list[bytes]) -> Collector:
    collector = Collector(limit)
    for chunk in chunks:
        collector.add(chunk)
    return collector


@given(
    limit=st.integers(0, 40),
    data=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=30),
)
def test_head_and_tail_do_not_depend_on_how_the_bytes_came(limit, data, cuts):
    """
    Whatever the chunks were: all bytes if they fit, else exactly the first and the last half.
    """
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    collector = collect(limit, [data[start:end] for start, end in pairwise(edges)])
    head = limit - limit // 2
    expected = data if len(data) <= limit else data[:head] + data[len(data) - limit // 2 :]
    assert collector.value() == expected
    assert collector.total == len(data)
    assert collector.truncated == (len(data) > limit)


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_tiny_limits_are_kept(limit):
    """
    A limit of next to nothing keeps next to nothing, and still counts.
    """
    collector = collect(limit, [b"abc", b"defgh"])
    assert collector.value() == {0: b"", 1: b"a", 2: b"ah", 3: b"abh"}[limit]
    assert (collector.total, collector.truncated) == (8, True)


def test_nothing_sent_is_nothing_truncated():
    """
    A stream that said nothing is empty and whole.
    """
    collector = Collector(100)
    assert (collector.value(), collector.total, collector.truncated) == (b"", 0, False)


@pytest.mark.parametrize("chunk_bytes", [1, 100, 4096])
def test_F38_memory_is_bounded_by_the_limit(chunk_bytes):
    """
    F38: an endless stream costs little more than the limit, even if it comes byte by byte.
    """
    limit = 16 * 1024
    chunks = 4 * limit // chunk_bytes
    tracemalloc.start()
    try:
        collector = Collector(limit)
        for number in range(chunks):
            # Each chunk an object of its own, as when it comes from the network.
            collector.add(bytes([number % 256]) * chunk_bytes)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2 * limit + chunk_bytes
    assert len(collector.value()) == limit
