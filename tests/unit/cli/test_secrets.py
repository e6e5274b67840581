"""
Passwords and passphrases: from files, from a person, never twice.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.cli.secrets import PASSWORD_VARIABLES, GivenSecrets
from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from fleetctl.secrets.source import AskPerson, Command, PromptRule, read_secret_file
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


def test_S10_a_gateway_does_not_get_the_password_of_the_hosts_behind_it():
    """
    Another machine, another password: typed if the first one was typed, else none.
    """
    gateway = Host("gw", settings=HostSettings(hostname="gw"))

    def ask(provider, host):
        return asyncio.run(provider.password(host, "kim"))

    quiet, typing = Person("no"), Person("own")
    from_file = GivenSecrets(quiet, password=Secret("x"), targets={"web1"})
    assert ask(from_file, Host("web1")) == Secret("x")
    assert ask(from_file, gateway) is None
    assert quiet.questions == []
    typed = GivenSecrets(typing, password=Secret("x"), targets={"web1"}, asks_for_gateways=True)
    assert ask(typed, gateway) == Secret("own")
    assert typing.questions == [("login password of gateway kim@gw: ", False)]


@pytest.mark.parametrize("name", PASSWORD_VARIABLES)
@pytest.mark.parametrize("value", ["own", Secret("own")], ids=["text", "vaulted"])
def test_a_host_may_have_a_password_of_its_own(name, value):
    """
    Its variable counts where the command line says nothing.
    """
    host = Host("web1", vars={name: value})

    async def ask(provider):
        return await provider.password(host, "deploy")

    assert asyncio.run(ask(GivenSecrets(Person()))) == Secret("own")
    given = GivenSecrets(Person(), password=Secret("given"))
    assert asyncio.run(ask(given)) == Secret("given")


def test_a_program_may_know_the_password_of_each_host():
    """
    The tokens of ssh_config stand for host and user.
    """
    provider = GivenSecrets(Person(), password=Command("echo %n-%r-%h"))
    host = Host("web1", settings=HostSettings(hostname="10.0.0.1"))

    async def ask():
        return await provider.password(host, "deploy")

    assert asyncio.run(ask()) == Secret("web1-deploy-10.0.0.1")


PASSWORD = Prompt("Password: ", is_hidden=True)
CODE = Prompt("Verification code: ", is_hidden=True)


def answers(provider, *prompts, attempt=0, host=None, **texts):
    challenge = Challenge(prompts, attempt=attempt, **texts)
    return asyncio.run(provider.answers(host or Host("web1"), "deploy", challenge))


def test_rules_answer_the_questions_they_fit():
    """
    Each question gets the first rule that fits, in the order of the questions.
    """
    provider = GivenSecrets(
        Person("999"),
        password=Secret("pw"),
        rules=[
            PromptRule("Verification", Secret("123")),
            PromptRule("code", Secret("never")),
            PromptRule("token", AskPerson()),
        ],
    )
    assert answers(provider, CODE) == [Secret("123")]
    assert answers(provider, Prompt("Token? ", is_hidden=True), CODE) == [
        Secret("999"),
        Secret("123"),
    ]


def test_S10_the_password_is_given_only_where_one_is_asked_for():
    """
    S10: one hidden question that says password; not next to another, not shown, not again.
    """
    provider = GivenSecrets(Person(), password=Secret("pw"))
    assert answers(provider, PASSWORD) == [Secret("pw")]
    assert answers(provider, PASSWORD, attempt=1) is None
    assert answers(provider, PASSWORD, PASSWORD) is None
    assert answers(provider, CODE) is None
    assert answers(provider, Prompt("Password: ", is_hidden=False)) is None


def test_nobody_is_asked_for_many_hosts_or_in_batch_mode():
    """
    A question that nothing answers fails that host; a person is asked for one host only.
    """
    person = Person("x", "y")
    assert answers(GivenSecrets(person), CODE) is None
    batch = Host("web1", settings=HostSettings(batch_mode=True))
    assert answers(GivenSecrets(person, is_for_one_host=True), CODE, host=batch) is None
    assert person.questions == []


def test_a_person_sees_what_one_host_asks():
    """
    Who asks, what it says, and the question; what is typed is shown only if the host wants that.
    """
    person = Person("123", "joe")
    provider = GivenSecrets(person, is_for_one_host=True)
    shown = Prompt("Name:", is_hidden=False)
    found = answers(provider, CODE, shown, name="Login", instruction="Two questions.")
    assert found == [Secret("123"), Secret("joe")]
    assert person.questions == [
        ("Login\nTwo questions.\n(deploy@web1) Verification code: ", False),
        ("(deploy@web1) Name: ", True),
    ]


def test_S01_what_a_host_asks_is_escaped():
    """
    S01: control characters in a question do nothing to the terminal.
    """
    person = Person("x")
    provider = GivenSecrets(person, is_for_one_host=True)
    answers(provider, Prompt("\x1b[2Jcode\n: ", is_hidden=True), instruction="\x1b]0;x\x07")
    assert "\x1b" not in person.questions[0][0]
    assert "\x07" not in person.questions[0][0]


def test_a_person_may_type_a_password_again():
    """
    After a wrong one the question says so; an empty line gives up.
    """
    person = Person("second", "")
    provider = GivenSecrets(person, password=Secret("wrong"), is_for_one_host=True)
    assert answers(provider, PASSWORD, attempt=1) == [Secret("second")]
    assert person.questions[0][0].startswith("That was wrong.\n")
    assert answers(provider, PASSWORD, attempt=2) is None


def test_an_empty_answer_is_an_answer_where_no_password_is_asked_for():
    """
    Return alone is what some second factors wait for.
    """
    provider = GivenSecrets(Person(""), is_for_one_host=True)
    assert answers(provider, Prompt("Press Enter:", is_hidden=True)) == [Secret("")]


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
