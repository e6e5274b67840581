"""
Logging in: passwords, what a refusal says, the early session, and odd servers.
"""

from __future__ import annotations

import subprocess
import threading

import pytest
from paramiko.message import Message

from fleetctl.model.settings import HostSettings
from fleetctl.ssh.loop_transport import LoopTransport
from tests.support.drive import Secrets, connected, failed_login, log_in, run_async
from tests.support.keys import keygen
from tests.support.patience import PATIENCE_S, at_some_pace
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


@pytest.fixture
def lab_host(fleet):
    return fleet.host("web-auth")


# -- passwords


def test_password(fleet):
    """
    A host that takes only a password gets the one that was given, asked for once.
    """
    secrets = Secrets(login=fleet.password)
    host = fleet.model_host(fleet.host("password-only"))
    assert log_in(host, secrets=secrets) == (7, "password")
    assert len(secrets.asked) == 1


def test_wrong_password(fleet):
    """
    The refusal names the methods of the server and what was tried, never the password.
    """
    host = fleet.model_host(fleet.host("password-only"), identity_files=())
    error = failed_login(host, secrets=Secrets(login="hunter2-wrong"))
    assert error.kind == "auth.denied"
    assert "the server allows password; tried password" in str(error)
    assert "hunter2" not in str(error) + str(error.failure.hint)


def test_password_is_not_asked_for_where_it_is_of_no_use(fleet, lab_host, tmp_path):
    """
    A server that takes only keys causes no question (F26).
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    secrets = Secrets(login="never")
    failed_login(fleet.model_host(lab_host, identity_files=(str(key),)), secrets=secrets)
    assert secrets.asked == []


def test_no_password_to_give(fleet):
    """
    A host that wants a password and gets none says how to give one.
    """
    error = failed_login(fleet.model_host(fleet.host("password-only"), identity_files=()))
    assert error.kind == "auth.no_method"
    assert "allows password" in str(error)
    assert "-k" in (error.failure.hint or "")


def test_password_that_has_expired():
    """
    A server that wants a new password is named as that, not as one that allows nothing.
    """
    ended = threading.Event()

    class Expired(Login):
        def get_allowed_auths(self, username):
            return "password"

        def check_auth_password(self, username, password):
            message = Message()
            message.add_byte(bytes([60]))  # SSH_MSG_USERAUTH_PASSWD_CHANGEREQ
            message.add_string("change it")
            message.add_string("")
            server.transports[0]._send_message(message)
            ended.wait(PATIENCE_S)
            return 2

    settings = HostSettings(identity_agent="none", connect_timeout_s=PATIENCE_S)
    with scripted_server(settings, login=Expired) as server:
        try:
            error = failed_login(server.host, secrets=Secrets(login="old"))
        finally:
            ended.set()
    assert error.kind == "auth.denied"
    assert "wants a new password" in str(error)


# -- what a refusal says


def test_key_refused(fleet, lab_host, tmp_path):
    """
    The refusal names user, the server's methods, and each key that was tried by fingerprint and
    file (F26).
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    listing = subprocess.run(
        ["ssh-keygen", "-l", "-f", key], capture_output=True, check=True, text=True
    )
    error = failed_login(fleet.model_host(lab_host, identity_files=(str(key),)))
    assert error.kind == "auth.denied"
    message = str(error)
    assert message.startswith(f"{fleet.user}: the server allows publickey")
    assert listing.stdout.split()[1] in message
    assert str(key) in message
    assert not error.failure.retryable


def test_host_that_takes_no_key(fleet):
    """
    A server without authorized keys refuses like any other (F26).
    """
    assert failed_login(fleet.model_host(fleet.host("key-refused"))).kind == "auth.denied"


@pytest.mark.parametrize("name", ["two-factor", "key-and-password"])
def test_key_is_not_enough(fleet, name):
    """
    Partial success is not success: what is missing is named (F30).
    """
    error = failed_login(fleet.model_host(fleet.host(name)))
    assert error.kind == "auth.partial"
    assert "publickey accepted" in str(error)
    assert "password" in str(error)


def test_key_and_password(fleet):
    """
    Where both are wanted and both are given, the login succeeds (F30).
    """
    secrets = Secrets(login=fleet.password)
    host = fleet.model_host(fleet.host("key-and-password"))
    assert log_in(host, secrets=secrets) == (7, "password")


def test_login_that_takes_too_long(fleet):
    """
    A server that sits on the login is given up at the deadline, as what it is (F19).
    """
    lab_host = fleet.host("slow-auth")

    def check(pace):
        error = failed_login(fleet.model_host(lab_host, connect_timeout_s=pace))
        assert error.kind == "auth.timeout"
        assert str(error) == f"the login did not end within {pace:g} s"
        assert error.failure.retryable

    at_some_pace(check)
    fleet.end_sessions(lab_host)


# -- the session that is asked for together with the login


def early_opens(monkeypatch) -> list[bool]:
    """Note for every session that is opened whether the login was over."""
    seen: list[bool] = []
    stock = LoopTransport.open_loop_channel

    def noted(self, kind, receiver):
        seen.append(bool(self.authenticated))
        return stock(self, kind, receiver)

    monkeypatch.setattr(LoopTransport, "open_loop_channel", noted)
    return seen


def test_session_is_asked_for_with_the_login(fleet, lab_host, monkeypatch):
    """
    Towards OpenSSH the session's open leaves with the login, and the command uses that session.
    """
    seen = early_opens(monkeypatch)
    assert log_in(fleet.model_host(lab_host)) == (7, "publickey")
    assert seen == [False]


def test_session_asked_for_with_a_refused_login_is_forgotten(
    fleet, lab_host, tmp_path, monkeypatch
):
    """
    A first key that is refused takes its early session with it; the second key logs in with a new
    one, and the command runs.
    """
    wrong = keygen(tmp_path / "wrong", "-t", "ed25519")
    seen = early_opens(monkeypatch)
    host = fleet.model_host(lab_host, identity_files=(str(wrong), str(fleet.identity)))

    async def main():
        async with connected(host) as connection:
            for status in (3, 4):
                assert (await connection.exec(f"exit {status}")).exit_status == status
            assert len(connection.transport._channels) == 0
            assert connection.transport.bug is None

    run_async(main)
    assert seen == [False, False, True]


def test_session_is_not_asked_for_early_where_nothing_follows(fleet, lab_host, monkeypatch):
    """
    A login without a command opens no session.
    """
    seen = early_opens(monkeypatch)

    async def main():
        async with connected(fleet.model_host(lab_host), open_session=False):
            pass

    run_async(main)
    assert seen == []


@pytest.mark.parametrize(
    ("name", "changes"), [("embedded", {}), ("web-auth", {"compression": True})]
)
def test_session_is_not_asked_for_early_of_others(fleet, name, changes, monkeypatch):
    """
    Servers that are not OpenSSH, and delayed compression, get the open after the login: they end
    the connection otherwise.
    """
    seen = early_opens(monkeypatch)
    assert log_in(fleet.model_host(fleet.host(name), **changes)) == (7, "publickey")
    assert seen == [True]


# -- servers that do not play by the rules


def test_connection_closed_during_login(fleet):
    """
    A server that hangs up in the middle of the login is reported as that.
    """

    class HangsUp(Login):
        def check_auth_publickey(self, username, key):
            server.transports[0].close()
            return 2

    with scripted_server(fleet.settings(fleet.host("web01")), login=HangsUp) as server:
        error = failed_login(server.host)
    assert error.kind == "auth.denied"
    assert "closed the connection during login" in str(error)


def test_flood_during_login(fleet):
    """
    Packets without end before the login is over end it with the reason, not with a riddle.
    """

    class Floods(Login):
        def check_auth_publickey(self, username, key):
            for _ in range(2000):
                server.transports[0].send_ignore(32)
            return 2

    with scripted_server(fleet.settings(fleet.host("web01")), login=Floods) as server:
        error = failed_login(server.host)
    assert error.kind == "kex.protocol"
    assert "without end before login" in str(error)
