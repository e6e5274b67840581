"""
The operations that use the login shell of a host.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from fleetctl.commands.connect import Connect
from fleetctl.commands.feeding import PromptedScript, TypedScript
from fleetctl.commands.shell import MAX_TYPED_LINE_BYTES, Shell, problems_of_typing
from fleetctl.model.operation import Pty, ShellScript
from fleetctl.testing import ScriptedRemote, exited


def run(operation, remote, *, check=False):
    return asyncio.run(operation.run(remote, check=check))


def asked(remote) -> ShellScript:
    (request,) = remote.requests
    assert isinstance(request, ShellScript)
    return request


def test_a_script_is_the_standard_input_of_the_shell():
    """
    Byte for byte, and the end of the shell is judged as that of a command.
    """
    remote = ScriptedRemote({"echo a\n": exited(3, stdout=b"a\n")})
    outcome = run(Shell(b"echo a\n", env={"A": "b"}, timeout_s=5), remote)
    assert (outcome.status, outcome.changed) == ("failed", True)
    assert outcome.failure is not None
    assert outcome.failure.kind == "exec.nonzero"
    request = asked(remote)
    assert (request.script, request.env, request.timeout_s) == (b"echo a\n", {"A": "b"}, 5)
    assert (request.pty, request.dialogue) == (None, None)


def test_on_a_terminal_it_is_typed():
    """
    With modes in which output is what was written, and a speed.
    """
    for waits, kind in ((False, TypedScript), (True, PromptedScript)):
        remote = ScriptedRemote({"": exited()})
        run(Shell(b"echo a", pty=True, waits_for_prompt=waits), remote)
        request = asked(remote)
        assert isinstance(request.dialogue, kind)
        assert request.pty == Pty(modes={129: 38400, 128: 38400, 51: 1, 53: 0, 72: 0})


def test_check_mode_feeds_nobody():
    """
    Nobody knows what a script changes.
    """
    remote = ScriptedRemote()
    assert run(Shell(b"rm -r /"), remote, check=True).status == "skipped"
    assert run(Connect(Seat()), remote, check=True).status == "skipped"
    assert remote.requests == []


def test_a_variable_that_was_refused():
    """
    Ours is a failure of its own; the failure of the script is the better reason, and variables that
    nobody asked for here are not our business.
    """
    refused = replace(exited(), refused_env=("LANG", "OURS"))
    outcome = run(Shell(b"x", env={"OURS": "1"}), ScriptedRemote({"x": refused}))
    assert outcome.failure is not None
    assert outcome.failure.kind == "exec.refused"
    assert "without OURS," in outcome.failure.message
    assert run(Shell(b"x"), ScriptedRemote({"x": refused})).status == "ok"
    failed = replace(refused, exit_status=2)
    outcome = run(Shell(b"x", env={"OURS": "1"}), ScriptedRemote({"x": failed}))
    assert outcome.failure is not None
    assert outcome.failure.kind == "exec.nonzero"


def test_lines_that_are_too_long_for_a_terminal():
    """
    Each with its number.
    """
    fits, long = b"x" * MAX_TYPED_LINE_BYTES, b"x" * (MAX_TYPED_LINE_BYTES + 1)
    found = problems_of_typing(b"\n".join([fits, long, b"", long]))
    assert [problem.line for problem in found] == [2, 4]


class Seat:
    """Somebody who says nothing."""

    def pty(self, settings):
        return Pty(term="xterm", columns=10, rows=5)

    def dialogue(self, settings):
        return self


def test_a_login_has_the_terminal_of_the_seat():
    """
    And no limits.
    """
    remote = ScriptedRemote({"": exited(9)})
    seat = Seat()
    outcome = run(Connect(seat), remote)
    assert outcome.result is not None
    assert outcome.result.exit_status == 9
    request = asked(remote)
    assert request.pty == Pty(term="xterm", columns=10, rows=5)
    assert request.dialogue is seat  # type: ignore[comparison-overlap]  # somebody who says nothing
    assert request.timeout_s is None
