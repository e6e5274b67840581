"""
Prompts: when a shell waits for the next line, and what of its output is no output.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.commands import prompts
from fleetctl.commands.prompts import (
    MOST_HELD_BYTES,
    GivenPrompt,
    OwnPrompt,
    problem_of_pattern,
)
from fleetctl.model.errors import FleetError

TOKEN = "fleetctl0123456789abcdef"
PS1 = f"{TOKEN}:%d:".encode()
PS2 = f"{TOKEN}:+:".encode()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes into pieces at these places."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def watched(*pieces: bytes) -> tuple[OwnPrompt, bytes]:
    """Return a prompt that has seen these pieces, and what of them is output."""
    prompt = OwnPrompt(TOKEN)
    output = b"".join(prompt.take(piece) for piece in pieces)
    return prompt, output + prompt.rest()


def test_prompts_are_no_output_and_tell_the_status():
    """
    Neither is what a shell writes before the first of them.
    """
    prompt, output = watched(b"Welcome!\n$ ", PS1 % 0, b"one\n", PS1 % 127)
    assert (prompt.is_shown, prompt.exit_status, output) == (True, 127, b"one\n")


def test_without_any_prompt_everything_is_output():
    """
    What a shell said instead of its prompt is what one wants to see.
    """
    prompt, output = watched(b"This account is", b" currently not available.\n")
    assert (prompt.is_shown, output) == (False, b"This account is currently not available.\n")


def test_what_is_held_back_is_bounded():
    """
    A host that writes for ever does not fill our memory.
    """
    prompt = OwnPrompt(TOKEN)
    passed = sum(len(prompt.take(b"x" * 1000)) for _ in range(1000))
    assert passed == 1_000_000 - MOST_HELD_BYTES


def test_the_prompt_for_more_of_a_command():
    """
    It asks for a line and has no status.
    """
    prompt, output = watched(PS1 % 3, PS2)
    assert (prompt.is_shown, prompt.exit_status, output) == (True, 3, b"")


def test_variables_that_hold_the_prompts_are_no_prompts():
    """
    Printed with all the others.
    """
    shown = f"PS1='{TOKEN}:$?:'\nPS2={TOKEN}:+:\nPS4='+ '\n".encode()
    prompt = OwnPrompt(TOKEN)
    prompt.take(PS1 % 0)
    prompt.forget()
    assert prompt.take(shown) == shown
    assert not prompt.is_shown


def test_what_is_typed_to_set_them_is_not_like_them():
    """
    A shell that types back what it gets does not seem to have obeyed.
    """
    for line in OwnPrompt(TOKEN).setup:
        assert TOKEN.encode() not in line
        assert line.endswith(b"\n")


@given(st.lists(st.integers(min_value=0), max_size=8))
def test_pieces_do_not_matter(places):
    """
    However the bytes are cut, the same is output, and the last status is known.
    """
    data = b"motd" + PS1 % 0 + b"a\nflee" + PS1 % 1 + TOKEN.encode() + b":x:" + PS1 % 12 + b"end"
    prompt, output = watched(*cut(data, places))
    assert output == b"a\nflee" + TOKEN.encode() + b":x:end"
    assert prompt.exit_status == 12


# -- described ones


def given_prompt(pattern: str, *pieces: bytes) -> bool:
    prompt = GivenPrompt(pattern)
    assert b"".join(prompt.take(piece) for piece in pieces) == b"".join(pieces)
    return prompt.is_shown


def test_a_described_prompt_ends_an_unfinished_line():
    """
    Colours, spaces behind it and the rest of the line make no difference; a newline does.
    """
    assert given_prompt(r"[\w-]+[>#]", b"switch-1# ")
    assert given_prompt(r"[\w-]+[>#]", b"hi\r\n", b"\x1b[1mswitch", b"-1\x1b[0m> ")
    assert not given_prompt(r"[\w-]+[>#]", b"switch-1# show")
    assert not given_prompt(r"[\w-]+[>#]", b"switch-1#\n")
    assert not given_prompt(r"[\w-]+[>#]")


def test_the_prompt_before_a_line_does_not_count_after_it():
    """
    The next one is waited for.
    """
    prompt = GivenPrompt("#")
    prompt.take(b"# ")
    prompt.forget()
    assert not prompt.is_shown
    prompt.take(b"output\n")
    assert not prompt.is_shown
    prompt.take(b"#")
    assert prompt.is_shown


def test_S17_a_regex_that_takes_for_ever_is_given_up():
    """
    What a host writes cannot stop us.
    """
    prompt = GivenPrompt(r"(a|aa)+(b|bb)+(\w+\s?)*c")

    def write_much() -> None:
        for _ in range(1000):
            prompt.take(b"ab" * 50 + b"a" * 60)

    with pytest.raises(FleetError) as caught:
        write_much()
    assert caught.value.kind == "expect.failed"


def test_S17_slow_looks_add_up(monkeypatch):
    """
    Nor can it with many pieces, each of which takes a little less than for ever.
    """
    ticks = itertools.count()
    monkeypatch.setattr(prompts, "thread_time", lambda: next(ticks) * 0.05)
    prompt = GivenPrompt("#")
    with pytest.raises(FleetError):
        looked_at_often(prompt)


def looked_at_often(prompt: GivenPrompt) -> None:
    for _ in range(1000):
        prompt.take(b"x")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("#", None),
        ("(", "not a regular expression"),
        ("", "it matches nothing"),
        ("a*", "it matches nothing"),
    ],
)
def test_regexes_that_describe_no_prompt(pattern, problem):
    """
    Seen before anybody is contacted.
    """
    found = problem_of_pattern(pattern)
    assert (found is None) if problem is None else found is not None and problem in found
