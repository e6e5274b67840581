"""
What a command line has come to know as secret is shown by nothing it writes (S24).
"""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from fleetctl.cli.errors import show_internal_error
from fleetctl.cli.forward_report import JsonReport
from fleetctl.cli.hostkeys_scan import Collected
from fleetctl.cli.known_secrets import KnownSecrets, WatchedSecrets, secrets_in, watched
from fleetctl.cli.logs import set_up_logging
from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.model.events import HostFinished
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from tests.unit.cli.fakes import FakeEngine, fleetctl, ok
from tests.unit.sinks import samples

PASSWORD = "hunter2secret"


class Answering:
    """Has a secret for everything but an operation's."""

    def known(self):
        return []

    async def password(self, host, user):
        return Secret("of login")

    async def passphrase(self, path, attempt):
        return Secret("of key")

    async def answers(self, host, user, challenge):
        return [Secret("first"), Secret("second")]

    async def become_password(self, host, user):
        return Secret("of become")

    async def secret(self, host, source):
        return None


def test_S24_each_secret_is_told_before_a_host_gets_it():
    """
    S24: of logins, keys, questions and becoming; what there is not is not told.
    """
    known = KnownSecrets()

    async def main():
        secrets, host = WatchedSecrets(Answering(), known), Host("web1")
        redaction = secrets.redaction()
        assert redaction.stream().add(b"of login") == b"of login"
        assert await secrets.password(host, "me") == Secret("of login")
        assert redaction.stream().add(b"of login") == b"[secret]"
        assert await secrets.passphrase("id", 0) == Secret("of key")
        answers = await secrets.answers(host, "me", Challenge((Prompt("one ", True),)))
        assert answers is not None
        assert len(answers) == 2
        assert await secrets.become_password(host, "root") == Secret("of become")
        assert await secrets.secret(host, "env:X") is None

    asyncio.run(main())
    told = ["of login", "of key", "first", "second", "of become"]
    assert {each.reveal() for each in known} == set(told)


def test_secrets_of_variables_are_found_at_any_depth():
    """
    Vaulted values may stand in lists and mappings.
    """
    value = {"a": Secret("1"), "b": [{"c": Secret("2")}, "x", (Secret("3"),)], "d": 4}
    assert {each.reveal() for each in secrets_in(value)} == {"1", "2", "3"}


def test_S24_a_host_s_own_secrets_are_known_before_it_is_contacted():
    """
    S24: vaulted variables, passwords in plain text, and whatever the command line has at hand.
    """

    class AtHand(Answering):
        def known(self):
            return [Secret("at hand")]

    known = KnownSecrets()
    assert known.redact("at hand") == "at hand"
    host = Host("web1", vars={"token": [Secret("vaulted")], "ansible_password": PASSWORD, "a": 1})
    secrets = watched(known, AtHand(), [host])
    assert {each.reveal() for each in known} == {"at hand", "vaulted", PASSWORD}
    assert known.redact(f"at hand, vaulted, {PASSWORD}") == "[secret], [secret], [secret]"
    asyncio.run(secrets.become_password(host, "root"))
    assert known.redact("of become") == "[secret]"


def test_S24_one_redactor_learns_whatever_is_known_later():
    """
    S24: who was given it before looks for the new ones too.
    """
    known = KnownSecrets()
    redactor = known.redactor
    known.add(Secret(PASSWORD))
    known.update([Secret("second one")], [Secret(PASSWORD)])
    assert len(known) == 2
    assert redactor is known.redactor
    assert redactor.text(f"{PASSWORD} and second one") == "[secret] and [secret]"


def test_S24_what_forward_and_hostkeys_report_has_no_secret():
    """
    S24: the host's words in a failure, for programs.
    """
    known = KnownSecrets()
    known.add(Secret(PASSWORD))
    failure = Failure("auth.denied", f"it says {PASSWORD}", hint=f"not {PASSWORD}")
    lines: list[str] = []
    JsonReport("web1", write=lines.append, known=known).ended(failure)
    assert "hunter2" not in lines[0]
    assert lines[0].count("[secret]") == 2
    collected = Collected(known)
    result = samples.broken("web1", "auth.denied", f"it says {PASSWORD}", hint=PASSWORD)
    collected.handle(HostFinished(result, samples.at(0)))
    shown = collected.results[0].outcome.failure
    assert shown is not None
    assert (shown.message, shown.hint) == ("it says [secret]", "[secret]")


def test_S24_a_vault_password_is_known(tmp_path, capsys):
    """
    S24: the password of ``--vault-password-file`` is shown by no host, and by no mistake.
    """
    file = tmp_path / "vault"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    engine = FakeEngine(outcomes={"a": ok(f"it is {PASSWORD}\n".encode())})
    vault = ("--vault-password-file", str(file))
    assert fleetctl("run", "-i", "a,", "a", *vault, "--", "x", engine=engine) == 0
    assert "it is [secret]" in capsys.readouterr().out
    assert fleetctl("run", "-i", "a,", PASSWORD, *vault, "--", "x", engine=engine) != 0
    assert "hunter2" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("format_", ["stream", "gather", "oneline", "json", "ndjson"])
def test_S24_a_password_that_a_host_prints_is_shown_nowhere(format_, tmp_path, capsys):
    """
    S24: given in a file, printed by a host, typed in the command: no format and no summary has it.
    """
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    engine = FakeEngine(outcomes={"a": ok(f"it is {PASSWORD}\n".encode())})
    words = ("run", "-i", "a,b,", "all", "--format", format_, "--password-file", str(file))
    assert fleetctl(*words, "--", f"mysql -p{PASSWORD}", engine=engine) == 0
    shown = capsys.readouterr()
    assert "it is [secret]" in shown.out
    assert "hunter2" not in shown.out + shown.err


def test_S24_an_internal_error_shows_no_secret(tmp_path, capsys):
    """
    S24: neither the message nor the traceback of ``--debug``.
    """
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)

    async def fail(_host):
        raise ValueError(f"cannot use {PASSWORD}")

    engine = FakeEngine(before_each=fail)
    words = ("run", "-i", "a,", "all", "--debug", "--password-file", str(file), "--", "x")
    assert fleetctl(*words, engine=engine) == 5
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "cannot use [secret]" in err
    assert "hunter2" not in err


def test_S24_internal_errors_are_shown_as_before_without_secrets(capsys):
    """
    Nothing known, nothing replaced.
    """
    show_internal_error(ValueError("plain"), debug=False)
    assert "internal error: ValueError: plain" in capsys.readouterr().err


def test_S24_log_records_have_no_secrets(capsys):
    """
    S24: message, arguments and traceback of a record.
    """
    logger = logging.getLogger("fleetctl")
    before = logger.handlers[:], logger.level
    logger.handlers[:] = []
    try:
        set_up_logging(
            2, debug=True, stderr=sys.stderr, redact=lambda text: text.replace(PASSWORD, "[secret]")
        )
        try:
            raise ValueError(PASSWORD)
        except ValueError:
            logger.exception("it was %s", PASSWORD)
    finally:
        logger.handlers[:], logger.level = before
    err = capsys.readouterr().err
    assert "it was [secret]" in err
    assert "ValueError: [secret]" in err
    assert PASSWORD not in err
