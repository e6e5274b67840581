"""
Excerpts are bounded, and say where something was left out.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.model.excerpt import CUT, beginning, end, first_bytes, last_bytes


@given(st.text(), st.integers(4, 40))
def test_S24_excerpts_are_bounded_and_marked_where_they_were_cut(text, limit):
    """
    S24: what fits is untouched; else the mark stands where something is missing, and only there.
    """
    first, last = beginning(text, limit), end(text, limit)
    if len(text) <= limit:
        assert first == last == text
        return
    assert len(first) == len(last) == limit
    assert first.endswith(CUT)
    assert last.startswith(CUT)
    assert text.startswith(first[:-1])
    assert text.endswith(last[1:])


@given(st.text(), st.integers(8, 40))
def test_S24_bytes_are_cut_between_characters(text, limit):
    """
    S24: what is cut out of UTF-8 is UTF-8.
    """
    data = text.encode()
    first, last = first_bytes(data, limit), last_bytes(data, limit)
    if len(data) <= limit:
        assert first == last == data
        return
    assert limit - 6 < len(first) <= limit
    assert limit - 6 < len(last) <= limit
    assert first.decode().endswith(CUT)
    assert last.decode().startswith(CUT)
    assert data.startswith(first[: -len(CUT.encode())])
    assert data.endswith(last[len(CUT.encode()) :])


@pytest.mark.parametrize("data", [b"\x80" * 99, b"\xff" * 99, b"\xc3" * 99])
def test_S24_bytes_that_are_no_text_are_bounded_too(data):
    """
    S24: no loop, no more than the limit.
    """
    assert 4 < len(first_bytes(data, 20)) <= 20
    assert 4 < len(last_bytes(data, 20)) <= 20


def test_S24_a_tail_that_grows_stays_marked():
    """
    S24: what was cut once says so for as long as the beginning is missing.
    """
    tail = b""
    for _ in range(50):
        tail = last_bytes(tail + b"abcdefg", 30)
        assert len(tail) <= 30
    assert tail.startswith(CUT.encode())
    assert last_bytes(tail + b"", 30) == tail
