"""
What a host asks during the login, as bytes: bounded, and never a bug of ours.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.ssh.auth_dialog import (
    MAX_INSTRUCTION_LENGTH,
    MAX_PROMPT_LENGTH,
    MAX_PROMPTS,
    parse_info_request,
)
from fleetctl.ssh.identity import ssh_string


def request(*prompts: tuple[bytes, bytes], name=b"", instruction=b"") -> bytes:
    head = ssh_string(name) + ssh_string(instruction) + ssh_string(b"")
    return (
        head
        + len(prompts).to_bytes(4, "big")
        + b"".join(ssh_string(text) + echo for text, echo in prompts)
    )


def test_the_example_of_rfc_4256_is_read():
    """
    RFC 4256 section 3.3: name, instruction, and prompts with and without echo.
    """
    data = request(
        (b"Challenge: ", b"\x01"),
        (b"Response: ", b"\x00"),
        name=b"CRYPTOCard Authentication",
        instruction=b"The challenge is '14315716'",
    )
    assert parse_info_request(data) == Challenge(
        (Prompt("Challenge: ", is_hidden=False), Prompt("Response: ", is_hidden=True)),
        name="CRYPTOCard Authentication",
        instruction="The challenge is '14315716'",
    )


def test_S06_questions_are_bounded():
    """
    S06: long texts are cut, and more questions than anybody would answer are refused.
    """
    found = parse_info_request(request((b"x" * 10**6, b"\0"), instruction=b"y" * 10**6))
    assert found is not None
    assert len(found.prompts[0].text) == MAX_PROMPT_LENGTH
    assert len(found.instruction) == MAX_INSTRUCTION_LENGTH
    assert parse_info_request(request(*[(b"?", b"\0")] * (MAX_PROMPTS + 1))) is None


def test_any_doubt_about_echo_hides_what_is_typed():
    """
    Only a clear yes shows a secret on the screen.
    """
    for echo in (b"\x00", b"\x02", b""):
        found = parse_info_request(request((b"Password: ", echo)))
        assert found is not None
        assert found.prompts[0].is_hidden


@given(st.binary(max_size=300))
def test_any_bytes_are_a_challenge_or_none(data):
    """
    Damage gives None.
    """
    found = parse_info_request(data)
    assert found is None or len(found.prompts) <= MAX_PROMPTS


@pytest.mark.parametrize(
    ("prompts", "wanted"),
    [
        ([("Password: ", True)], True),
        ([("(root@web1) password for root: ", True)], True),
        ([("Password: ", False)], False),
        ([("Verification code: ", True)], False),
        ([("", True)], False),
        ([("Password: ", True), ("Password again: ", True)], False),
        ([], False),
    ],
)
def test_S10_the_password_answers_one_hidden_question_only(prompts, wanted):
    """
    S10: a host that asks something else, shows what is typed, or asks twice does not get it.
    """
    challenge = Challenge(tuple(Prompt(text, is_hidden=hidden) for text, hidden in prompts))
    assert challenge.wants_password is wanted
