"""
The operation behind `script`: what counts as one, and how it runs under a sh.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from fleetctl.commands.conditions import Conditions
from fleetctl.commands.script import MAX_SCRIPT_BYTES, Script, interpreter_of, problems_of
from fleetctl.model.failure import Failure
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.testing import ScriptedRemote
from tests.support.shells import ShellRemote, perform

SH = ShellRemote(("sh",))


def result_of(outcome: Outcome) -> ExecResult:
    assert outcome.result is not None
    return outcome.result


def failure_of(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    return outcome.failure


def ended(code, *arguments, **fields) -> ExecResult:
    return result_of(perform(Script("x.sh", code, arguments, **fields), SH))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"echo hi\n", ()),
        (b"# !/bin/bash\n", ()),
        (b"#!/bin/sh\n", ("/bin/sh",)),
        (b"#! \t/bin/bash  -eu -x \t\nx", ("/bin/bash", "-eu -x")),
        (b"#!/usr/bin/env -S perl -w", ("/usr/bin/env", "-S perl -w")),
        (b"#!\xff", ("\udcff",)),
    ],
)
def test_the_interpreter_is_read_as_the_kernel_does(code, words):
    """
    A program and at most one argument, whatever blanks are in it.
    """
    assert interpreter_of(code) == words


@pytest.mark.parametrize(
    ("code", "said", "line"),
    [
        (b"", "the script is empty", None),
        (b" \n\n", "the script is empty", None),
        (b"a\nb\n\0", "it has NUL bytes", 3),
        (b"\x7fELF\x02\x01\x01\0", "it has NUL bytes", 1),
        (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark", 1),
        (b"\xff\xfee\0", "UTF-16", 1),
        (b"#!/bin/sh\r\necho\r\n", "the line ends of Windows", 1),
        (b"#!  \necho\n", "the #! line names no program", 1),
        (b"x" * (MAX_SCRIPT_BYTES + 1), "8 MiB may be sent", None),
    ],
)
def test_what_cannot_be_a_script_is_seen_before_anybody_is_contacted(code, said, line):
    """
    Each with its line, and what to do about it.
    """
    (problem,) = problems_of(code)
    assert said in problem.message
    assert problem.line == line


@pytest.mark.parametrize("code", [b"x", b"#!/bin/sh\necho '\r\n'\n", b"\xff\xfd", b"# \xe4\n"])
def test_any_text_may_be_a_script(code):
    """
    Whatever its encoding, and with a carriage return where it is meant.
    """
    assert problems_of(code) == []


def test_a_script_sees_its_name_its_arguments_and_its_input():
    """
    Its own text is no input of it.
    """
    code = b'read -r first; printf "%s|" "$0" "$#" "$first" "$@"; cat; exit 4\n'
    result = ended(code, "a b", "", "'!\\", stdin=b"one\ntwo\n\0three")
    assert result.stdout == b"x.sh|3|one|a b||'!\\|two\n\0three"
    assert result.exit_status == 4


def test_a_script_leaves_nothing_of_ours_behind():
    """
    No variable, no function, no descriptor besides the three.
    """
    result = ended(b"set; env; ls -l /proc/$$/fd | grep -c -- '->'\n", pty=False)
    assert b"fleetctl" not in result.stdout.replace(os.getcwdb(), b"")
    assert result.stdout.endswith(b"\n3\n")


@pytest.mark.parametrize("code", [b"exit 5", b"(exit 5)\n", b"f() { return 5; }\nf\\\n"])
def test_the_status_of_the_last_command_is_that_of_the_script(code):
    """
    With a newline at the end, without one, and with one that is taken back.
    """
    assert ended(code).exit_status == 5


def test_a_mistake_has_its_line_and_what_is_before_it_runs():
    """
    As sh does it with a file.
    """
    result = ended(b"echo one\n\nif\n")
    assert (result.stdout, result.exit_status) == (b"one\n", 2)
    assert result.stderr.startswith(b"x.sh: ")
    assert b"yntax error" in result.stderr


def test_what_is_behind_an_exit_is_never_read():
    """
    An archive may follow.
    """
    assert ended(b"echo one; exit 0\n))(('\"`\n").stdout == b"one\n"


def test_set_e_and_traps_work():
    """
    The shell that runs the script is one of its own.
    """
    result = ended(b"trap 'echo bye' EXIT\nset -e\nfalse\necho no\n")
    assert (result.stdout, result.exit_status) == (b"bye\n", 1)


@pytest.mark.parametrize(
    "code", [b"kill -TERM $$\n", b"#!/usr/bin/env python3\nimport os\nos.kill(os.getpid(), 15)\n"]
)
def test_F44_a_signal_ends_the_script_itself(code):
    """
    There is no shell around it that would turn the signal into a status.
    """
    outcome = perform(Script("x", code), SH)
    assert result_of(outcome).exit_signal == signal.SIGTERM.name.removeprefix("SIG")
    assert failure_of(outcome).kind == "exec.signal"


def test_options_of_the_interpreter_count():
    """
    ``set -e`` from the first line, and an interpreter that is no shell.
    """
    assert ended(b"#!/bin/sh -e\nfalse\necho no\n").stdout == b""
    code = b"#!/usr/bin/env -S awk -f\nBEGIN { print ARGV[1]; exit 3 }\n"
    result = ended(code, "a b")
    assert (result.stdout, result.exit_status) == (b"a b\n", 3)


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("/no/such/python", "/no/such/python"),
        ("/usr/bin/env no-such-python", "no-such-python"),
        ("/usr/bin/env -S no-such-python -x", "no-such-python"),
        ("/usr/bin/env -S A=b no-such-python -x", "no-such-python"),
    ],
)
def test_an_interpreter_that_is_not_there_is_named(first, name):
    """
    The script does not run, and has no status.
    """
    outcome = perform(Script("x", f"#!{first}\n".encode()), SH)
    assert (failure_of(outcome).kind, result_of(outcome).exit_status) == ("exec.refused", None)
    assert failure_of(outcome).message == (
        f"there is no {name} on the host, which the script's #! line names"
    )


def test_conditions_hold_for_a_script(tmp_path):
    """
    A PATH of its own too: what reads the script is found in the PATH of the login.
    """
    conditions = Conditions({"PATH": "/nowhere", "A": "b c"}, str(tmp_path), 0o027, 7)
    code = b'echo "$A|$PATH|$(pwd)|$(umask)|$(/usr/bin/nice)"\n'
    result = ended(code, conditions=conditions)
    assert result.stdout.decode() == f"b c|/nowhere|{tmp_path}|0027|7\n"


def test_a_cut_transfer_runs_nothing():
    """
    The end of the text must have come before any of it runs.
    """

    class Cutting(ShellRemote):
        async def exec(self, request):
            proof = request.dialogue
            proof._parts = [proof._parts[0][:-20]]
            return await super().exec(request)

    outcome = perform(Script("x", b"echo ran\n" * 100), Cutting(("sh",)))
    assert failure_of(outcome).kind == "exec.refused"
    assert "did not arrive whole" in failure_of(outcome).message
    assert result_of(outcome).stdout == b""


def test_check_sends_nothing():
    """
    What a script would change cannot be known.
    """
    remote = ScriptedRemote()
    outcome = asyncio.run(Script("x", b"reboot\n").run(remote, check=True))
    assert (outcome.status, remote.requests) == ("skipped", [])
