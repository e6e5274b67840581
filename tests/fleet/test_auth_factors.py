"""
Several factors, one after the other on one transport, and the order of methods.
"""

from __future__ import annotations

import pytest
from paramiko import AUTH_SUCCESSFUL

from fleetctl.model.settings import HostSettings
from fleetctl.ssh.auth import MAX_REQUESTS
from tests.fleet.factors import CODE, Factors, serving
from tests.support.drive import Secrets, connected, failed_login, log_in, run_async
from tests.support.keys import authorize, keygen
from tests.support.server import scripted_server

pytestmark = pytest.mark.fleet


class KeyThenCode(Factors):
    steps = ("publickey", "keyboard-interactive")
    rounds = (CODE,)


class KeyPasswordCode(Factors):
    steps = ("publickey", "password", "keyboard-interactive")
    rounds = (CODE,)


class CodeTwice(Factors):
    steps = ("keyboard-interactive", "keyboard-interactive")
    rounds = (CODE,)


# -- several factors


def test_F30_key_and_code(fleet):
    """
    F30: the key goes first without asking for the methods; then the host asks, on one transport.
    """
    with serving(fleet, KeyThenCode) as (host, seen):
        assert log_in(host, secrets=Secrets(told=["123456"]))[1] == "keyboard-interactive"
    assert seen[-2:] == ["keyboard-interactive", "answers ['123456']"]
    assert "none" not in seen


def test_F30_three_factors(fleet):
    """
    F30: key, password and code in the host's order, whatever the order of preference.
    """
    with serving(fleet, KeyPasswordCode) as (host, seen):
        secrets = Secrets(login="sesame", told=["123456"])
        assert log_in(host, secrets=secrets)[1] == "keyboard-interactive"
    assert [each.split()[0] for each in seen if each != "publickey"] == [
        "password",
        "keyboard-interactive",
        "answers",
    ]


def test_F30_a_method_that_succeeded_is_repeated_only_if_the_host_asks(fleet):
    """
    F30: two codes in a row are two challenges.
    """
    with serving(fleet, CodeTwice, identity_files=()) as (host, seen):
        secrets = Secrets(told=["123456", "123456"])
        assert log_in(host, secrets=secrets)[1] == "keyboard-interactive"
    assert seen.count("answers ['123456']") == 2


def test_F30_the_missing_factor_is_named(fleet):
    """
    F30: what was accepted, what is wanted as well, and how to give it.
    """
    with serving(fleet, KeyThenCode) as (host, _):
        error = failed_login(host)
    assert error.kind == "auth.partial"
    assert "publickey accepted, but the server wants keyboard-interactive as well" in str(error)
    assert "Verification code" in str(error)
    assert "--prompt" in (error.failure.hint or "")


def test_F30_two_keys_for_one_login(fleet, tmp_path):
    """
    F30: AuthenticationMethods publickey,publickey takes two different keys of the list, in turn.
    """
    lab_host = fleet.sshd("two-keys", {"AuthenticationMethods": "publickey,publickey"})
    second = keygen(tmp_path / "second", "-t", "ed25519")
    authorize(lab_host, second)
    both = fleet.model_host(lab_host, identity_files=(str(fleet.identity), str(second)))
    assert log_in(both) == (7, "publickey")
    error = failed_login(fleet.model_host(lab_host))
    assert error.kind == "auth.partial"
    assert "publickey accepted, but the server wants publickey as well" in str(error)


def test_the_session_asked_for_with_one_factor_of_two_is_forgotten(fleet, tmp_path):
    """
    An early open that came before the login was over leaves nothing behind.
    """
    lab_host = fleet.sshd("two-keys-session", {"AuthenticationMethods": "publickey,publickey"})
    second = keygen(tmp_path / "second", "-t", "ed25519")
    authorize(lab_host, second)
    host = fleet.model_host(lab_host, identity_files=(str(fleet.identity), str(second)))

    async def main():
        async with connected(host) as connection:
            for status in (3, 4):
                assert (await connection.exec(f"exit {status}")).exit_status == status
            assert len(connection.transport._channels) == 0
            assert connection.ssh.login.partial == ["publickey"]

    run_async(main)


def test_a_host_that_is_never_content_is_given_up(fleet):
    """
    Success that is always partial ends after a bounded number of requests.
    """

    class Insatiable(Factors):
        steps = ("password",) * 1000

    with serving(fleet, Insatiable, identity_files=()) as (host, seen):
        error = failed_login(host, secrets=Secrets(login="sesame"))
    assert error.kind == "auth.too_many"
    assert len(seen) == MAX_REQUESTS


# -- the order of methods


def test_the_order_of_preference_is_obeyed(fleet):
    """
    With the password preferred, no key is offered before it; the methods are asked for first.
    """

    class TakesPassword(Factors):
        def get_allowed_auths(self, username):
            return "publickey,password"

        def _passed(self, method):
            return AUTH_SUCCESSFUL

    preferred = {"preferred_authentications": ("password", "publickey")}
    with serving(fleet, TakesPassword, **preferred) as (host, seen):
        assert log_in(host, secrets=Secrets(login="sesame"))[1] == "password"
    assert seen == ["none", "password sesame"]


def test_methods_that_are_not_supported_are_named():
    """
    A list of nothing but GSSAPI and host-based login says what to use instead.
    """
    settings = HostSettings(preferred_authentications=("gssapi-with-mic", "hostbased"))
    with scripted_server(settings) as server:
        error = failed_login(server.host)
    assert error.kind == "auth.no_method"
    assert "PreferredAuthentications gssapi-with-mic,hostbased" in str(error)
    assert "publickey" in (error.failure.hint or "")


def test_a_host_that_takes_only_kerberos_says_so(fleet):
    """
    The hint names what to use instead of a method that is not supported.
    """

    class Kerberos(Factors):
        def get_allowed_auths(self, username):
            return "gssapi-with-mic"

    with serving(fleet, Kerberos, identity_files=()) as (host, _):
        error = failed_login(host)
    assert error.kind == "auth.no_method"
    assert "Kerberos (GSSAPI) is not supported" in (error.failure.hint or "")
