"""
Words of hosts and programs in messages are cut so that half of a known secret is still found (S24).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from fleetctl.become.become import Become
from fleetctl.become.refusal import Attempt
from fleetctl.commands.account import read_account
from fleetctl.inventory.program import clean_stderr
from fleetctl.keys.remote import refusal
from fleetctl.keys.remote.answer import read_answer
from fleetctl.keys.remote.program import Mark
from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.model.errors import FleetError
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from fleetctl.sinks.redact import Redactor
from fleetctl.ssh.auth_dialog import MAX_PROMPT_LENGTH, parse_info_request
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.login_report import MAX_SHOWN_LENGTH, LoginReport, cut_off, denied
from fleetctl.ssh.loop_transport import LoopTransport
from fleetctl.ssh.sftp_error import MAX_MESSAGE, refused
from fleetctl.ssh.translate import foreign_greeting, negotiation_failure

VALUE = "hunter2-swordfish"


def question(text: str) -> str:
    one = ssh_string(text.encode()) + b"\0"
    found = parse_info_request(ssh_string(b"") * 3 + (1).to_bytes(4, "big") + one)
    assert found is not None
    return found.prompts[0].text


def asked(text: str) -> str:
    report = LoginReport(unanswered=Challenge((Prompt(text, is_hidden=True),)))
    failure = denied("me", report, []).failure
    return f"{failure.message} {failure.hint}"


def greeted(text: str) -> str:
    return str(foreign_greeting([f"HTTP/1.1 {text}"]))


def turned_away(text: str) -> str:
    transport = SimpleNamespace(saved_exception=None, disconnected=(2, text))
    return str(negotiation_failure(cast("LoopTransport", transport)))


def not_become(text: str) -> str:
    attempt = Attempt(Become(user="root"), "me")
    return str(attempt.refused(text.encode(), was_asked=False, is_wrong=False))


def answered(text: str) -> str:
    wrote = ExecResult(exit_status=1, stdout=text.encode(), stdout_bytes=len(text))
    with pytest.raises(FleetError) as caught:
        read_answer(wrote, Mark())
    return str(caught.value)


def another_ran(text: str) -> str:
    return " ".join(found.details[0] for found in read_account(text.encode(), "marker", ()))


#: What makes a message -> the longest excerpt in it.
MESSAGES: dict[str, tuple[Callable[[str], str], int]] = {
    "question": (question, MAX_PROMPT_LENGTH),
    "question without an answer": (asked, MAX_SHOWN_LENGTH),
    "short question": (asked, 60),
    "banner": (lambda text: str(denied("me", LoginReport(banner=text.encode()), [])), 200),
    "banner at the end": (
        lambda text: str(cut_off("me", LoginReport(banner=text.encode()), None)),
        MAX_SHOWN_LENGTH,
    ),
    "first line": (greeted, 80),
    "reason": (turned_away, 200),
    "sudo": (not_become, 200),
    "SFTP": (lambda text: str(refused(4, text.encode(), "open", "f")), MAX_MESSAGE),
    "look at keys": (answered, 200),
    "no file of keys": (lambda text: refusal._reason([text]), 300),
    "forced command": (another_ran, 200),
    "program of an inventory": (lambda text: clean_stderr(text.encode()), 200),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_S24_no_message_has_half_of_a_secret(name):
    """
    S24: wherever the host's words are cut, at both ends, what is left of a secret is found.
    """
    message, limit = MESSAGES[name]
    redactor = Redactor()
    redactor.add(Secret(VALUE))
    for before in range(limit - 40, limit + 5):
        text = "x" * before + VALUE + "y" * (limit - 9)
        clean = redactor.text(message(text))
        assert "hunt" not in clean, before
        assert "fish" not in clean, before


def test_S24_a_question_is_in_the_hint_as_it_is_or_not_at_all():
    """
    S24: what --prompt is given must be the question; quotes and long words are not repeated.
    """

    def hint(text: str) -> str:
        return asked(text).partition("--prompt ")[2]

    assert hint("Verification code: ").startswith("'Verification code:=SOURCE'")
    for text in ("it's", f"{VALUE} {'x' * 60}", "a\x1bb", "`x`", "", "$HOME"):
        assert hint(text).startswith("'TEXT=SOURCE'"), text
