"""
A person may take longer to answer than the host has to log us in.
"""

from __future__ import annotations

import asyncio

import pytest
from paramiko import AUTH_SUCCESSFUL, InteractiveQuery

from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from tests.support.drive import Secrets, log_in
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


class AsksName(Login):
    """Takes any answer."""

    def get_allowed_auths(self, username):
        return "keyboard-interactive"

    def check_auth_interactive(self, username, submethods):
        return InteractiveQuery("", "", ("Your name: ", True))

    def check_auth_interactive_response(self, responses):
        return AUTH_SUCCESSFUL


class Thinker(Secrets):
    """Answers after a while."""

    async def answers(self, host, user, challenge):
        await asyncio.sleep(6.0)
        return [Secret("somebody")]


def test_time_to_think_does_not_count(private_home):
    """
    An answer that takes longer than ConnectTimeout still logs in.
    """
    settings = HostSettings(
        identity_agent="none",
        connect_timeout_s=5.0,
        preferred_authentications=("keyboard-interactive",),
    )
    with scripted_server(settings, login=AsksName) as server:
        assert log_in(server.host, secrets=Thinker())[1] == "keyboard-interactive"
