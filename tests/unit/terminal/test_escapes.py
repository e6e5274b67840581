"""
Escapes in what is typed.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.terminal.escapes import Escapes, Wish, escape_help, show_key
from fleetctl.terminal.seat import escape_key

TILDE = ord("~")


def typed(*pieces: bytes, character: int | None = TILDE) -> list[bytes | Wish]:
    """Return what comes out, pieces for the host joined."""
    escapes, found = Escapes(character), list[bytes | Wish]()
    for piece in pieces:
        for each in escapes.feed(piece):
            if isinstance(each, bytes) and found and isinstance(found[-1], bytes):
                found[-1] += each
            else:
                found.append(each)
    return found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (b"~.", [Wish.LEAVE]),
        (b"\r~.", [b"\r", Wish.LEAVE]),
        (b"ls\n~?more", [b"ls\n", Wish.HELP, b"more"]),
        (b"~\x1a", [Wish.SUSPEND]),
        (b"~?~?", [Wish.HELP, Wish.HELP]),
        (b"~~", [b"~"]),
        (b"~~.", [b"~."]),
        (b"~~~~", [b"~~~"]),
        (b"a~.", [b"a~."]),
        (b"~a~.", [b"~a~."]),
        (b"\r~x", [b"\r~x"]),
        (b"\r~\r~.", [b"\r~\r", Wish.LEAVE]),
        (b"~", []),
        (b"", []),
    ],
)
def test_an_escape_is_a_key_after_the_character_after_a_newline(keys, expected):
    """
    The same as ssh; twice the character is the character, and others are typed as they are.
    """
    assert typed(keys) == expected


@given(st.lists(st.sampled_from([b"~", b".", b"?", b"\r", b"\n", b"a", b"\x1a"]), max_size=12))
def test_pieces_do_not_matter(keys):
    """
    What is typed comes in pieces of any size.
    """
    assert typed(*keys) == typed(b"".join(keys))


def test_another_character_or_none():
    """
    EscapeChar says which; with none everything is for the host.
    """
    assert typed(b"~.\r\x1d.", character=escape_key("^]")) == [b"~.\r", Wish.LEAVE]
    assert typed(b"~.", character=escape_key("none")) == [b"~."]
    assert typed(b"%.", character=escape_key("%")) == [Wish.LEAVE]


def test_help_names_the_key_that_is_set():
    """
    On a raw terminal a line ends with CR LF.
    """
    assert show_key(29) == "^]"
    text = escape_help(29)
    assert "^].   leave" in text
    assert text.count("\r\n") == text.count("\n")
