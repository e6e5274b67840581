"""
From which addresses a key may log in: `from=` as sshd reads it.
"""

from __future__ import annotations

import pytest

from fleetctl.keys.options import (
    from_allows,
    problem_of_from,
)


@pytest.mark.parametrize(
    ("patterns", "address", "allowed"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8,!10.1.0.0/16", "10.1.2.3", False),
        ("!10.1.0.0/16,*", "10.2.2.3", True),
        ("!10.1.0.0/16,*", "10.1.2.3", False),
        ("10.1.2.?", "10.1.2.3", True),
        ("10.1.2.?", "10.1.2.33", False),
        ("*.example.org", "10.1.2.3", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "10.1.2.3", False),
        ("10.0.0.1/8,*", "10.1.2.3", False),
        ("*,!*.3", "10.1.2.3", False),
        ("!10.9.9.9", "10.1.2.3", False),
        ("", "10.1.2.3", False),
    ],
)
def test_an_address_is_allowed_as_sshd_allows_it(patterns, address, allowed):
    """
    Networks, patterns and negations, the first negation ending it.
    """
    assert from_allows(patterns, address) is allowed


def test_a_name_counts_where_the_server_looks_it_up():
    """
    With UseDNS a client has a name, too.
    """
    assert from_allows("*.example.org", "10.1.2.3", "web.Example.org")
    assert not from_allows("*.example.org,!web.*", "10.1.2.3", "web.example.org")


@pytest.mark.parametrize(
    "patterns", ["10.0.0.1/8", "10.0.0.0/40", "a,,b", "", "!a", "!a,!b", "a b", "1.2.3.4/x"]
)
def test_patterns_that_let_nobody_in_are_found_before(patterns):
    """
    Such a line would lock its key out.
    """
    assert problem_of_from(patterns) is not None


@pytest.mark.parametrize(
    "patterns", ["*", "10.0.0.0/8,*.example.org,!10.0.0.1", "::1", "fe80::/10"]
)
def test_patterns_that_let_somebody_in_are_fine(patterns):
    """
    And nothing else is refused.
    """
    assert problem_of_from(patterns) is None


def test_S05_a_pattern_of_many_stars_takes_no_time():
    """
    Matching costs the product of the lengths, as in sshd, not a power of the number of stars.
    """
    assert not from_allows("*a" * 500 + "b", "1" * 45)
    assert not from_allows("*:" * 300 + "x", "2001:db8::1")
