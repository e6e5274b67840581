"""
What is output of our command, and what somebody else's, in whatever pieces it comes.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.commands.proof import MAX_HELD_BYTES, Proof, make_token
from fleetctl.model.errors import FleetError
from tests.unit.commands.conversations import ScriptedConversation

TOKEN = "fleetctl0123"
BEGUN, READY, START = (f"{TOKEN} {word}\n".encode() for word in ("begun", "ready", "start"))


def hold(pieces, *, is_endless=False, **options):
    conversation = ScriptedConversation(pieces, is_endless=is_endless)
    proof = Proof(TOKEN, **options)
    asyncio.run(proof.hold(conversation))
    return proof, conversation


def cut(data, places):
    """Return the data in pieces."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(ends) if a < b]


@given(
    before=st.binary(max_size=30),
    after=st.binary(max_size=30),
    places=st.lists(st.integers(0, 200), max_size=8),
)
def test_output_begins_behind_the_start(before, after, places):
    """
    To the byte, in whatever pieces it comes; what was before is noise, with a newline or without.
    """
    data = before + BEGUN + b"again\n" + START + after
    pieces = [("stdout", each) for each in cut(data, places)]
    proof, conversation = hold([*pieces, ("stderr", BEGUN + START), ("stderr", b"bad")])
    assert proof.has_started
    assert proof.noise["stdout"] == before + b"again\n"
    assert conversation.kept["stdout"] == after
    assert proof.report is None


@given(places=st.lists(st.integers(0, 200), max_size=8), after=st.binary(max_size=30))
def test_on_a_terminal_there_is_one_stream(places, after):
    """
    Both lines come on it, with carriage returns; neither is output.
    """
    data = b"motd\r\n" + (BEGUN + BEGUN + START + START).replace(b"\n", b"\r\n") + after
    proof, conversation = hold([("stdout", each) for each in cut(data, places)])
    assert proof.has_started
    assert (
        conversation.kept["stdout"]
        + b"".join(data for _, data in conversation.pieces[conversation._at :])
        == after
    )


def test_without_a_sign_all_is_output():
    """
    Another command ran, and what it wrote is shown.
    """
    proof, conversation = hold([("stdout", b"forced\n"), ("stderr", b"command\n")])
    assert (proof.has_begun, proof.has_started) == (False, False)
    assert conversation.kept == {"stdout": b"forced\n", "stderr": b"command\n"}
    assert conversation.has_eof


def test_a_report_says_why_it_did_not_start():
    """
    The word behind the token.
    """
    proof, _ = hold([("stdout", BEGUN + f"{TOKEN} cwd-missing\n".encode()), ("stderr", BEGUN)])
    assert (proof.has_begun, proof.has_started, proof.report) == (True, False, "cwd-missing")


def test_a_line_shown_by_a_shell_is_no_sign():
    """
    A shell that cannot read a line may show it, with the token in it.
    """
    shown = f'echo "{TOKEN} start";echo "{TOKEN} start" >&2\n'.encode()
    proof, conversation = hold([("stderr", BEGUN + b"fish: oops\n" + shown)])
    assert (proof.has_begun, proof.has_started, proof.report) == (True, False, None)
    assert conversation.kept["stderr"] == b"fish: oops\n" + shown


def test_parts_are_sent_when_they_are_asked_for():
    """
    One for each ``ready``, and the end when nothing follows.
    """
    proof, conversation = hold(
        [("stdout", BEGUN), ("stdout", READY), None, ("stdout", READY + START), ("stderr", START)],
        parts=[b"first", b"second"],
    )
    assert conversation.written == [b"first", b"second"]
    assert conversation.has_eof
    assert proof.has_started


def test_input_of_the_command_stays_open():
    """
    It is not ended here when something follows.
    """
    _, conversation = hold([("stdout", START), ("stderr", START)], has_stdin=True)
    assert not conversation.has_eof


def test_nothing_is_sent_to_a_command_that_does_not_show_itself():
    """
    F34: it may wait for us as we do for it; that has an end, and what it wrote is kept.
    """
    conversation = ScriptedConversation([("stdout", b"who are you?\n")], is_endless=True)
    proof = Proof(TOKEN, parts=[b"secret"], patience_s=0.05)
    with pytest.raises(FleetError) as caught:
        asyncio.run(proof.hold(conversation))
    assert caught.value.kind == "exec.refused"
    assert "no sign of the command within 0.05 s" in caught.value.failure.message
    assert conversation.written == []
    assert conversation.kept["stdout"] == b"who are you?\n"


def test_a_redirected_stream_does_not_hold_up_the_other(monkeypatch):
    """
    A start-up file may have closed stderr; the command's input must not wait for ever.
    """
    monkeypatch.setattr("fleetctl.commands.proof.OTHER_STREAM_S", 0.05)
    proof, conversation = hold([("stdout", START + b"out")], is_endless=True, has_stdin=True)
    assert proof.has_started
    assert conversation.kept["stdout"] == b"out"


def test_endless_noise_is_not_held():
    """
    Memory is bounded; what is too much for noise is output, and a start is still seen.
    """
    pieces = [("stdout", b"x" * 50_000)] * 20
    proof, conversation = hold([*pieces, ("stdout", START + b"end"), ("stderr", START)])
    assert proof.has_started
    assert len(proof.noise["stdout"]) <= MAX_HELD_BYTES
    assert len(conversation.kept["stdout"]) + len(proof.noise["stdout"]) == 1_000_003
    assert conversation.kept["stdout"].endswith(b"end")


def test_tokens_cannot_be_guessed_and_mean_nothing_to_a_shell():
    """
    Each is new, of letters and digits.
    """
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.isalnum() and token.isascii() and len(token) >= 32 for token in tokens)
