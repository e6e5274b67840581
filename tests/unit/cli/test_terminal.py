"""
Asking a person on a terminal, and the question about an unknown host key.
"""

from __future__ import annotations

import asyncio
import os
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from fleetctl.cli.hostkey import HostKeyPrompt, render_question
from fleetctl.cli.terminal import Terminal
from fleetctl.model.host import Host
from fleetctl.ssh.loop import run_loop
from tests.support.patience import PATIENCE_S


@contextmanager
def keyboard():
    """A pseudo-terminal: what a person would type into, and the terminal's path."""
    master, slave = os.openpty()
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


def shown_on(master):
    os.set_blocking(master, False)
    try:
        return os.read(master, 65536).decode()
    except BlockingIOError:
        return ""


def shown_until(master, text):
    """Return what is shown once the text is: a terminal passes on what was written in its time."""
    shown, until = "", time.monotonic() + PATIENCE_S
    while text not in shown and time.monotonic() < until:
        shown += shown_on(master)
        time.sleep(0.01)
    return shown


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_line_is_read_without_its_end(loop):
    """
    The question is written, the answer is what was typed before Return.
    """
    with keyboard() as (master, path):
        os.write(master, b"yes please\n")
        answer = run_loop(lambda: Terminal(path).ask("really? "), choice=loop)
        assert answer == "yes please"
        assert "really? " in shown_until(master, "really? ")


def test_what_is_typed_in_secret_is_not_shown():
    """
    Without echo the answer never appears, and echo is on again afterwards.
    """
    with keyboard() as (master, path):
        slave = os.open(path, os.O_RDWR | os.O_NOCTTY)
        terminal = Terminal(path)
        asked = asyncio.Event()
        terminal.before_question = asked.set

        async def ask():
            question = asyncio.ensure_future(terminal.ask("passphrase: ", echo=False))
            await asked.wait()
            assert not termios.tcgetattr(slave)[3] & termios.ECHO
            assert terminal.is_asking
            os.write(master, b"hunter2\n")
            return await question

        assert asyncio.run(ask()) == "hunter2"
        assert termios.tcgetattr(slave)[3] & termios.ECHO
        assert "hunter2" not in shown_on(master)
        assert not terminal.is_asking
        os.close(slave)


def test_a_question_can_be_given_up():
    """
    A cancelled question restores the echo and does not leave anybody waiting.
    """
    with keyboard() as (_, path):
        slave = os.open(path, os.O_RDWR | os.O_NOCTTY)
        terminal = Terminal(path)
        asked = asyncio.Event()
        terminal.before_question = asked.set

        async def ask_and_leave():
            question = asyncio.ensure_future(terminal.ask("passphrase: ", echo=False))
            await asked.wait()
            question.cancel()
            await asyncio.wait([question])
            return question.cancelled()

        assert asyncio.run(ask_and_leave())
        assert termios.tcgetattr(slave)[3] & termios.ECHO
        assert not terminal.is_asking
        os.close(slave)


def test_questions_wait_for_their_turn():
    """
    Two keys with passphrases are asked for one after the other.
    """
    with keyboard() as (master, path):
        terminal = Terminal(path)
        os.write(master, b"first\nsecond\n")

        async def ask():
            return await asyncio.gather(terminal.ask("1? "), terminal.ask("2? "))

        assert asyncio.run(ask()) == ["first", "second"]


def test_end_of_file_is_no_answer():
    """
    Ctrl-D at the prompt is None, not an empty answer.
    """
    with keyboard() as (master, path):
        os.write(master, b"\x04")
        assert asyncio.run(Terminal(path).ask("? ")) is None


def test_before_a_question_the_line_is_cleared():
    """
    Whoever draws on the terminal is told first.
    """
    told = []
    with keyboard() as (master, path):
        terminal = Terminal(path)
        terminal.before_question = lambda: told.append(terminal.is_asking)
        os.write(master, b"x\n")
        asyncio.run(terminal.ask("? "))
    assert told == [True]


def test_without_a_terminal_there_is_no_answer(tmp_path):
    """
    No controlling terminal: nothing is asked.
    """
    terminal = Terminal(str(tmp_path / "tty"))
    assert not terminal.is_there
    assert asyncio.run(terminal.ask("? ")) is None


@dataclass
class Key:
    """An unknown host key, as the connection layer describes it."""

    host: Host = field(default_factory=lambda: Host("web1"))
    address: str = "10.0.0.1"
    key_type: str = "ssh-ed25519"
    fingerprint: str = "SHA256:abc"
    known_elsewhere: tuple[str, ...] = ()


class Person:
    """Gives prepared answers and remembers the questions."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.questions = []

    async def ask(self, question, *, echo=True):
        self.questions.append(question)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("answers", "trusted"),
    [
        (("yes",), True),
        ((" YES ",), True),
        (("SHA256:abc",), True),
        (("no",), False),
        ((None,), False),
        (("y", "no"), False),
        (("", "sha256:abc", "yes"), True),
    ],
)
def test_only_a_whole_yes_or_the_fingerprint_is_trust(answers, trusted):
    """
    y, Return or a mistyped fingerprint are asked about again, as ssh does.
    """
    person = Person(*answers)
    assert asyncio.run(HostKeyPrompt(person).ask(Key())) is trusted
    assert person.answers == []


def test_the_question_shows_what_to_compare():
    """
    Host, address, type, fingerprint, and where other keys of the host are known; all escaped.
    """
    key = Key(address="10.0.0.1\x1b", known_elsewhere=("/home/a/.ssh/known_hosts:3",))
    text = render_question(key)
    for part in ("web1", "10.0.0.1\\x1b", "ssh-ed25519", "SHA256:abc", "known_hosts:3"):
        assert part in text
    assert "\x1b" not in text
