"""
The operation behind `run`: what is sent, and how the end of a command is judged.
"""

from __future__ import annotations

import asyncio
import re
import subprocess

import pytest

from fleetctl.commands.command import Command, command_of
from fleetctl.commands.conditions import Conditions
from fleetctl.commands.judgement import judge
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.operation import Pty
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.testing import ScriptedRemote, exited
from tests.support.shells import ShellRemote, perform

SH = ShellRemote(("sh",))
ANY_COMMAND = re.compile(".*", re.DOTALL)


def result_of(outcome: Outcome) -> ExecResult:
    assert outcome.result is not None
    return outcome.result


def failure_of(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    return outcome.failure


def judged(**ending):
    return judge(ExecResult(**ending))


def run(command, *, check=False, result=None):
    answer = result or ExecResult(exit_status=0, stdout=b"hello\n")
    remote = ScriptedRemote({ANY_COMMAND: answer})
    return asyncio.run(command.run(remote, check=check)), remote.requests


def test_one_word_is_a_line_as_it_was_written():
    """
    A single argument is a command line for the host's shell, not to be touched.
    """
    line = "echo  $HOME | wc -c; 'x\\!"
    assert command_of([line]) == (line, ())
    _, (request,) = run(Command(line))
    assert (request.command, request.dialogue) == (line, None)


def test_several_words_arrive_as_they_were_given():
    """
    Several arguments are quoted, so that a POSIX shell hands exactly them to the program.
    """
    words = ("printf", "<%s>", "a b", "it's", "$HOME", "", "*")
    _, (request,) = run(Command(words=words))
    answer = subprocess.run(["sh", "-c", request.command], capture_output=True, check=True)
    assert answer.stdout == b"<a b><it's><$HOME><><*>"


def test_plain_words_are_sent_as_one_would_type_them():
    """
    Nothing is added where nothing is needed: network gear has no sh.
    """
    _, (request,) = run(Command(words=("show", "running config", "-x=1")))
    assert request.command == "show 'running config' -x=1"
    assert request.dialogue is None


def test_nothing_is_added_to_the_line():
    """
    Under usual conditions it is sent byte for byte.
    """
    command = Command("show version", stdin=b"x", timeout_s=3.0, max_output_bytes=9, pty=True)
    _, (request,) = run(command)
    assert request.command == "show version"
    assert request.env == {}
    assert (request.stdin, request.timeout_s, request.max_output_bytes) == (b"x", 3.0, 9)
    assert request.pty == Pty()


def test_variables_are_set_for_the_line():
    """
    Values reach the command whole, whatever characters they have.
    """
    conditions = Conditions({"A": "it's; $(x)!", "B": "2 3"})
    outcome = perform(Command('printf "%s|%s" "$A" "$B"', conditions=conditions), SH)
    assert result_of(outcome).stdout == b"it's; $(x)!|2 3"


@pytest.mark.parametrize("name", ["UID", "IFS", "PPID", "fleetctl_sh"])
def test_any_name_can_be_a_variable(name):
    """
    Even one that a shell keeps to itself reaches a program.
    """
    words = ("env",)
    outcome = perform(Command(words=words, conditions=Conditions({name: "5"})), SH)
    assert f"{name}=5\n".encode() in result_of(outcome).stdout


@pytest.mark.parametrize("words", [("exit", "3"), ("umask", "-S"), ("type", "sh")])
def test_what_only_a_shell_can_do_is_done(words):
    """
    Words are a program, or what is built into every sh.
    """
    outcome = perform(Command(words=words, conditions=Conditions(umask=0o022)), SH)
    assert result_of(outcome).exit_status == (3 if words[0] == "exit" else 0)


def test_a_word_with_an_equals_sign_is_a_program_if_it_comes_first():
    """
    It is looked for, and not taken for a variable.
    """
    for conditions in (Conditions(), Conditions({"C": "d"})):
        outcome = perform(Command(words=("a=b", "true"), conditions=conditions), SH)
        assert result_of(outcome).exit_status == 127


@pytest.mark.parametrize(
    ("cwd", "said"),
    [
        ("/no such/folder", "there is no folder /no such/folder on the host"),
        ("/etc/passwd", "/etc/passwd on the host is no folder"),
        ("~nobody-here/x", "there is no folder ~nobody-here/x on the host"),
        ("-", "there is no folder - on the host"),
    ],
)
def test_a_folder_that_is_not_there_is_one_clear_failure(cwd, said):
    """
    The command does not run, and has no exit status.
    """
    outcome = perform(Command("echo ran", conditions=Conditions(cwd=cwd)), SH)
    assert (outcome.status, failure_of(outcome).kind) == ("failed", "exec.refused")
    assert failure_of(outcome).message == f"the command was not started: {said}"
    assert (result_of(outcome).exit_status, result_of(outcome).stdout) == (None, b"")
    assert not outcome.changed


def test_homes_are_those_of_the_host(tmp_path):
    """
    ``~`` is found by the host, and the rest of the path is taken as it is.
    """
    folder = tmp_path / "a b" / "$x"
    folder.mkdir(parents=True)
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "CDPATH": "/usr"}
    remote = ShellRemote(("sh",), environ)
    for cwd, found in (("~", tmp_path), ("~/a b/$x", folder), ("~root", "/root"), ("/", "/")):
        outcome = perform(Command(words=("pwd",), conditions=Conditions(cwd=cwd)), remote)
        assert result_of(outcome).stdout.decode() == f"{found}\n"


def test_a_niceness_that_is_refused_is_a_failure(tmp_path):
    """
    The program itself would run the command all the same.
    """
    nice = tmp_path / "nice"
    nice.write_text('#!/bin/sh\necho nice: cannot set niceness >&2\nshift 2\nexec "$@"\n')
    nice.chmod(0o755)
    remote = ShellRemote(("sh",), {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    outcome = perform(Command("echo ran", conditions=Conditions(nice=-5)), remote)
    assert failure_of(outcome).kind == "exec.refused"
    assert "--nice -5" in failure_of(outcome).message
    assert result_of(outcome).stdout == b""


def test_this_machine_reads_lines_with_bin_sh():
    """
    As it does without conditions: SHELL is the operator's own there.
    """
    remote = ShellRemote(("sh",), {"PATH": "/usr/bin:/bin", "SHELL": "/bin/false"})
    remote.host = Host("localhost", connection="local")
    command = Command("echo $0", conditions=Conditions(umask=0o022))
    assert result_of(perform(command, remote)).stdout == b"/bin/sh\n"


def test_a_host_without_sh_is_told_apart():
    """
    The login shell says that there is none; nothing else ran.
    """
    remote = ShellRemote(("/bin/bash",), {"PATH": "/nowhere"})
    outcome = perform(Command("x", conditions=Conditions(umask=0o022)), remote)
    assert failure_of(outcome).kind == "exec.refused"
    assert failure_of(outcome).message.startswith("the account's shell could not start sh: ")


# -- without a shell (F33, F35)

NOLOGIN = exited(1, stdout=b"This account is currently not available.\n")


def ended(result):
    remote = ScriptedRemote({"uptime": result})
    return asyncio.run(Command("uptime").run(remote, check=False)), remote


@pytest.mark.parametrize(
    "result",
    [
        NOLOGIN,
        exited(1, stdout=b"This account is currently not available.\r\n"),
        exited(1, stderr=b"This service allows sftp connections only.\n"),
        exited(128, stderr=b"fatal: What do you think I am? A shell?\n"),
    ],
)
def test_F33_F35_known_words_mean_that_there_is_no_shell(result):
    """
    They are said in the place of every command.
    """
    outcome, remote = ended(result)
    assert (outcome.status, failure_of(outcome).kind) == ("unreachable", "session.no_shell")
    assert len(remote.requests) == 1
    assert outcome.result == result


@pytest.mark.parametrize(
    "result",
    [
        exited(0, stdout=b"This account is currently not available.\n"),
        exited(1, stdout=b"x: This account is currently not available.\n"),
        exited(2),
    ],
)
def test_F33_other_ends_are_those_of_the_command(result):
    """
    Nothing is guessed.
    """
    outcome, remote = ended(result)
    assert outcome == judge(result)
    assert len(remote.requests) == 1


def test_F33_a_question_that_fails_changes_nothing():
    """
    The connection may be lost by then: the command's own end stands.
    """

    def answer(_: str) -> ExecResult:
        if len(remote.requests) > 1:
            raise FleetError("session.lost", "connection lost")
        return exited(1)

    remote = ScriptedRemote({ANY_COMMAND: answer})
    outcome = asyncio.run(Command("false").run(remote, check=False))
    assert (failure_of(outcome).kind, failure_of(outcome).message) == (
        "exec.nonzero",
        "exit status 1",
    )


def test_F33_slow_commands_are_not_asked_about():
    """
    What has no shell ends at once.
    """
    _, requests = run(Command("make"), result=ExecResult(exit_status=1, duration_s=4.0))
    assert len(requests) == 1


# -- how a command ends


def test_exit_status_0_is_ok_and_counts_as_a_change():
    """
    Nobody knows what a command did, so it counts as a change.
    """
    outcome, _ = run(Command("true"))
    assert (outcome.status, outcome.changed, outcome.failure) == ("ok", True, None)
    assert result_of(outcome).stdout == b"hello\n"


@pytest.mark.parametrize("status", [1, 7, 255])
def test_another_exit_status_is_a_failure_with_its_number(status):
    """
    exec.nonzero, with 255 treated like any other (F45); the output is kept.
    """
    outcome = judged(exit_status=status, stderr=b"no\n")
    assert outcome.status == "failed"
    assert failure_of(outcome).kind == "exec.nonzero"
    assert failure_of(outcome).message == f"exit status {status}"
    assert result_of(outcome).stderr == b"no\n"


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
    assert (outcome.status, failure_of(outcome).kind) == ("failed", "exec.signal")
    assert "TERM" in failure_of(outcome).message


@pytest.mark.parametrize(("name", "word"), [("KILL", "memory"), ("XCPU", "ulimit -t")])
def test_a_signal_that_has_a_usual_cause_names_it(name, word):
    """
    Not everybody knows who sends it.
    """
    assert word in judged(exit_status=None, exit_signal=name).failure.hint


def test_an_end_without_status_is_no_success():
    """
    A server that says nothing about the end gives session.no_status (F43).
    """
    outcome = judged(exit_status=None)
    assert (outcome.status, failure_of(outcome).kind) == ("failed", "session.no_status")


def test_check_sends_nothing():
    """
    In check mode the command is skipped: what it would change cannot be known.
    """
    outcome, requests = run(Command("reboot"), check=True)
    assert outcome.status == "skipped"
    assert requests == []
