"""
`expect test`, and the secrets that scripts name.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from fleetctl.cli.operation_secrets import read_secret_uses
from fleetctl.cli.secrets import GivenSecrets
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.secrets.source import Command
from fleetctl.wiring.expect import SecretUse
from tests.unit.cli.fakes import fleetctl

SCRIPT = """steps:
  - {expect: "name? ", send: "{var:who} of {host}"}
  - expect: {regex: 'hello (\\w+)!'}
    capture: {who: 1}
"""
CAST = """{"version": 2, "width": 80, "height": 24}
[0.5, "o", "name? "]
[0.6, "i", "Ada of web01\\r"]
[2.0, "o", "hello Ada!"]
[2.1, "x", "0"]
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A script and a transcript of it, where we are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it.yml").write_text(SCRIPT)
    (tmp_path / "web01.cast").write_text(CAST)
    return tmp_path


def expect_test(*words):
    return fleetctl("expect", "test", *words)


def test_a_script_that_does_what_was_recorded(files, capsys):
    """
    Exit 0, and one line per transcript; the host is the one that the file is named for.
    """
    assert expect_test("it.yml", "--transcript", "web01.cast", "--var", "who=Ada") == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("web01.cast: ok, 1 sent as recorded, 1.9 s of dialogue, who=Ada\n", "")


def test_a_script_that_does_something_else(files, capsys):
    """
    Exit 1, and both lines where they part; other transcripts are looked at all the same.
    """
    cast = "--transcript=web01.cast"
    assert expect_test("it.yml", cast, cast, "--var", "who=Bob") == 1
    out, err = capsys.readouterr()
    line = (
        'fleetctl: it.yml:2: "Bob of web01\\r" is sent, but "Ada of web01\\r" was sent in'
        " web01.cast:3\n"
    )
    assert (out, err) == ("", line * 2)


def test_json_for_programs(files, capsys):
    """
    One object per transcript, with what was captured.
    """
    assert (
        expect_test("it.yml", "--transcript=web01.cast", "--var", "who=Ada", "--format=json") == 0
    )
    assert json.loads(capsys.readouterr().out) == [
        {
            "transcript": "web01.cast",
            "ok": True,
            "problem": None,
            "captured": {"who": "Ada"},
            "sent": 1,
            "dialogue_s": 1.9,
            "input_compared": True,
        }
    ]


def test_a_bad_end_is_no_success(files, capsys):
    """
    A recorded program that failed, and a script that fails by itself, exit with 1.
    """
    (files / "web01.cast").write_text(CAST.replace('"x", "0"', '"x", "4"'))
    assert expect_test("it.yml", "--transcript=web01.cast", "--var=who=Ada") == 1
    assert "it.yml: the program ended with exit status 4 in web01.cast" in capsys.readouterr().err
    (files / "web01.cast").write_text(CAST.replace("hello", "bye"))
    assert expect_test("it.yml", "--transcript=web01.cast", "--var=who=Ada") == 1
    assert "expect.eof: it.yml:3: the program ended" in capsys.readouterr().err


def test_a_variable_that_is_not_given(files, capsys):
    """
    What the host had must be said.
    """
    assert expect_test("it.yml", "--transcript=web01.cast") == 2
    assert capsys.readouterr().err == (
        "fleetctl: it.yml: it sends variables of the host, and who is not given\n"
        "hint: --var who=...\n"
    )


def test_bad_input(files, capsys):
    """
    Mistakes are exit 2, each with what to do.
    """
    assert expect_test("it.yml") == 2
    assert "hint: record one: fleetctl shell HOST --expect it.yml" in capsys.readouterr().err
    assert expect_test("it.yml", "--transcript=web01.cast", "--var=x") == 2
    assert '--var: NAME=VALUE is expected, not "x"' in capsys.readouterr().err
    assert expect_test("it.yml", "--transcript=it.yml", "--var=who=Ada") == 2
    assert "it.yml:1: not JSON" in capsys.readouterr().err
    assert expect_test("web01.cast", "--transcript=web01.cast") == 2
    assert "web01.cast:" in capsys.readouterr().err


class Nobody:
    async def ask(self, question, *, echo=True):
        raise AssertionError("nobody is to be asked")


class NoTerminal:
    is_there = False


class SomeTerminal:
    is_there = True


def uses(*sources):
    return [SecretUse(source, "it.yml", line, 5) for line, source in enumerate(sources, 1)]


def read(*sources, terminal=NoTerminal, environ=None):
    return read_secret_uses(uses(*sources), terminal(), environ=environ or {}, warn=print)


def test_secrets_are_read_before_anybody_is_contacted(tmp_path):
    """
    Files and variables are read at once, programs are kept for later, variables of hosts too.
    """
    path = tmp_path / "pw"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    found = read("env:A", f"file:{path}", "cmd:pass x", "var:pw", environ={"A": "one"})
    assert found == {
        "env:A": Secret("one"),
        f"file:{path}": Secret("hunter2"),
        "cmd:pass x": Command("pass x"),
    }


def test_all_secrets_that_are_missing_are_told_at_once(tmp_path):
    """
    Each with the place in the script that names it.
    """
    with pytest.raises(UsageError) as caught:
        read("env:NONE", "env:EMPTY", f"file:{tmp_path}/none", "prompt", environ={"EMPTY": ""})
    assert [(p.where, p.message.rpartition(": ")[2]) for p in caught.value.problems] == [
        ("it.yml:1:5", "the variable NONE is not set"),
        ("it.yml:2:5", "the variable EMPTY is empty"),
        ("it.yml:3:5", "No such file or directory"),
        ("it.yml:4:5", "there is no terminal to ask on"),
    ]


def test_a_person_is_asked_each_question_once(monkeypatch):
    """
    The question is the script's, or names the place that wants to know; no answer is no secret.
    """
    questions = []
    answers = iter(["one", "two", ""])

    def getpass(question):
        questions.append(question)
        return next(answers)

    monkeypatch.setattr("getpass.getpass", getpass)
    found = read("prompt", "prompt:New password:", terminal=SomeTerminal)
    assert found == {"prompt": Secret("one"), "prompt:New password:": Secret("two")}
    assert questions == ["secret for it.yml:1: ", "New password: "]
    with pytest.raises(UsageError, match=r"it\.yml:1:5: nothing was given"):
        read("prompt", terminal=SomeTerminal)


def test_only_sources_that_were_made_ready_are_answered():
    """
    An operation cannot read what its file did not name on the command line.
    """
    provider = GivenSecrets(Nobody(), sources={"env:A": Secret("one"), "cmd:x": Command("echo %h")})
    host = Host("web01", vars={"pw": Secret("two"), "pin": 1234, "yes": True})

    async def ask(*sources):
        return [await provider.secret(host, source) for source in sources]

    found = asyncio.run(ask("env:A", "env:B", "cmd:x", "var:pw", "var:pin", "var:yes", "var:no"))
    assert found == [
        *(Secret("one"), None, Secret("web01"), Secret("two"), Secret("1234"), None, None)
    ]
