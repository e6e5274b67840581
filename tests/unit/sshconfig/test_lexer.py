"""
Lines are cut into words as ssh cuts them.
"""

from __future__ import annotations

import pytest

from fleetctl.sshconfig.lexer import lower_ascii, next_word, split_line, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc", ("a", "b", "c")),
        ("  a  ", ("a",)),
        ("", ()),
        ("# a", ()),
        ("a # b", ("a",)),
        ("a#b", ("a#b",)),
        ('"a b" c', ("a b", "c")),
        ("'a \"b' c", ('a "b', "c")),
        ('a"b c"d', ("ab cd",)),
        ('""', ("",)),
        ("a\\ b", ("a b",)),
        ('"a\\ b"', ("a\\ b",)),
        ('"a\\"b"', ('a"b',)),
        ("a\\'b", ("a'b",)),
        ("a\\\\b", ("a\\b",)),
        ("a\\b", ("a\\b",)),
        ("a\\", ("a\\",)),
        ('"a #b"', ("a #b",)),
        ("a\rb", ("a\rb",)),
    ],
)
def test_arguments_are_split_and_unquoted(text, words):
    """
    Quotes group, a backslash escapes, and a number sign at the start of a word ends the line.
    """
    assert split_words(text) == words


@pytest.mark.parametrize("text", ['"a', "'a", 'a"b', "a '", 'a "b\\"'])
def test_an_open_quote_is_an_error(text):
    """
    A quote that is not closed is not guessed.
    """
    with pytest.raises(ValueError, match="invalid quotes"):
        split_words(text)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("Port 22", ("port", "22")),
        ("  Port\t22 \r", ("port", "22")),
        ("Port=22", ("port", "22")),
        ("Port = 22", ("port", "22")),
        ("Port == 22", ("port", "= 22")),
        ("= Port 22", ("port", "22")),
        ('"Port" 22', ("port", "22")),
        ('"Port" = 22', ("port", "= 22")),
        ('po"r"t 22', ("por", "t 22")),
        ("Port", ("port", "")),
        ("Port=", ("port", "")),
        ("ProxyCommand a  # b", ("proxycommand", "a  # b")),
        ("", None),
        ("   ", None),
        ("# Port 22", None),
        ("\t#", None),
        ("\f", ("\f", "")),
    ],
)
def test_a_line_is_a_keyword_and_the_rest(line, parts):
    """
    The keyword ends at a blank or at one equals sign, and is compared without case.
    """
    assert split_line(line) == parts


def test_an_open_quote_round_the_keyword_is_an_error():
    """
    Such a line is passed over by ssh, not by us.
    """
    with pytest.raises(ValueError, match="invalid quotes"):
        split_line('"Port 22')


def test_words_of_match_end_at_an_equals_sign():
    """
    Match has a tokeniser of its own, in which host=web1 is two words.
    """
    assert next_word("host=web1 user x") == ("host", "web1 user x")
    assert next_word('"a b"c') == ("a b", "c")
    assert next_word("a") == ("a", None)


def test_only_ascii_letters_are_lowered():
    """
    As in the C locale, letters beyond ASCII are bytes without case.
    """
    assert lower_ascii("ÀB") == "Àb"
    assert lower_ascii("AB") == "ab"
