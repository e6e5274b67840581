"""
Patterns match as those of ssh do.
"""

from __future__ import annotations

import time

import pytest

from fleetctl.sshconfig.pattern import compile_pattern, octets, parse_pattern_list


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("web", "web", True),
        ("web", "web1", False),
        ("web?", "web1", True),
        ("web?", "web", False),
        ("*", "", True),
        ("a*", "a", True),
        ("*.com", "x.com", True),
        ("*.com", ".com.", False),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "acb", False),
        ("a**b", "ab", True),
        ("*?", "", False),
        ("*a?", "aab", True),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("a.c", "abc", False),
        ("\\?", "\\x", True),
        ("", "", True),
        ("", "a", False),
        ("a*", "a\nb", True),
        ("A", "a", False),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern, text, matches):
    """
    A star stands for any characters, a question mark for one, and nothing else is special.
    """
    assert bool(compile_pattern(pattern)(text)) is matches


def test_a_question_mark_stands_for_a_byte():
    """
    As in ssh, a letter of two bytes takes two.
    """
    assert not compile_pattern("?")(octets("é"))
    assert compile_pattern("??")(octets("é"))
    assert compile_pattern("é")(octets("é"))


def test_hard_patterns_take_no_time():
    """
    Many stars do not multiply the time.
    """
    started_s = time.process_time()
    assert not compile_pattern("a*" * 40 + "b")("a" * 5000)
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("patterns", "text", "matches"),
    [
        ("a,b", "b", True),
        ("a,b", "c", False),
        ("*,!b", "b", False),
        ("!b,*", "b", False),
        ("!b", "a", False),
        ("", "", False),
        ("a,", "", False),
        ("a,,b", "", True),
        ("x" * 1023 + ",a", "a", False),
        ("x" * 1022 + ",a", "a", True),
        ("!" + "x" * 2000 + ",a", "a", False),
    ],
)
def test_a_list_matches_unless_a_negated_pattern_does(patterns, text, matches):
    """
    One match is enough, one negated match is too many, and a monstrous pattern matches nothing.
    """
    assert parse_pattern_list(patterns).matches(text) is matches


def test_a_list_can_be_lowered():
    """
    Names of hosts are compared in lower case, so the patterns are, too.
    """
    assert parse_pattern_list("WEB*", lower=True).matches("web1")
    assert not parse_pattern_list("WEB*").matches("web1")
