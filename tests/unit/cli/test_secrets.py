"""
Passwords and passphrases: from files, from a person, never twice.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.cli.secrets import GivenSecrets, read_secret_file
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from tests.unit.cli.fakes import FakeEngine, fleetctl


class Person:
    """Gives prepared answers and remembers the questions."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.questions = []

    async def ask(self, question, *, echo=True):
        self.questions.append((question, echo))
        return self.answers.pop(0) if self.answers else None


def passphrases(provider, count):
    async def ask():
        return [await provider.passphrase("~/.ssh/key", attempt) for attempt in range(count)]

    return asyncio.run(ask())


def test_a_person_is_told_that_the_passphrase_was_wrong():
    """
    The question names the key; when asked again, it says why; nothing typed is shown.
    """
    person = Person("one", "two")
    assert passphrases(GivenSecrets(person), 2) == [Secret("one"), Secret("two")]
    assert [echo for _, echo in person.questions] == [False, False]
    assert person.questions[0][0] == "passphrase of ~/.ssh/key: "
    assert person.questions[1][0].startswith("wrong passphrase; ")


def test_an_empty_answer_gives_up():
    """
    Return alone means: not this key.
    """
    assert passphrases(GivenSecrets(Person("")), 1) == [None]
    assert passphrases(GivenSecrets(Person()), 1) == [None]


def test_a_passphrase_file_answers_once_and_nobody_is_asked():
    """
    What the file says is wrong or right; asking again would not change it.
    """
    person = Person("typed")
    provider = GivenSecrets(person, passphrase=Secret("from file"))
    assert passphrases(provider, 2) == [Secret("from file"), None]
    assert person.questions == []


def test_one_password_is_for_all_hosts():
    """
    -k and --password-file give the same password to every host; without them there is none.
    """

    async def ask(provider):
        return [await provider.password(Host(name), "deploy") for name in ("web1", "web2")]

    provider = GivenSecrets(Person(), password=Secret("x"))
    assert asyncio.run(ask(provider)) == [Secret("x"), Secret("x")]
    assert asyncio.run(ask(GivenSecrets(Person()))) == [None, None]


def secret_file(tmp_path, content, *, mode=0o600):
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("content", [b"pa ss\n", b"pa ss", b"pa ss\r\n", b"pa ss\nsecond line\n"])
def test_the_first_line_of_a_file_is_the_secret(tmp_path, content):
    """
    Blanks belong to it, the end of the line does not.
    """
    warnings: list[str] = []
    path = secret_file(tmp_path, content)
    assert read_secret_file(path, option="-p", warn=warnings.append) == Secret("pa ss")
    assert warnings == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_is_warned_of(tmp_path, mode):
    """
    The warning names the file and the command that mends it.
    """
    warnings: list[str] = []
    path = secret_file(tmp_path, b"x\n", mode=mode)
    read_secret_file(path, option="--password-file", warn=warnings.append)
    assert warnings == [f"--password-file: {path} can be read by others: chmod 600 {path}"]


@pytest.mark.parametrize("content", [b"", b"\nsecond\n", b"\xff\xfe\n"])
def test_a_file_without_a_secret_is_an_error(tmp_path, content):
    """
    An empty first line, or one that is no text, is no secret.
    """
    path = secret_file(tmp_path, content)
    with pytest.raises(UsageError, match="--password-file: the first line"):
        read_secret_file(path, option="--password-file", warn=print)


def test_a_missing_secret_file_is_an_error_before_anybody_is_contacted(capsys):
    """
    Both files are read before the run.
    """
    for option in ("--password-file", "--identity-passphrase-file"):
        engine = FakeEngine()
        code = fleetctl("ping", "-i", "web1,", "web1", option, "/no/file", engine=engine)
        assert code == 2
        assert f"{option}: /no/file: No such file" in capsys.readouterr().err
        assert engine.runs == []


def test_secrets_of_files_reach_the_engine(tmp_path):
    """
    The provider given to the engine has what the files say.
    """
    engine = FakeEngine()
    path = secret_file(tmp_path, b"hunter2\n")
    words = ("ping", "-i", "web1,", "web1", "--password-file", path)
    assert fleetctl(*words, "--identity-passphrase-file", path, engine=engine) == 0
    provider = engine.given["secrets"]
    assert asyncio.run(provider.password(Host("web1"), "x")) == Secret("hunter2")
    assert passphrases(provider, 1) == [Secret("hunter2")]


def test_two_sources_of_the_password_are_refused(tmp_path, capsys):
    """
    -k and --password-file contradict each other.
    """
    words = ("ping", "-i", "web1,", "web1", "-k", "--password-file", "x")
    assert fleetctl(*words) == 2
    assert "--ask-pass and --password-file cannot be combined" in capsys.readouterr().err


def test_without_a_terminal_nobody_can_be_asked(monkeypatch, capsys):
    """
    -k in a job without terminal is an error with a way out, not a hang.
    """
    monkeypatch.setattr("fleetctl.cli.terminal.Terminal.is_there", False)
    engine = FakeEngine()
    assert fleetctl("ping", "-i", "web1,", "web1", "-k", engine=engine) == 2
    err = capsys.readouterr().err
    assert "there is no terminal to ask on" in err
    assert "hint: give --password-file FILE" in err
    assert engine.runs == []


def test_a_typed_password_reaches_the_engine_and_no_output(monkeypatch, capsys):
    """
    -k asks once, without echo, before the run; the password is printed nowhere.
    """
    monkeypatch.setattr("fleetctl.cli.terminal.Terminal.is_there", True)
    asked = []

    def getpass(prompt):
        asked.append(prompt)
        return "hunter2"

    monkeypatch.setattr("getpass.getpass", getpass)
    engine = FakeEngine()
    words = ("ping", "-i", "web[1-3],", "all", "-k", "--format", "ndjson")
    assert fleetctl(*words, engine=engine) == 0
    assert asked == ["login password: "]
    assert asyncio.run(engine.given["secrets"].password(Host("web1"), "x")) == Secret("hunter2")
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err


@pytest.mark.parametrize("answer", ["", EOFError()])
def test_no_password_typed_is_an_error(monkeypatch, capsys, answer):
    """
    Return alone or end of file at the prompt contacts nobody.
    """

    def getpass(_prompt):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("fleetctl.cli.terminal.Terminal.is_there", True)
    monkeypatch.setattr("getpass.getpass", getpass)
    assert fleetctl("ping", "-i", "web1,", "web1", "-k") == 2
    assert "--ask-pass: no password was given" in capsys.readouterr().err
