"""
Hosts that ask questions: keyboard-interactive, and a password that was wrong.
"""

from __future__ import annotations

import pytest

from tests.fleet.factors import BOTH, CODE, PASSWORD, Factors, serving
from tests.support.drive import Secrets, failed_login, log_in

pytestmark = pytest.mark.fleet


class AsksPassword(Factors):
    rounds = (PASSWORD,)


class AsksBothInTurn(Factors):
    rounds = (PASSWORD, CODE)


class AsksBothAtOnce(Factors):
    rounds = (BOTH,)


class AsksNothing(Factors):
    rounds = (PASSWORD, ((), ()))
    instruction = "Welcome."


# -- keyboard-interactive


def test_the_password_answers_a_host_that_asks_for_it(fleet):
    """
    A host with PAM asks where another takes the password; the methods are learnt first.
    """
    with serving(fleet, AsksPassword, identity_files=()) as (host, seen):
        assert log_in(host, secrets=Secrets(login="sesame")) == (0, "keyboard-interactive")
    assert seen == ["none", "keyboard-interactive", "answers ['sesame']"]


@pytest.mark.parametrize(
    ("kind", "told", "answers"),
    [
        (AsksBothInTurn, ["sesame", "123456"], ["answers ['sesame']", "answers ['123456']"]),
        (AsksBothAtOnce, ["sesame", "123456"], ["answers ['sesame', '123456']"]),
        (AsksNothing, ["sesame"], ["answers ['sesame']", "answers []"]),
    ],
)
def test_several_questions_are_answered(fleet, kind, told, answers):
    """
    Questions come at once or in rounds; a round without questions is only information.
    """
    with serving(fleet, kind, identity_files=()) as (host, seen):
        assert log_in(host, secrets=Secrets(told=list(told)))[1] == "keyboard-interactive"
    assert seen == ["none", "keyboard-interactive", *answers]


def test_S10_a_host_that_asks_something_else_does_not_get_the_password(fleet):
    """
    S10: the password answers no other question; the refusal has the question and the option that
    answers it.
    """

    class AsksCode(Factors):
        rounds = (CODE,)

    with serving(fleet, AsksCode, identity_files=()) as (host, seen):
        error = failed_login(host, secrets=Secrets(login="sesame"))
    assert seen == ["none", "keyboard-interactive"]
    assert error.kind == "auth.no_method"
    assert 'it asks "Verification code:" and there is no answer' in str(error)
    assert "--prompt 'Verification code:=SOURCE'" in (error.failure.hint or "")


def test_a_wrong_password_is_sent_once_whatever_methods_take_it(fleet):
    """
    A host that takes the password in two ways would count one mistake twice, and lock the account.
    """

    class TakesBoth(AsksPassword):
        def get_allowed_auths(self, username):
            return "keyboard-interactive,password"

        def check_auth_interactive(self, username, submethods):
            self.seen.append("keyboard-interactive")
            return self._query()

    with serving(fleet, TakesBoth, identity_files=()) as (host, seen):
        error = failed_login(host, secrets=Secrets(login="wrong"))
    assert [each for each in seen if "wrong" in each] == ["answers ['wrong']"]
    assert error.kind == "auth.denied"
    assert "wrong" not in str(error)


def test_questions_are_not_asked_where_the_method_is_off(fleet):
    """
    KbdInteractiveAuthentication no, or a list without it, means that no question is answered.
    """
    for changes in (
        {"kbd_interactive_authentication": False},
        {"preferred_authentications": ("publickey", "password")},
    ):
        with serving(fleet, AsksPassword, identity_files=(), **changes) as (host, seen):
            error = failed_login(host, secrets=Secrets(login="sesame"))
        assert seen == ["none"]
        assert error.kind == "auth.no_method"
        assert "allows keyboard-interactive" in str(error)


# -- wrong once, right later


def test_a_person_may_type_a_wrong_password_again(fleet):
    """
    After a wrong password the provider is asked, with the number of the attempt, up to
    NumberOfPasswordPrompts.
    """

    class TakesPassword(Factors):
        steps = ("password",)

    secrets = Secrets(login="wrong", told=["worse", "sesame"])
    with serving(fleet, TakesPassword, identity_files=()) as (host, seen):
        assert log_in(host, secrets=secrets)[1] == "password"
    assert seen == ["none", "password wrong", "password worse", "password sesame"]
    assert secrets.asked[1:] == [
        f"somebody@scripted's password: (attempt {number}) at scripted" for number in (1, 2)
    ]
    secrets = Secrets(login="wrong", told=["worse", "sesame"])
    with serving(fleet, TakesPassword, identity_files=(), number_of_password_prompts=2) as (
        host,
        seen,
    ):
        failed_login(host, secrets=secrets)
    assert seen == ["none", "password wrong", "password worse"]


def test_wrong_answers_are_asked_for_again(fleet):
    """
    A mistyped code is asked for again, as by ssh.
    """

    class AsksCode(Factors):
        rounds = (CODE,)

    with serving(fleet, AsksCode, identity_files=()) as (host, seen):
        assert log_in(host, secrets=Secrets(told=["1", "123456"]))[1] == "keyboard-interactive"
    assert seen[2::2] == ["answers ['1']", "answers ['123456']"]
