"""
A server that lets any key in: whatever logs in there proves nothing.
"""

from __future__ import annotations

import pytest

from tests.cli.shell import fleetctl
from tests.support.keys import authorize, keygen

pytestmark = pytest.mark.fleet

QUICK = ("-t", "ed25519")
#: sshd asks this program for the keys of a user, and it says the one that is offered.
OPTIONS = {"AuthorizedKeysCommand": "/bin/echo %t %k", "AuthorizedKeysCommandUser": "root"}


@pytest.fixture
def host(fleet):
    return fleet.sshd("lets-anybody-in", OPTIONS)


def test_S11_no_key_is_called_deployed_where_every_key_logs_in(fleet, host, tmp_path):
    """
    S11: the control is let in too, so the host fails, and its file is what it was.
    """
    key = keygen(tmp_path / "new", *QUICK)
    file = host.home / ".ssh" / "authorized_keys"
    before = file.read_bytes()
    words = ("-i", str(fleet.inventory([host])), "web")
    done = fleetctl("keys", "deploy", *words, "--key", str(key), "--format", "json")
    assert done.code == 1, done.err
    assert done.results()[host.name]["failure"]["kind"] == "keys.unverifiable"
    assert file.read_bytes() == before


def test_S11_no_key_is_called_rotated_where_every_key_logs_in(fleet, host, tmp_path):
    """
    S11: the old key stays, as nobody knows what the new one is worth.
    """
    old, new = keygen(tmp_path / "old", *QUICK), keygen(tmp_path / "new", *QUICK)
    file = host.home / ".ssh" / "authorized_keys"
    authorize(host, old)
    before = file.read_bytes()
    words = ("-i", str(fleet.inventory([host])), "web", "--old", str(old), "--new", str(new))
    done = fleetctl("keys", "rotate", *words, "--format", "json")
    assert done.code == 1, done.err
    assert done.results()[host.name]["failure"]["kind"] == "keys.unverifiable"
    assert file.read_bytes() == before


def test_S11_a_revoked_key_that_logs_in_is_no_success(fleet, host, tmp_path):
    """
    S11: it is gone from the file, still accepted, and that is said.
    """
    gone = keygen(tmp_path / "gone", *QUICK)
    authorize(host, gone)
    words = ("-i", str(fleet.inventory([host])), "web", "--key", str(gone))
    done = fleetctl("keys", "revoke", *words, "--format", "json")
    assert done.code == 1, done.err
    failure = done.results()[host.name]["failure"]
    assert failure["kind"] == "keys.still_accepted"
    assert "authorizedkeyscommand" in failure["message"].lower()
