"""
Every place of every form is found, at a bounded cost (S24).
"""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.sinks.secret_forms import MAX_FORM_BYTES, forms_of
from fleetctl.sinks.secret_search import BLOCK_BYTES, FEW, MAX_FEWS, FormSearch
from tests.support.patience import least_cpu_s
from tests.unit.sinks.test_redact import knowing, traces, words_like


def spans_by_hand(forms, data):
    """Return what `FormSearch.spans` should, byte by byte."""
    covered = bytearray(len(data))
    for form in forms:
        at = data.find(form)
        while at >= 0:
            covered[at : at + len(form)] = b"\1" * len(form)
            at = data.find(form, at + 1)
    spans, at = [], covered.find(1)
    while at >= 0:
        end = covered.find(0, at)
        end = len(data) if end < 0 else end
        spans.append((at, end))
        at = covered.find(1, end)
    return spans


@given(
    st.lists(st.sets(st.binary(min_size=1, max_size=4), max_size=90), min_size=1, max_size=5),
    st.binary(max_size=300),
    st.sets(st.integers(BLOCK_BYTES - MAX_FORM_BYTES, BLOCK_BYTES + 9), max_size=6),
)
def test_S24_every_place_is_found_however_many_are_looked_for(additions, data, places):
    """
    S24: in groups of any size, at the borders of blocks too, each byte of a form is found.
    """
    search = FormSearch()
    known: set[bytes] = set()
    for forms in additions:
        search.add(forms - known)
        known |= forms
        assert list(search.spans(data)) == spans_by_hand(known, data)
    long = bytearray(2 * BLOCK_BYTES)
    forms = sorted(form for form in known if any(form))
    for number, place in enumerate(sorted(places)):
        if forms:
            form = forms[number % len(forms)]
            long[place : place + len(form)] = form
    assert list(search.spans(bytes(long))) == spans_by_hand(known, bytes(long))


def test_S24_large_groups_are_few():
    """
    S24: what is learned one by one is soon looked for together, so that a look stays cheap.
    """
    search = FormSearch()
    forms = sorted({form for value in words_like(600) for form in forms_of(value)})
    for at in range(0, len(forms), 5):
        search.add(forms[at : at + 5])
        assert list(search.spans(b"<%b>" % forms[at])) == [(1, 1 + len(forms[at]))]
    assert len(search.sizes) < 2 * MAX_FEWS + 4
    assert sum(search.sizes) == len(forms) > MAX_FEWS * FEW
    assert all(list(search.spans(form)) == [(0, len(form))] for form in forms)


#: What a host may write that begins a match nearly everywhere.
TEDIOUS = {
    "zeros": (["000000"], b"0"),
    "zeros with gaps": (["000000"], b"0" * 20 + b"x"),
    "nested": (["0" * count for count in range(6, 26)], b"0"),
    "nested with gaps": (["0" * count for count in range(6, 26)], b"0" * 20 + b"x"),
    "that repeat": ([("ab" * 13)[:count] for count in range(6, 26)], b"ab"),
    "that begin alike": ([string.ascii_lowercase[:n] for n in range(6, 26)], b"abcdefghijklmnopqr"),
    "that end alike": ([string.ascii_lowercase[-n:] for n in range(6, 26)], b"qrstuvwxyz"),
}


@pytest.mark.parametrize("name", TEDIOUS)
def test_S24_secrets_that_are_everywhere_do_not_stop_the_world(name):
    """
    S24: a host that prints nothing but secrets, 20 that contain each other too, costs a bounded
    time (measured, a MiB: 0.07 to 0.2 s; 4.4 s when every match was noted), and nothing is missed.
    """
    values, piece = TEDIOUS[name]
    redactor = knowing(*values)
    forms = {form for value in values for form in forms_of(value)}
    search = FormSearch()
    search.add(forms)
    some = b"<" + piece * (5000 // len(piece)) + b">"
    assert list(search.spans(some)) == spans_by_hand(forms, some)
    data = piece * ((1 << 20) // len(piece))
    assert not traces(values[0], redactor.data(data))
    assert least_cpu_s(lambda: redactor.data(data)) < 2


@given(
    st.lists(st.text("ab", min_size=6, max_size=24), min_size=1, max_size=20, unique=True),
    st.lists(st.text("ab", max_size=60) | st.sampled_from("xyz"), max_size=30),
)
def test_S24_secrets_within_secrets_are_all_found(values, pieces):
    """
    S24: what is left out of the search because others cover it is covered indeed.
    """
    forms = {value.encode() for value in values}
    search = FormSearch()
    search.add(forms)
    data = "".join(pieces).encode()
    assert list(search.spans(data)) == spans_by_hand(forms, data)
