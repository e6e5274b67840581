"""
Whatever a host sends, what is shown can neither steer a terminal nor forge a line.
"""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.sinks.escape import prefix_lines, visible, visible_bytes, visible_line

BIDI = {"\u061c", "\u200e", "\u200f", *map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)])}

# Any code point including lone surrogates, with the dangerous ones drawn often.
texts = st.lists(
    st.one_of(
        st.characters(categories=None),
        st.sampled_from(
            ["\r", "\n", "\r\n", "\x1b", "\x9b", "\x7f", "\\", "\u2028", *sorted(BIDI)]
        ),
    )
).map("".join)
contents = st.one_of(
    st.binary(), st.lists(st.sampled_from([b"\r", b"\n", b"\x9b", b"\xc2\x9b", b"a"])).map(b"".join)
)


def is_harmless(text: str) -> bool:
    return not any(
        character in BIDI
        or character in "\u2028\u2029"
        or (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t")
        for character in text
    )


@given(texts)
@example("\r\r\n")
@example("\\x1b\x1b")
def test_S01_nothing_harmful_is_left_in_visible_text(text):
    """
    S01: no control but newline and tab, no bidi control, no Unicode line end, no surrogate is left.
    """
    assert is_harmless(visible(text))


@given(texts)
def test_escaping_twice_changes_nothing(text):
    """
    Text may pass through several views; it is escaped once.
    """
    assert visible(visible(text)) == visible(text)


@given(texts)
def test_harmless_text_is_returned_as_it_is(text):
    """
    Clean text is the same object, and only text with something harmful in it is rewritten.
    """
    assert (visible(text) is text) == is_harmless(text)


@given(contents)
def test_S01_bytes_of_any_kind_become_harmless_writable_text(content):
    """
    S01: any bytes, valid UTF-8 or not, give text that is harmless and can be written as UTF-8.
    """
    text = visible_bytes(content)
    assert is_harmless(text)
    assert text.encode().decode() == text


@given(st.text())
def test_bytes_and_text_are_shown_alike(text):
    """
    Valid UTF-8 is shown as the text it encodes.
    """
    assert visible_bytes(text.encode()) == visible(text)


@given(contents)
def test_S02_every_physical_line_begins_with_the_prefix(content):
    """
    S02: however a host writes its lines, each line that a reader or a program sees has the prefix.
    """
    shown = prefix_lines("web1: ", content)
    assert bool(shown) == bool(content)
    assert all(line.startswith("web1: ") for line in shown.splitlines())
    assert shown == "" or shown.endswith("\n")


@given(texts)
def test_a_line_stays_one_line(text):
    """
    Messages and names take one physical line, whatever is in them.
    """
    assert len(visible_line(text).splitlines()) <= 1
