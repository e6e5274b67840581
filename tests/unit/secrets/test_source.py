"""
Secret sources as they are written on the command line: what they mean, and what is wrong with them.
"""

from __future__ import annotations

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret
from fleetctl.secrets.source import (
    AskPerson,
    Command,
    PromptRule,
    parse_prompt_rule,
    parse_source,
)


def parse(text, *, environ=None, warn=print, trusted=True):
    return parse_source(text, where="x.yml:3", environ=environ or {}, warn=warn, trusted=trusted)


def test_each_kind_of_source_is_read(tmp_path):
    """
    Files and variables give their secret at once, programs and people later.
    """
    file = tmp_path / "secret"
    file.write_text("from file\nnot this\n")
    file.chmod(0o600)
    assert parse(f"file:{file}") == Secret("from file")
    assert parse("env:PW", environ={"PW": " from env "}) == Secret(" from env ")
    assert parse("cmd: pass show fleet ") == Command("pass show fleet")
    assert parse("prompt") == AskPerson()


@pytest.mark.parametrize("text", ["", "hunter2", "file:", "env: ", "cmd:", "vault:x", "prompt:"])
def test_what_is_no_source_is_an_error_that_does_not_repeat_it(text):
    """
    Somebody who types the password itself does not find it in the terminal's history of errors.
    """
    with pytest.raises(UsageError, match="a secret source is expected") as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)


def test_a_variable_that_is_not_there_is_an_error():
    """
    Missing and empty are told apart; both are found before anybody is contacted.
    """
    with pytest.raises(UsageError, match="the variable PW is not set"):
        parse("env:PW")
    with pytest.raises(UsageError, match="the variable PW is empty"):
        parse("env:PW", environ={"PW": ""})


def test_a_file_that_others_can_read_is_warned_of(tmp_path):
    """
    The warning has the command that mends it.
    """
    file = tmp_path / "secret"
    file.write_text("x\n")
    file.chmod(0o644)
    warnings: list[str] = []
    parse(f"file:{file}", warn=warnings.append)
    assert warnings == [f"x.yml:3: {file} can be read by others: chmod 600 {file}"]


@pytest.mark.parametrize("text", ["file:/etc/passwd", "env:HOME", "cmd:id"])
def test_S23_a_project_file_may_not_read_or_run_anything(text):
    """
    S23: until the file is trusted; the command that trusts it is named. A prompt is harmless.
    """
    with pytest.raises(UsageError, match="not allowed in a file that is not trusted") as caught:
        parse(text, environ={"HOME": "x"}, trusted=False)
    assert "fleetctl trust x.yml" in str(caught.value)
    assert parse("prompt", trusted=False) == AskPerson()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Verification code:=prompt", PromptRule("Verification code:", AskPerson())),
        ("a=b=env:X", PromptRule("a=b", Secret("1"))),
        (
            "OTP=cmd:oathtool --totp=sha1 x=y",
            PromptRule("OTP", Command("oathtool --totp=sha1 x=y")),
        ),
    ],
)
def test_prompt_rules_are_split_at_the_source(text, rule):
    """
    Equals signs may stand in the text and in the source.
    """
    assert parse_prompt_rule(text, environ={"X": "1"}, warn=print) == rule


@pytest.mark.parametrize("text", ["", "Password:", "Password:=hunter2", "=prompt", " =prompt"])
def test_a_rule_without_text_or_source_is_an_error(text):
    """
    The error shows the form that is expected, and no secret typed by mistake.
    """
    with pytest.raises(UsageError, match="TEXT=SOURCE is expected") as caught:
        parse_prompt_rule(text, environ={}, warn=print)
    assert "hunter2" not in str(caught.value)


def test_a_rule_fits_questions_that_hold_its_text():
    """
    Case and what stands around it do not matter.
    """
    rule = PromptRule("verification code: ", AskPerson())
    assert rule.fits("(root@web1) Verification Code:")
    assert not rule.fits("Password: ")
