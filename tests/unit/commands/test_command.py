"""
The operation behind `run`: what is sent, and how the end of a command is judged.
"""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from fleetctl.commands.command import Command, command_line, judge
from fleetctl.model.result import ExecResult


class RecordingRemote:
    """Answers every command with the same result and remembers what was sent."""

    def __init__(self, result):
        self.result = result
        self.requests = []

    async def exec(self, request):
        self.requests.append(request)
        return self.result


def judged(**ending):
    return judge(ExecResult(**ending))


def run(command, *, check=False, result=None):
    remote = RecordingRemote(result or ExecResult(exit_status=0, stdout=b"hello\n"))
    return asyncio.run(command.run(remote, check=check)), remote.requests


def test_one_word_is_sent_as_it_was_written():
    """
    A single argument is a command line for the host's shell, not to be touched.
    """
    assert command_line(["echo  $HOME | wc -c; 'x"]) == "echo  $HOME | wc -c; 'x"


def test_several_words_arrive_as_they_were_given():
    """
    Several arguments are quoted, so that a POSIX shell hands exactly them to the program.
    """
    words = ["printf", "<%s>", "a b", "it's", "$HOME", "", "*", "new\nline"]
    answer = subprocess.run(["sh", "-c", command_line(words)], capture_output=True, check=True)
    assert answer.stdout == b"<a b><it's><$HOME><><*><new\nline>"


def test_nothing_is_added_to_the_line():
    """
    Without --env the line is sent byte for byte: network gear has no sh.
    """
    _, (request,) = run(Command("show version", stdin=b"x", timeout_s=3.0, max_output_bytes=9))
    assert request.command == "show version"
    assert request.env == {}
    assert (request.stdin, request.timeout_s, request.max_output_bytes) == (b"x", 3.0, 9)


def test_variables_are_exported_before_the_line():
    """
    Values reach the command whole, whatever characters they have.
    """
    _, (request,) = run(Command('printf "%s|%s" "$A" "$B"', env={"A": "it's; $(x)", "B": "2 3"}))
    answer = subprocess.run(["sh", "-c", request.command], capture_output=True, check=True)
    assert answer.stdout == b"it's; $(x)|2 3"


def test_exit_status_0_is_ok_and_counts_as_a_change():
    """
    Nobody knows what a command did, so it counts as a change.
    """
    outcome, _ = run(Command("true"))
    assert (outcome.status, outcome.changed, outcome.failure) == ("ok", True, None)
    assert outcome.result.stdout == b"hello\n"


@pytest.mark.parametrize("status", [1, 7, 255])
def test_another_exit_status_is_a_failure_with_its_number(status):
    """
    exec.nonzero, with 255 treated like any other (F45); the output is kept.
    """
    outcome = judged(exit_status=status, stderr=b"no\n")
    assert outcome.status == "failed"
    assert outcome.failure.kind == "exec.nonzero"
    assert outcome.failure.message == f"exit status {status}"
    assert outcome.result.stderr == b"no\n"


@pytest.mark.parametrize(("status", "word"), [(127, "PATH"), (126, "mode")])
def test_what_a_shell_could_not_start_is_explained(status, word):
    """
    126 and 127 have a meaning that not everybody knows by heart.
    """
    assert word in judged(exit_status=status).failure.hint


def test_a_signal_is_never_a_success():
    """
    exec.signal names the signal (F44).
    """
    outcome = judged(exit_status=None, exit_signal="TERM")
    assert (outcome.status, outcome.failure.kind) == ("failed", "exec.signal")
    assert "TERM" in outcome.failure.message


def test_an_end_without_status_is_no_success():
    """
    A server that says nothing about the end gives session.no_status (F43).
    """
    outcome = judged(exit_status=None)
    assert (outcome.status, outcome.failure.kind) == ("failed", "session.no_status")


def test_check_sends_nothing():
    """
    In check mode the command is skipped: what it would change cannot be known.
    """
    outcome, requests = run(Command("reboot"), check=True)
    assert outcome.status == "skipped"
    assert requests == []
