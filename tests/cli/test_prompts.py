"""
Hosts that ask questions: answered from sources named on the command line, or by a person.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from paramiko import AUTH_FAILED, AUTH_SUCCESSFUL, InteractiveQuery

from fleetctl.model.settings import HostSettings
from tests.cli.shell import fleetctl, on_terminal
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


class AsksCode(Login):
    """Wants a code, and tells what it got."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def get_allowed_auths(self, username):
        return "keyboard-interactive"

    def check_auth_interactive(self, username, submethods):
        query = InteractiveQuery("", "This host wants a code.")
        query.add_prompt("Verification code: ", echo=False)
        return query

    def check_auth_interactive_response(self, responses):
        self.seen.append(responses)
        return AUTH_SUCCESSFUL if responses == ["123456"] else AUTH_FAILED


@pytest.fixture
def asking():
    """A host that asks for a code: the words that name it, and the answers it got."""

    @contextmanager
    def serve():
        seen: list[list[str]] = []
        with scripted_server(HostSettings(), login=lambda: AsksCode(seen)) as server:
            settings = server.host.settings
            yield (
                (
                    *("-i", f"somebody@{settings.hostname}:{settings.port},", "all"),
                    *("-o", "IdentityAgent=none"),
                    *("-o", f"UserKnownHostsFile={settings.user_known_hosts_files[0]}"),
                    *("-o", "PreferredAuthentications=publickey,keyboard-interactive,password"),
                ),
                seen,
            )

    return serve


@pytest.mark.parametrize("source", ["env:TOTP", "cmd:echo 123456", "file:FILE"])
def test_a_question_is_answered_from_a_source(asking, tmp_path, source):
    """
    The answer comes from the environment, a program or a file; it is nowhere in the output.
    """
    file = tmp_path / "code"
    file.write_text("123456\n")
    file.chmod(0o600)
    rule = f"Verification code:={source.replace('FILE', str(file))}"
    with asking() as (words, seen):
        env = {"TOTP": "123456"}
        done = fleetctl("ping", *words, "--prompt", rule, "-vvv", env=env)
    assert done.code == 0, done.err
    assert seen == [["123456"]]
    shown = (done.out + done.err).replace("echo 123456", "")
    assert "123456" not in shown


def test_a_person_answers_the_questions_of_one_host(asking):
    """
    On a terminal the host's words and its question are shown; a wrong answer may be mended.
    """
    with asking() as (words, seen), on_terminal("ping", *words) as screen:
        screen.read_until("Verification code: ")
        assert "This host wants a code." in screen.shown
        screen.type("1\n")
        screen.read_until("That was wrong.")
        screen.type("123456\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert seen == [["1"], ["123456"]]
    assert "123456" not in ended.out


def test_a_question_that_nothing_answers_fails_with_the_option_that_does(asking):
    """
    Away from a terminal nobody is asked.
    """
    with asking() as (words, seen):
        done = fleetctl("ping", *words)
    assert done.code == 4
    assert seen == []
    assert "--prompt 'Verification code:=SOURCE'" in done.err


@pytest.mark.parametrize("rule", ["Verification code:=123456", "Verification code:=env:NO_TOTP"])
def test_a_wrong_rule_is_an_error_before_anybody_is_contacted(asking, rule):
    """
    A code typed in place of its source, and a variable that is not set.
    """
    with asking() as (words, seen):
        done = fleetctl("ping", *words, "--prompt", rule)
    assert done.code == 2
    assert "--prompt" in done.err
    assert "123456" not in done.err
    assert seen == []


def test_the_password_of_a_program(fleet):
    """
    --password-file takes a source too; the program runs without a shell.
    """
    inventory = ("-i", str(fleet.inventory([fleet.host("password-only")])), "all")
    done = fleetctl("ping", *inventory, "--password-file", f"cmd:echo {fleet.password}")
    assert done.code == 0, done.err


def test_a_wrong_password_is_asked_for_again_on_a_terminal(fleet):
    """
    For one host and a person, up to NumberOfPasswordPrompts, as ssh does.
    """
    inventory = ("-i", str(fleet.inventory([fleet.host("password-only")])), "all")
    with on_terminal("ping", *inventory, "-k") as screen:
        screen.read_until("login password: ")
        screen.type("wrong\n")
        screen.read_until("'s password: ")
        screen.type(f"{fleet.password}\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert fleet.password not in ended.out


def test_without_a_password_one_host_is_asked_about_on_a_terminal(fleet):
    """
    As ssh does, without -k; in batch mode nobody is asked.
    """
    inventory = ("-i", str(fleet.inventory([fleet.host("password-only")])), "all")
    with on_terminal("ping", *inventory) as screen:
        screen.read_until("'s password: ")
        screen.type(f"{fleet.password}\n")
        assert screen.wait().code == 0
    with on_terminal("ping", *inventory, "-o", "BatchMode=yes") as screen:
        ended = screen.wait()
    assert ended.code == 4
    assert "password: " not in ended.out
