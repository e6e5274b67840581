"""
The password for becoming somebody: whose, from where, and for which hosts.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.cli.secrets import BECOME_PASSWORD_VARIABLES, GivenSecrets
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from fleetctl.secrets.source import AskPerson, Command


class Person:
    """Gives one answer and remembers the questions."""

    def __init__(self, answer=None):
        self.answer = answer
        self.questions = []

    async def ask(self, question, *, echo=True):
        self.questions.append((question, echo))
        return self.answer


def ask(provider, *hosts):
    async def main():
        return [await provider.become_password(host, "root") for host in hosts]

    return asyncio.run(main())


@pytest.mark.parametrize("variable", BECOME_PASSWORD_VARIABLES)
@pytest.mark.parametrize("value", ["own", Secret("own")], ids=["text", "vaulted"])
def test_a_host_has_its_own(variable, value):
    """
    Vaulted or not; what the command line says comes first.
    """
    host = Host("web1", vars={variable: value})
    assert ask(GivenSecrets(Person()), host, Host("web2")) == [Secret("own"), None]
    assert ask(GivenSecrets(Person(), become=Secret("given")), host) == [Secret("given")]


def test_S10_the_login_password_is_not_used_for_it():
    """
    S10: one password is not tried where another one is wanted.
    """
    provider = GivenSecrets(Person(), password=Secret("login"))
    assert ask(provider, Host("web1", vars={"ansible_password": "own"})) == [None]


def test_S10_no_other_host_gets_it():
    """
    S10: a gateway on the way is not one of the hosts that were chosen.
    """
    provider = GivenSecrets(Person(), become=Secret("given"), targets={"web1"})
    gateway = Host("gate", vars={"ansible_become_password": "its own"})
    assert ask(provider, Host("web1"), gateway) == [Secret("given"), None]


def test_a_person_is_asked_once_for_all_hosts():
    """
    Without echo.
    """
    person = Person("typed")
    provider = GivenSecrets(person, become=AskPerson())
    assert ask(provider, Host("a"), Host("b")) == [Secret("typed"), Secret("typed")]
    assert person.questions == [("become password: ", False)]


def test_a_program_is_told_who_logs_in():
    """
    Sudo wants that one's password; %n is the host's name.
    """
    provider = GivenSecrets(Person(), become=Command("echo %n-%r"))
    host = Host("web1", settings=HostSettings(user="deploy"))
    assert ask(provider, host) == [Secret("web1-deploy")]


def test_a_program_that_fails_is_a_failure_to_become():
    """
    The host is not unreachable: it was not even asked.
    """
    provider = GivenSecrets(Person(), become=Command("false"))
    with pytest.raises(FleetError) as caught:
        ask(provider, Host("web1"))
    assert caught.value.kind == "become.unavailable"
    assert caught.value.failure.hint
