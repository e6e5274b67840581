"""
Audits of who gets in, as JSON, for tests.
"""

from __future__ import annotations

import json

from tests.cli.shell import fleetctl


def audit(env, *words):
    """Return what an audit says, as JSON, and its exit code."""
    done = fleetctl("keys", "audit", *words, "--format", "json", env=env)
    assert done.out, done.err
    return json.loads(done.out), done.code


def keys_of(document, user, host="one"):
    """Return fingerprint -> key of a user."""
    [found] = [one for one in document["hosts"] if one["host"] == host]
    return {
        key["fingerprint"]: key
        for each in found["users"]
        if each["name"] == user
        for key in each["keys"]
    }


def kinds(document, **wanted):
    """Return the kinds of the findings that are about this."""
    return {
        one["kind"]
        for one in document["findings"]
        if all(one[name] == value for name, value in wanted.items())
    }
