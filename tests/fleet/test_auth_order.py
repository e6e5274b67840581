"""
Which key is offered first, and how many: the one that worked the last time, within the limit.
"""

from __future__ import annotations

import pytest

from fleetctl.ssh.auth import MAX_PUBLICKEY_ATTEMPTS
from fleetctl.ssh.credentials import CredentialStore
from fleetctl.ssh.remembered_keys import RememberedKeys, read_keys
from fleetctl.ssh.wire import SocketWire
from tests.support.drive import Secrets, connected, failed_login, log_in, run_async
from tests.support.keys import agent, authorize, fingerprint, keygen

pytestmark = pytest.mark.fleet


@pytest.fixture
def lab_host(fleet):
    return fleet.host("web-auth")


@pytest.fixture
def three_keys(lab_host, tmp_path):
    """Files of three keys, of which the host takes the last."""
    keys = [keygen(tmp_path / name, "-t", "ed25519") for name in ("a", "b", "c")]
    authorize(lab_host, keys[2])
    return tuple(map(str, keys))


def offered(host, path, *, accepted: str | None = None) -> list[str]:
    """Return the labels of the keys for a host, in order, after telling which one it took."""

    async def main() -> list[str]:
        store = CredentialStore(
            secrets=Secrets(), warn=print, environ={}, remembered=RememberedKeys(path)
        )
        credentials = await store.of(host)
        if accepted is not None:
            credentials.key_accepted(accepted)
        await store.close()
        return [identity.label for identity in credentials.identities]

    return run_async(main)


def test_the_key_that_worked_is_offered_first_the_next_time(fleet, lab_host, tmp_path, three_keys):
    """
    The order is the configured one until a host took a key; then that one comes first, for this
    user at this host only.
    """
    path = tmp_path / "login-keys"
    host = fleet.model_host(lab_host, identity_files=three_keys)
    third = fingerprint((tmp_path / "c.pub").read_text(), tmp_path)
    assert offered(host, path, accepted=third) == list(three_keys)
    assert read_keys(path) == {f"{fleet.user}@{lab_host.address}:{lab_host.port}": third}
    a, b, c = three_keys
    assert offered(host, path) == [c, a, b]
    somebody = fleet.model_host(lab_host, identity_files=three_keys, user="somebody")
    assert offered(somebody, path) == [a, b, c]
    without = fleet.model_host(lab_host, identity_files=(a, b))
    assert offered(without, path) == [a, b]


def test_one_key_costs_no_file(fleet, lab_host, tmp_path):
    """
    Where there is nothing to choose, nothing is read or written.
    """
    path = tmp_path / "login-keys"
    offered(fleet.model_host(lab_host), path, accepted="SHA256:x")
    assert not path.exists()


def test_F27_a_try_is_left_for_the_password(fleet, tmp_path):
    """
    F27: of eight keys five are offered, so that sshd's limit of six leaves room; the refusal says
    how many were not.
    """
    lab_host = fleet.sshd("six-tries", {"PasswordAuthentication": "yes"})
    keys = tuple(str(keygen(tmp_path / f"key{number}", "-t", "ed25519")) for number in range(8))
    secrets = Secrets(login="not the password")
    error = failed_login(fleet.model_host(lab_host, identity_files=keys), secrets=secrets)
    assert error.kind in ("auth.denied", "auth.too_many")
    assert str(error).count("SHA256:") == MAX_PUBLICKEY_ATTEMPTS
    assert "tried password" in str(error) or ", password" in str(error)
    last = fleet.model_host(lab_host, identity_files=keys)
    silent = failed_login(last)
    assert "3 more keys were not offered (MaxAuthTries)" in str(silent)


def test_F28_a_short_rsa_key_is_named_and_the_next_is_tried(fleet, lab_host, tmp_path):
    """
    F28: RequiredRSASize leaves a key out by name, and is no obstacle for a good one.
    """
    short = keygen(tmp_path / "short", "-t", "rsa", "-b", "1024")
    authorize(lab_host, short)
    alone = fleet.model_host(lab_host, identity_files=(str(short),), required_rsa_size=2048)
    error = failed_login(alone)
    assert error.kind == "auth.key_file"
    assert f"{short}: an RSA key of 1024 bits is too short" in str(error)
    both = fleet.model_host(
        lab_host, identity_files=(str(short), str(fleet.identity)), required_rsa_size=2048
    )
    assert log_in(both) == (7, "publickey")


def flights_of(host, monkeypatch) -> int:
    """Return how often something was sent until the login was over."""
    sent: list[int] = []
    stock = SocketWire.write

    def noted(self, data):
        sent.append(len(data))
        return stock(self, data)

    monkeypatch.setattr(SocketWire, "write", noted)

    async def main() -> int:
        async with connected(host) as connection:
            assert connection.ssh.login.method == "publickey"
            return len(sent)

    return run_async(main)


@pytest.mark.parametrize("count", [1, 3])
def test_a_login_costs_three_flights_when_the_right_key_is_first(
    fleet, lab_host, tmp_path, monkeypatch, count
):
    """
    Version and algorithms; key exchange; and everything else at once: the request for the service,
    the signed key and the session. Further keys cost nothing.
    """
    others = [str(keygen(tmp_path / f"key{number}", "-t", "ed25519")) for number in range(count)]
    host = fleet.model_host(lab_host, identity_files=(str(fleet.identity), *others[1:]))
    assert flights_of(host, monkeypatch) == 3


def test_a_single_key_of_an_agent_is_signed_with_at_once(fleet, lab_host, tmp_path, monkeypatch):
    """
    There is nothing to ask the host about; the request for the service goes ahead meanwhile.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    authorize(lab_host, key)
    with agent(tmp_path, key) as path:
        host = fleet.model_host(lab_host, identity_files=(str(key),), identity_agent=path)
        assert flights_of(host, monkeypatch) == 4
