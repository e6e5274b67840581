"""
The operation behind `ping`.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.commands.ping import Ping
from fleetctl.model.errors import FleetError


def ping(remote, *, check=False):
    return asyncio.run(Ping().run(remote, check=check))


class Reachable:
    async def connect(self):
        return {"server_version": "OpenSSH_9.2"}


class Unreachable:
    async def connect(self):
        raise FleetError("connect.refused", "nobody listens")


@pytest.mark.parametrize("check", [False, True])
def test_a_login_is_enough(check):
    """
    A host that lets us in is ok and unchanged; what was agreed on is in the data.
    """
    outcome = ping(Reachable(), check=check)
    assert (outcome.status, outcome.changed, outcome.result) == ("ok", False, None)
    assert outcome.data == {"server_version": "OpenSSH_9.2"}


def test_a_failed_login_is_the_engines_to_judge():
    """
    The error goes on to where errors become results.
    """
    with pytest.raises(FleetError, match="nobody listens"):
        ping(Unreachable())
