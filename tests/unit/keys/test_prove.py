"""
Proof by fresh logins: what counts as one, and when a host proves nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence

import pytest

from fleetctl.keys.prove import negative_control, prove, prove_refused
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.result import ExecResult
from fleetctl.model.settings import HostSettings
from fleetctl.testing import ScriptedRemote, exited

HOST = Host("web1", settings=HostSettings(user="deploy"))
LOGIN = Login("deploy", identity_file="~/.ssh/new")
NO_WAITING = (0.0, 0.0, 0.0)
DENIED = FleetError("auth.denied", "deploy: the server allows publickey; tried ed25519 SHA256:x")
DROPPED = FleetError("connect.dropped", "closed before a banner", retryable=True)


def echo(command: str) -> ExecResult:
    return exited(stdout=command.partition(" ")[2].encode() + b"\n")


class Anew:
    """Scripted logins, one after another; the last one is for all that follow."""

    def __init__(self, *ends: FleetError | Callable[[str], ExecResult] | ExecResult) -> None:
        self._ends = list(ends)
        self.remote = ScriptedRemote({}, host=HOST, log_in=self._log_in)

    def _log_in(self, _login: Login) -> ScriptedRemote:
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if isinstance(end, FleetError):
            return ScriptedRemote({}, host=HOST, login_failure=end)
        return _AnyCommand({}, host=HOST, answer=end)


class _AnyCommand(ScriptedRemote):
    def __init__(self, answers, *, host, answer):
        super().__init__(answers, host=host)
        self._any = answer

    async def exec(self, request):
        self.requests.append(request)
        if isinstance(self._any, ExecResult):
            return self._any
        return self._any(request.command)


def proof_of(*ends, runs_command=True):
    anew = Anew(*ends)
    login = prove(anew.remote, LOGIN, runs_command=runs_command, delays_s=NO_WAITING)
    return asyncio.run(login), anew.remote.fresh_logins


def test_a_key_is_proved_by_a_command_that_runs():
    """
    Logged in with this credential only, and the nonce came back.
    """
    proof, logins = proof_of(echo)
    assert (proof.verdict, proof.user, proof.logs_in) == ("ran", "deploy", True)
    assert logins == [LOGIN]


def test_what_answers_in_place_of_the_command_shows_only_that_the_login_works():
    """
    A forced command claims nothing but "authenticated"; its words are kept, as one bounded line.
    """
    proof, _ = proof_of(exited(stdout=b"welcome\x1b[2J\nto the menu" + b"x" * 9999))
    assert (proof.verdict, proof.logs_in) == ("authenticated", True)
    assert proof.answer.startswith("welcome\x1b[2J to the menu")
    assert len(proof.answer) <= 200


def test_a_command_that_is_forced_is_not_run_for_a_proof():
    """
    What a key forces may do anything: the login alone has to do.
    """
    proof, _ = proof_of(lambda _: pytest.fail("it ran"), runs_command=False)
    assert proof.verdict == "authenticated"


@pytest.mark.parametrize("kind", ["auth.denied", "auth.partial", "auth.too_many"])
def test_a_refusal_says_what_the_host_said(kind):
    """
    The host's methods and words are kept for the reason.
    """
    proof, _ = proof_of(FleetError(kind, "the server allows password"))
    assert (proof.verdict, proof.logs_in) == ("refused", False)
    assert proof.failure is not None
    assert proof.failure.message == "the server allows password"
    assert proof.is_partial == (kind == "auth.partial")


@pytest.mark.parametrize("kind", ["auth.key_file", "auth.no_method"])
def test_a_key_whose_private_half_is_not_here_stays_unproved(kind):
    """
    Nothing was offered, so nothing was refused.
    """
    proof, _ = proof_of(FleetError(kind, "no such file"))
    assert (proof.verdict, proof.logs_in) == ("unproved", False)


def test_a_host_that_drops_connections_is_asked_again():
    """
    MaxStartups drops at random; that is no word about the key.
    """
    proof, logins = proof_of(DROPPED, DROPPED, echo)
    assert proof.verdict == "ran"
    assert len(logins) == 3


def test_a_host_that_is_not_reached_proves_nothing():
    """
    The error goes on, when patience has ended.
    """
    with pytest.raises(FleetError, match="before a banner"):
        proof_of(DROPPED)
    with pytest.raises(FleetError, match="another key"):
        proof_of(FleetError("hostkey.changed", "another key"))


def test_a_session_that_is_refused_comes_after_a_login_that_worked():
    """
    MaxSessions 0, no shell, or a connection closed by a forced command: the key was taken.
    """

    def refuse(_command: str) -> ExecResult:
        raise FleetError("session.refused", "MaxSessions")

    proof, _ = proof_of(refuse)
    assert proof.verdict == "authenticated"
    assert proof.failure is not None
    assert proof.failure.kind == "session.refused"


def test_S11_a_host_that_takes_a_random_key_proves_nothing():
    """
    A key made this moment logs in: then that another one logs in says nothing.
    """
    with pytest.raises(FleetError) as caught:
        asyncio.run(negative_control(Anew(echo).remote, "deploy", delays_s=NO_WAITING))
    assert caught.value.kind == "keys.unverifiable"


def test_S11_a_random_key_taken_as_the_first_factor_proves_nothing_either():
    """
    That the host wants a password besides does not make the key right.
    """
    taken = FleetError("auth.partial", "publickey accepted, but the server wants password as well")
    with pytest.raises(FleetError) as caught:
        asyncio.run(negative_control(Anew(taken).remote, "deploy", delays_s=NO_WAITING))
    assert caught.value.kind == "keys.unverifiable"


def test_S11_the_control_is_another_key_each_time_and_the_only_credential():
    """
    Nobody can know it before; no file, agent or password goes with it.
    """

    def keys(count: int) -> Sequence[Login]:
        remote = Anew(DENIED).remote
        for _ in range(count):
            proof = asyncio.run(negative_control(remote, "deploy", delays_s=NO_WAITING))
            assert proof.verdict == "refused"
        return remote.fresh_logins

    first, second = keys(2)
    assert first.private_key is not None
    assert first.private_key != second.private_key
    assert dataclasses.replace(first, private_key=None) == Login("deploy")


def test_S11_a_control_that_could_not_be_offered_refused_nothing():
    """
    PubkeyAcceptedAlgorithms here leaves no Ed25519: the next type is tried; without any there is no
    control.
    """
    void = FleetError("auth.denied", "tried ed25519 SHA256:x: no signature algorithm in common")
    remote = Anew(void, DENIED).remote
    asyncio.run(negative_control(remote, "deploy", delays_s=NO_WAITING))
    assert len(remote.fresh_logins) == 2
    with pytest.raises(FleetError) as caught:
        asyncio.run(negative_control(Anew(void).remote, "deploy", delays_s=NO_WAITING))
    assert caught.value.kind == "keys.unverifiable"


def test_that_a_key_is_refused_is_tried_without_running_anything():
    """
    A key that should be gone and is not must not start a command.
    """
    remote = Anew(lambda _: pytest.fail("it ran")).remote
    proof = asyncio.run(prove_refused(remote, LOGIN, delays_s=NO_WAITING))
    assert proof.verdict == "authenticated"


def test_a_connection_that_is_lost_proves_nothing_about_the_key():
    """
    It is tried again; a command that did not answer because the line was cut is no answer.
    """

    def lose(_command: str) -> ExecResult:
        raise FleetError("session.lost", "the connection was lost", retryable=True)

    proof, logins = proof_of(lose, echo)
    assert (proof.verdict, len(logins)) == ("ran", 2)
    with pytest.raises(FleetError, match="was lost"):
        proof_of(lose)
