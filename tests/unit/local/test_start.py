"""
Commands on this machine that cannot be started, and machines that offer less.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess

import pytest

from fleetctl.local import start as start_module
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest, Pty
from fleetctl.model.trace import Trace
from tests.support.drive import run_async
from tests.unit.local.runs import failed_command, linked, run_command


def test_without_a_shell_nothing_runs(monkeypatch):
    """
    The failure names the shell and what to do; nothing ran.
    """
    monkeypatch.setattr(start_module, "SHELL", "/no/such/sh")
    error, trace = failed_command("true")
    assert error.kind == "exec.refused"
    assert str(error) == "/no/such/sh could not be started: No such file or directory"
    assert error.failure.hint == "commands on this machine itself need /bin/sh"
    assert not error.failure.retryable
    assert trace.ran == "no"


def test_a_command_line_longer_than_the_kernel_takes():
    """
    The failure says how to give a long script instead.
    """
    error, trace = failed_command("true " + "x" * 3_000_000)
    assert error.kind == "exec.refused"
    assert error.failure.hint is not None
    assert "--stdin FILE" in error.failure.hint
    assert trace.ran == "no"


@pytest.mark.parametrize(
    "fields", [{"command": "echo a\0b"}, {"command": "true", "env": {"A=B": "x"}}]
)
def test_what_no_process_can_be_given_is_refused(fields):
    """
    A NUL in the command, or an equals sign in a variable's name, is the failure of this command.
    """
    error, trace = failed_command(**fields)
    assert error.kind == "exec.refused"
    assert trace.ran == "no"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE])
def test_what_may_pass_is_retryable(monkeypatch, number):
    """
    Too many processes or open files just now: trying again may work, as nothing ran.
    """

    def refuse(*_args, **_fields):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    error, trace = failed_command("true")
    assert error.kind == "exec.refused"
    assert error.failure.retryable
    assert trace.ran == "no"


def test_a_failure_leaves_what_ran_before_in_the_trace(monkeypatch):
    """
    A second command that does not start takes nothing back of the first.
    """
    trace = Trace(ran="yes")
    monkeypatch.setattr(start_module, "SHELL", "/no/such/sh")

    async def main():
        link = await linked()
        with pytest.raises(FleetError):
            await link.exec(ExecRequest("true"), trace, None)

    run_async(main)
    assert trace.ran == "yes"


def test_without_pidfds_the_end_is_seen_all_the_same(monkeypatch, loop):
    """
    On an older kernel, or in a sandbox, the process is looked at from time to time.
    """

    def refuse(_pid):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    result, _ = run_command("sleep 0.1; exit 3", loop=loop)
    assert result.exit_status == 3
    error, _ = failed_command("sleep 60", timeout_s=0.3, loop=loop)
    assert "it was ended" in str(error)


def test_an_ignored_SIGCHLD_does_not_hide_how_a_command_ended():
    """
    Started by a program that ignores its children, fleetctl still tells every exit status.
    """
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        result, _ = run_command("exit 3")
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert result.exit_status == 3


def test_without_pseudo_terminals_a_command_that_needs_one_does_not_run(monkeypatch):
    """
    It is refused, as by a host that gives none.
    """

    def refuse():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "openpty", refuse)
    error, trace = failed_command("true", pty=Pty())
    assert error.kind == "pty.refused"
    assert trace.ran == "no"


def test_a_terminal_is_let_go_of_when_the_command_does_not_start(monkeypatch):
    """
    No descriptor stays open; the guard of every test looks for them.
    """
    monkeypatch.setattr(start_module, "SHELL", "/no/such/sh")
    error, _ = failed_command("true", pty=Pty())
    assert error.kind == "exec.refused"
