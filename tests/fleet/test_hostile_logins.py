"""
Servers that want secrets they must not get, or let nobody in (S10 S15 F19 F26 F31 F32).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import monotonic

import pytest
from paramiko.message import Message

from fleetctl.lab.keys import generate_key
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from tests.support.drive import Secrets, connected, connecting, failed_login, run_async
from tests.support.keys import keygen, own_line
from tests.support.patience import PACES, PATIENCE_S, SLACK_S
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet

USERAUTH_BANNER = 53


def test_S10_the_password_is_not_asked_for_before_the_host_key_is_verified(settings, tmp_path):
    """
    F23: a server with another key than the known one sees no login request at all, and nobody is
    asked for the password.
    """
    seen: list[str] = []

    class TakesPasswords(Login):
        def get_allowed_auths(self, username):
            seen.append(username)
            return "password"

        def check_auth_password(self, username, password):
            seen.append(password)
            return 0

    secrets = Secrets(login="hunter2")
    settings = replace(settings, identity_files=())
    with scripted_server(settings, login=TakesPasswords, host_key=generate_key()) as server:
        error = failed_login(server.host, secrets=secrets)
    assert error.kind == "hostkey.changed"
    assert secrets.asked == []
    assert seen == []


def test_S10_a_password_is_sent_only_over_a_verified_connection(settings):
    """
    With the right key the same server gets the password, once.
    """
    seen: list[str] = []

    class TakesPasswords(Login):
        def get_allowed_auths(self, username):
            return "password"

        def check_auth_password(self, username, password):
            seen.append(password)
            return 0

    async def main(host):
        async with connected(host, secrets=Secrets(login="hunter2")) as connection:
            return connection.ssh.login.method

    settings = replace(settings, identity_files=())
    with scripted_server(settings, login=TakesPasswords) as server:
        assert run_async(lambda: main(server.host)) == "password"
    assert seen == ["hunter2"]


def test_S15_an_address_that_now_belongs_to_another_gets_no_secret(fleet, settings, tmp_path):
    """
    An inventory that sends a known name (HostKeyAlias) to the address of another host with another
    key is told that the key changed, and nothing is offered there.
    """
    first, second = fleet.host("web01"), fleet.host("web02")
    known = tmp_path / "known_hosts"
    known.write_text("database " + own_line(fleet, first).partition(" ")[2] + "\n")
    sizes = fleet.log_sizes()
    host = fleet.model_host(second, host_key_alias="database", user_known_hosts_files=(str(known),))
    error = failed_login(host, secrets=Secrets(login="hunter2"))
    assert error.kind == "hostkey.changed"
    assert "Accepted" not in fleet.logs_since(sizes).get("web02", "")


def test_F26_a_refused_key_asks_nobody_and_names_what_was_tried(fleet, tmp_path):
    """
    A server that takes keys only, and not ours: methods allowed, the key tried, no prompt, and no
    suggestion to try again.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    secrets = Secrets(login="hunter2")
    lab_host = fleet.host("web01")
    error = failed_login(fleet.model_host(lab_host, identity_files=(str(key),)), secrets=secrets)
    assert error.kind == "auth.denied"
    assert "publickey" in str(error)
    assert str(key) in str(error)
    assert secrets.asked == []
    assert not error.failure.retryable


def test_F19_a_login_that_hangs_in_the_servers_lookup_is_an_auth_timeout(fleet):
    """
    A real sshd whose AuthorizedKeysCommand sleeps: given up at the deadline, named for the login,
    and worth another try.
    """
    for limit_s in PACES:
        host = fleet.model_host(fleet.host("slow-auth"), connect_timeout_s=limit_s)
        started = monotonic()
        error = failed_login(host)
        took_s = monotonic() - started
        if error.kind == "auth.timeout":
            break
    assert error.kind == "auth.timeout"
    assert f"within {limit_s:g} s" in str(error)
    assert error.failure.retryable
    assert 0.9 * limit_s <= took_s < limit_s + SLACK_S


# -- nobody is let in


@contextmanager
def counting_door(words: bytes) -> Iterator[tuple[tuple[str, int], list[float]]]:
    """Say this to everybody, close at once, and note when they came."""
    came: list[float] = []
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        endpoint = listener.getsockname()

        def accept() -> None:
            while True:
                sock, _ = listener.accept()
                with sock, suppress(OSError):
                    if ended.is_set():
                        return
                    came.append(monotonic())
                    sock.sendall(words)
                    sock.shutdown(socket.SHUT_WR)
                    sock.settimeout(SLACK_S)
                    while sock.recv(4096):
                        pass

        thread = threading.Thread(target=accept, name="door")
        thread.start()
        try:
            yield endpoint, came
        finally:
            ended.set()
            socket.create_connection(endpoint, PATIENCE_S).close()
            thread.join(PATIENCE_S)


def connect_all(hosts: list[Host]) -> list[FleetError]:
    """Connect to all at once, and return why each failed."""

    async def main():
        async with connecting() as connector:
            return await asyncio.gather(
                *(connector.connect(host, Trace(), open_session=True) for host in hosts),
                return_exceptions=True,
            )

    errors = run_async(main)
    assert {type(error).__base__ for error in errors} <= {Exception, FleetError}
    return errors


def test_F31_a_host_that_shuts_its_door_is_not_hammered(settings):
    """
    Like fail2ban, or sshd after too many failures: everybody is dropped without a word. One host is
    tried three times, and the operator is told why that may be.
    """
    with counting_door(b"") as ((address, port), came):
        host = Host(
            "closed",
            settings=replace(settings, hostname=address, port=port, connect_timeout_s=PATIENCE_S),
        )
        [error] = connect_all([host])
    assert error.kind == "connect.dropped", str(error)
    assert "(tried 3 times)" in str(error)
    assert error.failure.hint
    assert len(came) == 3


def test_F31_many_hosts_behind_one_shut_door_give_up_soon(settings):
    """
    Forty hosts at an address that drops everybody do not knock for as long as their deadlines
    allow: a few times each at most.
    """
    with counting_door(b"") as ((address, port), came):
        base = replace(settings, hostname=address, port=port, connect_timeout_s=PATIENCE_S)
        started = monotonic()
        errors = connect_all([Host(f"h{number}", settings=base) for number in range(40)])
        took_s = monotonic() - started
    assert {error.kind for error in errors} == {"connect.dropped"}
    assert len(came) <= 3 * 40
    assert took_s < PATIENCE_S


def test_F31_penalties_are_named_and_waited_out_with_pauses(settings):
    """
    Sshd with PerSourcePenalties says so: tried again until the deadline, at growing distances, and
    the hint says where to look.
    """
    with counting_door(b"Not allowed at this time\r\n") as ((address, port), came):
        host = Host(
            "penal", settings=replace(settings, hostname=address, port=port, connect_timeout_s=6.0)
        )
        [error] = connect_all([host])
    assert error.kind == "connect.dropped"
    assert "Not allowed at this time" in str(error)
    assert "PerSourcePenalties" in (error.failure.hint or "")
    assert error.failure.retryable
    # With pauses below 0.5, 1, 2, 4 s there is no room for many.
    assert 2 <= len(came) <= 15


def test_F32_an_account_that_a_real_sshd_does_not_let_in(fleet):
    """
    Sshd says nothing about why: the login is denied, with the methods and the key that was tried.
    """
    lab_host = fleet.sshd("locked", {"DenyUsers": fleet.user})
    try:
        error = failed_login(fleet.model_host(lab_host))
    finally:
        fleet.stop(lab_host)
    assert error.kind == "auth.denied"
    assert "publickey" in str(error)
    assert str(fleet.identity) in str(error)
    assert not error.failure.retryable


def test_F32_the_words_of_a_server_about_an_account_are_shown(settings):
    """
    An account that is locked or has expired: what the server says about it is in the message, in
    one line, and nothing suggests to try again.
    """
    text = b"Your account has expired; please contact your system administrator.\r\n"
    banner = bytes([USERAUTH_BANNER]) + len(text).to_bytes(4, "big") + text + bytes(4)

    class Expired(Login):
        def check_auth_publickey(self, username, key):
            server.transports[-1]._send_message(Message(banner))
            return 2

    with scripted_server(settings, login=Expired) as server:
        error = failed_login(server.host)
    assert error.kind == "auth.denied"
    assert "account has expired" in f"{error} {error.failure.hint}"
    assert "\n" not in str(error)
    assert not error.failure.retryable


def test_F32_a_server_that_disconnects_with_words_is_quoted(settings):
    """
    One that sends them in a DISCONNECT instead is quoted as well.
    """

    class Locked(Login):
        def check_auth_publickey(self, username, key):
            message = Message()
            message.add_byte(b"\x01")
            message.add_int(14)  # SSH_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE
            message.add_string("System is going down. Unprivileged users are not permitted.")
            message.add_string("")
            server.transports[-1]._send_message(message)
            return 2

    with scripted_server(settings, login=Locked) as server:
        error = failed_login(server.host)
    assert error.kind == "auth.denied"
    assert "System is going down" in str(error)
