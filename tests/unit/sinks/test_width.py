"""
Columns of text.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fleetctl.sinks.width import columns_of, cut, pad, rows, words

TEXTS = st.text(st.sampled_from("ab ,\u6f22\u0301\U0001f600"), max_size=40)


@given(TEXTS, st.integers(2, 20))
def test_rows_are_the_text_and_fit(text, columns):
    """
    Joined again rows are the text; none is wider than the room.
    """
    pieces = list(rows(text, columns))
    assert "".join(pieces) == text
    assert max(map(cell_len, pieces)) <= columns


@given(TEXTS, st.integers(1, 20))
def test_cut_text_fits(text, columns):
    """
    Text that fits stays; other text ends with an ellipsis and fits.
    """
    shown = cut(text, columns)
    assert shown == text or (shown.endswith("…") and cell_len(shown) <= columns)
    assert (shown == text) == (cell_len(text) <= columns)


@given(TEXTS, st.integers(6, 20))
def test_lines_of_words_fit(text, columns):
    """
    No line is wider than the room, and no letter is lost.
    """
    lines = words(text, columns)
    assert max(map(cell_len, lines)) <= columns
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_names_are_broken_behind_commas():
    """
    The separator stays at the end of its line.
    """
    assert words("web1,web2,web3,web4", 12, separator=",") == ["web1,web2,", "  web3,web4"]


def test_text_is_padded_by_what_is_shown():
    """
    Wide characters take two columns.
    """
    assert pad("\u6f22", 4) == "\u6f22  "
    assert pad("abcdef", 4) == "abcdef"
    assert columns_of("e\u0301") == 1
