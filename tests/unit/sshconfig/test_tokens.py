"""
Tokens and variables are replaced, and what is unknown is an error.
"""

from __future__ import annotations

import hashlib

import pytest

from fleetctl.sshconfig.tokens import Login, expand, token_values
from tests.unit.sshconfig.conftest import HERE

LOGIN = Login("10.0.0.1", "web1", "deploy", "2222", "alias", "gate")


def test_every_token_has_its_meaning():
    """
    The letters mean what ssh_config(5) says.
    """
    tokens = token_values(LOGIN, HERE)
    hashed = hashlib.sha1(b"desk.example.com10.0.0.12222deploy").hexdigest()
    text = expand("%%|%C|%L|%d|%h|%i|%j|%k|%l|%n|%p|%r|%u", tokens=tokens)
    assert text == (
        f"%|{hashed}|desk|/home/me|10.0.0.1|1000|gate|alias|desk.example.com|web1|2222|deploy|me"
    )


def test_nothing_is_replaced_that_was_not_asked_for():
    """
    Percent signs and variables are left alone where ssh leaves them alone.
    """
    assert expand("%h${A}") == "%h${A}"
    assert expand("%h${A}", tokens={"h": "x"}) == "x${A}"
    assert expand("%h${A}", environment={"A": "x"}) == "%hx"


def test_what_was_put_in_is_not_looked_at_again():
    """
    A value with a percent sign in it stays as it is.
    """
    assert expand("%h${A}", tokens={"h": "%h${A}"}, environment={"A": "%h"}) == "%h${A}%h"


@pytest.mark.parametrize("text", ["%z", "a%", "${", "${}", "${NOT_SET}", "%"])
def test_unknown_tokens_and_variables_are_errors(text):
    """
    Nothing is replaced by nothing.
    """
    with pytest.raises(ValueError, match=r"."):
        expand(text, tokens={"h": "x"}, environment={})


def test_home_directories_come_from_the_user_database():
    """
    HOME does not count for a tilde, and an unknown user is an error.
    """
    assert HERE.expand_tilde("~") == "/home/me/"
    assert HERE.expand_tilde("~//a") == "/home/me/a"
    assert HERE.expand_tilde("~alice/a") == "/home/alice/a"
    assert HERE.expand_tilde("a~") == "a~"
    with pytest.raises(ValueError, match="No such user nobody"):
        HERE.expand_tilde("~nobody/a")
