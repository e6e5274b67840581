"""
Names that could do harm are refused, and destinations are read as ssh reads them.
"""

from __future__ import annotations

import pytest

from fleetctl.sshconfig.jump import parse_hops, parse_jump
from fleetctl.sshconfig.names import (
    Destination,
    is_address_like,
    is_safe_host,
    is_safe_user,
    parse_destination,
    parse_domain,
    parse_number,
    parse_port,
)


@pytest.mark.parametrize("character", list("'`\"$\\;&<>|(){}, \t\n\r\x00\x1b\x7f"))
def test_a_host_with_a_metacharacter_is_refused(character):
    """
    Nothing that a shell would read otherwise gets through in the name of a host (S18).
    """
    assert not is_safe_host(f"a{character}b")


@pytest.mark.parametrize("character", list("'`\";&<>|(){}\t\n\r\x00\x1b\x7f"))
def test_a_user_with_a_metacharacter_is_refused(character):
    """
    The rules for users are a little wider: a backslash, a dollar sign and a blank may be meant.
    """
    assert not is_safe_user(f"a{character}b")


def test_a_leading_dash_is_refused():
    """
    A name cannot become an option of the next program (S18).
    """
    assert not is_safe_host("-oProxyCommand=id")
    assert not is_safe_user("-l")
    assert not is_safe_user("a -b")
    assert not is_safe_user("me\\")
    assert not is_safe_host("")
    assert not is_safe_user("")


@pytest.mark.parametrize("name", ["web1", "a.b-c_d", "::1", "fe80::1%eth0", "wéb", "a@b", "a*?[]!"])
def test_ordinary_and_odd_hosts_are_accepted(name):
    """
    What ssh accepts on its command line, we accept.
    """
    assert is_safe_host(name)


@pytest.mark.parametrize("name", ["me", "DOMAIN\\me", "me@corp", "a b", "$x", "é"])
def test_ordinary_and_odd_users_are_accepted(name):
    """
    The same for users.
    """
    assert is_safe_user(name)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("host", Destination("host")),
        ("me@host", Destination("host", "me")),
        ("a@b@host:22", Destination("host", "a@b", 22)),
        ("host:ssh", Destination("host", None, 22)),
        ("host:", Destination("host")),
        ("[::1]:22", Destination("::1", None, 22)),
        ("[::1]", Destination("::1")),
        ("ssh://host", Destination("host")),
        ("ssh://me@host:22/", Destination("host", "me", 22)),
        ("ssh://a%20b;x=y@host.", Destination("host", "a b")),
        ("scp://me@host", Destination("host", "scp://me")),
        ("::1", None),
        ("[::1", None),
        ("[::1]x", None),
        ("@host", None),
        ("me@", None),
        ("", None),
        ("host:0", None),
        ("host:65536", None),
        ("host:22:33", None),
        ("host/path", None),
        ("ssh://host/path", None),
        ("ssh://host:/", None),
        ("ssh://ho st", None),
        ("ssh://a%2@host", None),
        ("ssh://@host", None),
    ],
)
def test_a_destination_is_read_or_refused(text, destination):
    """
    User and port are optional, brackets hold an address with colons, and nothing is guessed.
    """
    if destination is None:
        with pytest.raises(ValueError, match=r"."):
            parse_destination(text)
    else:
        assert parse_destination(text) == destination


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("none", "none"),
        ("None", "none"),
        ("gate", "gate"),
        ("a, b", None),
        ("a b", "a"),
        ("a # b", "a"),
        ("u@a:1,ssh://v@b:2", "u@a:1,v@b:2"),
        ("ssh://u@a:1,b", "ssh://u@a:1,b"),
        ("[::1]:22", "[::1]:22"),
        ("192.0.2.1", "[192.0.2.1]"),
        ("a%h", "a%h"),
        ("a,,b", None),
        ("none # b", None),
        ("a;b", None),
        ("-a", None),
        ("u|v@a", None),
        ("ssh://a%20b@c", None),
        ("ssh://a%2cb@c", None),
    ],
)
def test_hops_are_printed_as_ssh_prints_them(text, printed):
    """
    The list ends at a blank, the last hop is written anew, and bad names are refused (S18).
    """
    if printed is None:
        with pytest.raises(ValueError, match=r"."):
            parse_jump(text)
    else:
        assert parse_jump(text) == printed


def test_hops_are_in_the_order_of_the_way():
    """
    The first hop is the one we dial.
    """
    assert parse_hops("u@a:1,b") == (Destination("a", "u", 1), Destination("b"))


def test_what_is_printed_can_be_read_again():
    """
    The printed list of hops has the same hops.
    """
    text = "ssh://u@a:1,[::1]:22,192.0.2.1:3"
    assert parse_hops(parse_jump(text)) == parse_hops(text)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a..b", "a b", "a/b", "é"])
def test_a_bad_domain_is_refused(name):
    """
    Domains are letters, digits, dots, dashes and underscores.
    """
    with pytest.raises(ValueError, match="domain name"):
        parse_domain(name)


def test_a_domain_loses_its_last_dot():
    """
    The dot that anchors a name is not part of it.
    """
    assert parse_domain("A.b.", lower=True) == "a.b"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "invalid"), ("3x", "invalid"), ("-1", "too small"), ("9" * 9999, "too large")],
)
def test_a_bad_number_says_why(text, message):
    """
    Even a number of thousands of digits is only too large.
    """
    with pytest.raises(ValueError, match=message):
        parse_number(text, 0, 10)


def test_numbers_are_decimal():
    """
    Leading zeros and a plus sign change nothing.
    """
    assert parse_number(" +007", 0, 10) == 7
    assert parse_number("0" * 50 + "9", 0, 10) == 9
    assert parse_port("http") == 80


def test_addresses_are_told_from_names():
    """
    Digits and dots, a colon or a scope can only be an address.
    """
    assert [is_address_like(n) for n in ("1.2", "::1", "a%b", "a1", "1a")] == [
        True,
        True,
        True,
        False,
        False,
    ]
