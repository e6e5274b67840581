"""
A secret does not show itself by accident.
"""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from fleetctl.model.secret import Secret

CANARY = "hunter2-canary"


@dataclass(frozen=True)
class Login:
    """Holds a secret, as options and settings do."""

    user: str
    password: Secret


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        "{:s}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the oldest way
        lambda secret: repr(Login("deploy", secret)),
        lambda secret: str([secret, {secret: secret}]),
        lambda secret: "".join(traceback.format_exception(ValueError(secret))),
    ],
    ids=["str", "repr", "f", "f repr", "format", "percent", "dataclass", "containers", "traceback"],
)
def test_S24_it_is_not_shown(show):
    """
    S24: every way of turning it into text gives [secret].
    """
    text = show(Secret(CANARY))
    assert CANARY not in text
    assert "[secret]" in text


def test_S24_it_is_not_logged(caplog):
    """
    S24: a log line that was given the secret does not contain it.
    """
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("login with %s %r", Secret(CANARY), Secret(CANARY))
    assert CANARY not in caplog.text


@pytest.mark.parametrize("dump", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_S24_it_does_not_travel_by_accident(dump):
    """
    S24: nothing that copies objects takes a secret along unasked.
    """
    with pytest.raises(TypeError) as caught:
        dump(Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_it_is_revealed_on_request_only():
    """
    Where it is handed to a host, the value is asked for by name; there is no other attribute.
    """
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    assert not hasattr(secret, "__dict__")


def test_secrets_can_be_compared():
    """
    Equal values are one secret in a set; a secret never equals a plain string.
    """
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
    assert Secret("x")
    assert not Secret("")
