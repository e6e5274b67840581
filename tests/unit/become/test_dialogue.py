"""
Becoming somebody, over a program that plays sudo, su or doas.
"""

from __future__ import annotations

import asyncio
import itertools
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.become.become import Become
from fleetctl.become.dialogue import MAX_REST_BYTES, MAX_SAID_BYTES, BecomeDialogue
from fleetctl.become.marks import Marks
from fleetctl.become.refusal import Attempt
from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.testing import run_in_virtual_time
from tests.unit.become.conftest import Program


def hold(dialogue, program):
    run_in_virtual_time(lambda: dialogue.hold(program))


def failed(dialogue, program):
    with pytest.raises(FleetError) as caught:
        hold(dialogue, program)
    return caught.value


def both(marks, out=b"", err=b""):
    """Return how the command begins, on both streams."""
    return ("stdout", marks.became.text + out), ("stderr", marks.became.text + err)


def test_what_comes_before_the_mark_is_no_output_and_what_follows_is(marks, dialogue):
    """
    Lectures, prompts and start files are dropped; of the command not one byte is.
    """
    program = Program(
        ("stdout", b"motd\n"),
        ("stderr", b"noise" + marks.started.text + b"a lecture\n"),
        ("stderr", marks.question.text + b" "),
        *both(marks, b"\x00out", b"err"),
        ("stdout", b"more"),
    )
    hold(dialogue(), program)
    assert program.written == b"geheim\n"
    assert program.kept == [("stdout", b"\x00out"), ("stderr", b"err")]


def test_S10_nothing_is_written_when_nothing_is_asked(marks, dialogue):
    """
    S10: NOPASSWD, or a ticket: the command gets no password as its input.
    """
    program = Program(("stderr", marks.started.text), *both(marks, b"hello"))
    hold(dialogue(), program)
    assert (program.written, program.kept) == (b"", [("stdout", b"hello")])


@pytest.mark.parametrize(
    "shown",
    [
        b"[sudo] password for deploy: ",
        b"Password: ",
        b"Password:",
        b"0123456789abcdef%0123456789abcdef ",
    ],
)
def test_S10_sudo_is_answered_its_own_prompt_only(marks, dialogue, shown):
    """
    S10: another prompt is not ours, however much it looks like one.
    """
    program = Program(("stderr", marks.started.text + shown))
    error = failed(dialogue(), program)
    assert (error.kind, program.written) == ("become.denied", b"")


def test_S10_our_own_line_shown_before_it_runs_is_no_prompt(marks, dialogue):
    """
    S10: `set -v` and `set -x` show the arguments, in which neither prompt nor marks stand as such.
    """
    line = f"+ {marks.started.command} sudo -p '{marks.question.argument}' {marks.became.command}\n"
    program = Program(("stderr", line.encode()), ("stdout", line.encode()))
    failed(dialogue(), program)
    assert (program.written, program.kept) == (b"", [])


def test_S10_a_prompt_on_the_other_stream_is_not_answered(marks, dialogue):
    """
    S10: sudo asks on standard error.
    """
    program = Program(("stderr", marks.started.text), ("stdout", marks.question.text))
    failed(dialogue(), program)
    assert program.written == b""


def test_S10_a_second_prompt_is_not_answered(marks, dialogue):
    """
    S10: it means that the password is wrong; it is left alone, and its last words are waited for.
    """
    program = Program(
        ("stderr", marks.started.text + marks.question.text),
        ("stderr", b"\nSorry, try again.\n" + marks.question.text),
        ("stderr", b"\nsudo: 1 incorrect password attempt\n"),
    )
    error = failed(dialogue(), program)
    assert (error.kind, error.failure.message) == (
        "become.denied",
        "sudo refused the password of deploy",
    )
    assert (program.written, program.is_at_end, program.kept) == (b"geheim\n", True, [])


def test_without_a_password_being_asked_is_the_end(marks, dialogue):
    """
    Nothing is typed, not even an empty line.
    """
    program = Program(("stderr", marks.started.text + marks.question.text))
    error = failed(dialogue(password=None), program)
    assert error.failure.message == "sudo asks for the password of deploy, and none was given"
    assert (program.written, program.is_at_end) == (b"", True)


@pytest.mark.parametrize(
    ("method", "prompt"),
    [
        ("su", b"Password: "),
        ("su", b"Password:"),
        ("su", b"Password for root@EXAMPLE.ORG: "),
        ("doas", b"\rdoas (deploy@web01) password: "),
    ],
)
def test_su_and_doas_are_answered_their_first_unfinished_line(marks, dialogue, method, prompt):
    """
    They take no words of ours; what they say in the locale C is known.
    """
    program = Program(
        ("stdout", b"Password: "),  # of a start file, before our script has begun
        ("stdout", marks.started.text + b"warning: your password will expire: soon\n"),
        ("stdout", prompt),
        ("stdout", b"\r\n" + marks.became.text + b"out"),
    )
    hold(dialogue(method, has_pty=True), program)
    assert (program.written, program.kept) == (b"geheim\n", [("stdout", b"out")])


@pytest.mark.parametrize("text", [b"Password: \n", b"Username: ", b"passwords follow: yes ", b": "])
def test_su_is_not_answered_anything_else(marks, dialogue, text):
    """
    A whole line is no question, and another question is not answered with a password.
    """
    program = Program(("stderr", marks.started.text), ("stderr", text))
    failed(dialogue("su"), program)
    assert program.written == b""


def test_a_terminal_has_one_mark(marks, dialogue):
    """
    Both streams are one there; a server that sends another one is not heard.
    """
    program = Program(
        ("stderr", b"strange"),
        ("stdout", marks.started.text + marks.question.text),
        ("stdout", marks.became.text + b"out"),
    )
    hold(dialogue(has_pty=True), program)
    assert program.kept == [("stdout", b"out")]


@given(cuts=st.lists(st.integers(0, 400), max_size=12), is_sudo=st.booleans())
def test_it_does_not_matter_where_the_pieces_are_cut(cuts, is_sudo):
    """
    Prompts and marks are found wherever the network cut them, each once.
    """
    marks = Marks()
    become = Become(method="sudo" if is_sudo else "su")
    dialogue = BecomeDialogue(
        Attempt(become, "deploy", Secret("geheim")), marks, ask=True, has_pty=True
    )
    prompt = marks.question.text + b" " if is_sudo else b"Password: "
    before = b"noise\n" + marks.started.text + b"lecture\n" + prompt
    after = b"\r\n" + marks.became.text + b"output"
    pieces = []
    for text in (before, after):
        places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
        pieces += [text[a:b] for a, b in itertools.pairwise(places)]
    program = Program(*(("stdout", piece) for piece in pieces))
    hold(dialogue, program)
    assert program.written == b"geheim\n"
    rest = [*program.kept, *program.unread()]
    assert b"".join(data for _, data in rest) == b"output"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["stdout", "stderr"]),
            st.binary(max_size=60)
            | st.sampled_from([b"Password: ", b"password", b": ", b"%", b"\n", b"\x1b[2J"]),
        ),
        max_size=20,
    ),
    st.sampled_from(["sudo", "su", "doas"]),
    st.booleans(),
)
def test_S10_whatever_a_host_says_it_gets_the_password_once_at_most(pieces, method, has_pty):
    """
    S10: sudo never, as long as it does not ask in our words; and all else is a failure to become.
    """
    marks = Marks()
    attempt = Attempt(Become(method=method), "deploy", Secret("geheim"))
    dialogue = BecomeDialogue(attempt, marks, ask=True, has_pty=has_pty)
    program = Program(("stdout", marks.started.text), ("stderr", marks.started.text), *pieces)
    error = failed(dialogue, program)
    assert error.kind.startswith("become.")
    assert program.written in ((b"",) if method == "sudo" else (b"", b"geheim\n"))
    assert program.kept == []


def test_F53_many_small_pieces_cost_little(marks, dialogue):
    """
    F53: a host that sends a prompt-like text byte by byte does not keep us busy.
    """
    text = b"password " * 3000
    pieces = [("stderr", bytes([byte])) for byte in text]
    began = process_time()
    failed(dialogue("su"), Program(("stderr", marks.started.text), *pieces))
    assert process_time() - began < 5.0


def test_another_dialogue_gets_what_was_read_ahead_and_then_the_rest(marks, dialogue):
    """
    It cannot tell that somebody else talked before it.
    """

    class Listens:
        heard: list = []  # noqa: RUF012 - one instance

        async def hold(self, conversation):
            while (piece := await conversation.read()) is not None:
                self.heard.append(piece)
            conversation.keep("stdout", b"kept")

    listens = Listens()
    program = Program(
        ("stderr", marks.started.text),
        ("stdout", marks.became.text + b"1"),
        ("stdout", b"2"),
        ("stderr", marks.became.text),
        ("stdout", b"3"),
    )
    hold(dialogue(then=listens), program)
    assert listens.heard == [("stdout", b"1"), ("stdout", b"2"), ("stdout", b"3")]
    assert program.kept == [("stdout", b"kept")]


def test_F53_a_host_that_never_stops_talking_costs_little(marks, dialogue):
    """
    F53: what is said before the mark is bounded, and so is what is kept for another dialogue.
    """
    talks = dialogue()
    failed(talks, Program(*[("stderr", b"x" * 65536)] * 200))
    assert len(talks._heard["stderr"].said) <= MAX_SAID_BYTES
    assert len(talks._heard["stderr"]._new) <= 2 * MAX_SAID_BYTES + 65536

    class Never:
        async def hold(self, conversation):
            raise AssertionError

    piece = ("stdout", b"x" * MAX_SAID_BYTES)
    flood = [piece] * (2 * MAX_REST_BYTES // MAX_SAID_BYTES)
    greedy = dialogue(then=Never())
    program = Program(("stdout", marks.became.text), *flood)
    assert failed(greedy, program).kind == "become.unavailable"
    assert greedy._rest_bytes <= MAX_REST_BYTES + MAX_SAID_BYTES


def test_a_host_that_says_nothing_is_given_up_after_a_time(marks, dialogue):
    """
    The failure has the last words, and how long it took.
    """

    class Silent(Program):
        async def read(self):
            piece = await super().read()
            if piece is None:
                await asyncio.Event().wait()
            return piece

    program = Silent(("stderr", marks.started.text + b"Touch your key now"))

    async def main():
        async with asyncio.timeout(3600):
            await dialogue().hold(program)

    with pytest.raises(FleetError) as caught:
        run_in_virtual_time(main)
    assert (caught.value.kind, caught.value.failure.message) == (
        "become.timeout",
        "sudo did not become root within 30 s; it said: Touch your key now",
    )
    assert program.is_at_end


def test_a_program_that_is_not_there(marks, dialogue):
    """
    Our own script says so; the shell's words for it are not read.
    """
    program = Program(("stderr", marks.started.text + marks.missing.text))
    error = failed(dialogue(), program)
    assert (error.kind, error.failure.message) == (
        "become.unavailable",
        "there is no sudo on the host",
    )


def test_something_else_that_ran(marks, dialogue):
    """
    Without the mark of our first script, it was not ours; its words are in the message.
    """
    error = failed(dialogue(), Program(("stdout", b"only backups here\n")))
    assert (error.kind, error.failure.message) == (
        "become.unavailable",
        "the host ran something else than what was sent: only backups here",
    )


def test_S24_the_password_is_in_no_message(marks, dialogue):
    """
    S24: nor in what shows the dialogue.
    """
    program = Program(
        ("stderr", marks.started.text + marks.question.text), ("stderr", b"bad: geheim\n")
    )
    talks = dialogue()
    error = failed(talks, program)
    assert "geheim" not in repr((error, error.failure, talks, vars(talks)))
    assert "bad: [secret]" in error.failure.message
