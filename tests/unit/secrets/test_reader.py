"""
Reading sources for many hosts: a person once, a program once per command.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.secrets.reader import MAX_COMMANDS, SecretReader
from fleetctl.secrets.source import AskPerson, Command
from tests.support.drive import run_async


class Person:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.questions = []

    async def ask(self, question):
        self.questions.append(question)
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else None


async def read_all(reader, source, count, **options):
    return await asyncio.gather(
        *(
            reader.read(source, question="code ", tokens={"n": f"web{number}"}, **options)
            for number in range(count)
        )
    )


def test_a_person_is_asked_once_for_all_hosts():
    """
    Two hundred hosts that ask the same are one question.
    """
    person = Person("123456")
    found = run_async(lambda: read_all(SecretReader(person.ask), AskPerson(), 200))
    assert found == [Secret("123456")] * 200
    assert person.questions == ["code "]


@pytest.mark.parametrize("answers", [(), ("",)], ids=["nobody", "empty"])
def test_nobody_there_is_no_secret(answers):
    """
    No terminal or an empty line gives nothing, once.
    """
    person = Person(*answers)
    assert run_async(lambda: read_all(SecretReader(person.ask), AskPerson(), 3)) == [None] * 3
    assert len(person.questions) == 1


def test_a_program_runs_once_for_each_command_it_comes_to(tmp_path):
    """
    Without tokens it runs once for all hosts, with the host's name once per host.
    """
    ran = tmp_path / "ran"
    reader = SecretReader(Person().ask)
    same = Command(f"echo x >> {ran}; echo secret")
    assert run_async(lambda: read_all(reader, same, 20)) == [Secret("secret")] * 20
    assert ran.read_text() == "x\n"
    each = Command("echo secret-%n")
    assert run_async(lambda: read_all(reader, each, 3)) == [
        Secret(f"secret-web{number}") for number in range(3)
    ]


def test_one_time_codes_are_made_anew(tmp_path):
    """
    An answer that may be used once is got for each login, by a few programs at a time.
    """
    ran = tmp_path / "ran"
    code = Command(f"echo x >> {ran}; echo 1")
    reader = SecretReader(Person().ask)
    run_async(lambda: read_all(reader, code, 2 * MAX_COMMANDS, again=True))
    assert ran.read_text() == "x\n" * 2 * MAX_COMMANDS


def test_a_program_that_fails_fails_once_for_all_hosts(tmp_path):
    """
    Every host gets the reason; the program is not run again and again.
    """
    ran = tmp_path / "ran"
    reader = SecretReader(Person().ask)
    broken = Command(f"echo x >> {ran}; exit 1")

    async def main():
        for _ in range(3):
            with pytest.raises(FleetError, match="exit status 1"):
                await reader.read(broken, question="", tokens={})

    run_async(main)
    assert ran.read_text() == "x\n"
