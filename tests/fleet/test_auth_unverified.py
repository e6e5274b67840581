"""
Hosts whose key was not checked: they may see a signature, and no secret.
"""

from __future__ import annotations

import pytest

from tests.support.drive import Secrets, connected, failed_login, log_in, run_async
from tests.support.keys import agent

pytestmark = pytest.mark.fleet

UNCHECKED = {"strict_host_key_checking": "no", "user_known_hosts_files": ("/dev/null",)}


def test_S10_no_password_for_a_host_whose_key_was_not_checked(fleet):
    """
    S10: StrictHostKeyChecking no is no way to send a password to whoever answers; nobody is even
    asked for it.
    """
    secrets = Secrets(login=fleet.password)
    lab_host = fleet.host("password-only")
    host = fleet.model_host(lab_host, identity_files=(), **UNCHECKED)
    error = failed_login(host, secrets=secrets)
    assert error.kind == "auth.no_method"
    assert "no password is sent to a host whose key was not checked" in str(error)
    assert "accept-new" in (error.failure.hint or "")
    assert secrets.asked == []


def test_a_key_that_is_known_is_checked_even_without_strictness(fleet):
    """
    StrictHostKeyChecking no does not unknow a key: the password is sent where the key is right.
    """
    host = fleet.model_host(fleet.host("password-only"), strict_host_key_checking="no")
    assert log_in(host, secrets=Secrets(login=fleet.password)) == (7, "password")


def test_a_signature_may_be_sent_anywhere(fleet):
    """
    A key logs in: what it signs is good for this connection only.
    """
    assert log_in(fleet.model_host(fleet.host("web01"), **UNCHECKED)) == (7, "publickey")


def test_S09_no_agent_for_a_host_whose_key_was_not_checked(fleet, tmp_path):
    """
    S09: ForwardAgent is not honoured there.
    """
    with agent(tmp_path) as path:
        host = fleet.model_host(fleet.host("web01"), forward_agent=path, **UNCHECKED)

        async def main():
            async with connected(host) as connection:
                return (await connection.exec('echo "[$SSH_AUTH_SOCK]"')).stdout

        assert run_async(main) == b"[]\n"
