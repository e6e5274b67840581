"""
How harmful text is shown.
"""

from __future__ import annotations

import pytest

from fleetctl.sinks.escape import prefix_lines, visible, visible_bytes, visible_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\tand\n", "plain\tand\n"),
        ("Grüße, 世界 🚀\n", "Grüße, 世界 🚀\n"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("10%\r20%\r\n", "10%\\r20%\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\r\r\n", "a\\r\n"),
        ("\x00\x08\x0b\x0c\x7f", r"\x00\x08\x0b\x0c\x7f"),
        ("\x85\x9b2J", r"\x85\x9b2J"),
        ("user\u202eexe.txt\u2066", r"user\u202eexe.txt\u2066"),
        ("\u200e\u200f\u061c\u2028\u2029", r"\u200e\u200f\u061c\u2028\u2029"),
        ("\udcff\ud800", r"\xff\ud800"),
        ("a\\nb", "a\\nb"),
    ],
)
def test_S01_harmful_characters_are_shown_as_escapes(text, shown):
    """
    S01: controls, bidi controls and lone CR are shown as Python would write them; the rest stays.
    """
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"plain\n", "plain\n"),
        ("Grüße\n".encode(), "Grüße\n"),
        (b"\x1b[2J", r"\x1b[2J"),
        (b"\x9b2J", r"\x9b2J"),  # C1 as a raw byte
        (b"\xc2\x9b2J", r"\x9b2J"),  # C1 as a code point
        (b"\xff\xfe caf\xe9", r"\xff\xfe caf\xe9"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a surrogate, which UTF-8 does not allow
        (b"\xe2\x82", r"\xe2\x82"),  # a character cut in two
    ],
)
def test_S01_raw_bytes_are_shown_as_escapes(content, shown):
    """
    S01: bytes that are no valid UTF-8, raw C1 among them, are shown one by one.
    """
    assert visible_bytes(content) == shown


def test_clean_text_is_not_copied():
    """
    The usual case costs one search and no copy.
    """
    text = "x" * 1000
    assert visible(text) is text


def test_S02_prefix_stands_before_every_line():
    """
    S02: a host that prints another host's prefix only prints it behind its own.
    """
    forged = b"real\nweb2: ok\rweb3: ok\r\n\nfleetctl: web4: exit status 0"
    assert prefix_lines("web1: ", forged) == (
        "web1: real\nweb1: web2: ok\\rweb3: ok\nweb1: \nweb1: fleetctl: web4: exit status 0\n"
    )


def test_no_output_has_no_line_and_an_empty_line_has_one():
    """
    Nothing and an empty line are told apart.
    """
    assert prefix_lines("web1: ", b"") == ""
    assert prefix_lines("web1: ", b"\n") == "web1: \n"


def test_message_takes_one_line():
    """
    A message with newlines in it cannot start a line of its own.
    """
    assert visible_line("lost\nweb2: ok") == "lost\\nweb2: ok"
