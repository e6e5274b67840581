"""
Login shells fed with scripts: piped, typed, and typed line by line, on accounts of a real sshd.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any

import pytest

from fleetctl.commands import feeding
from fleetctl.commands.shell import MAX_TYPED_LINE_BYTES, Shell
from fleetctl.engine.local import LocalEngine
from fleetctl.model.run import Assignment, Run
from fleetctl.testing import record
from tests.support.drive import connecting, run_async
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

#: Those for which prompts of our own work.
POSIX_FAMILY = ("u-sh", "u-dash", "u-bash", "u-ash", "u-ksh", "u-zsh")
#: Others, and what their prompts look like.
OTHERS = {"u-csh": r"%", "u-tcsh": r"[>%#]"}
MODES: dict[str, dict[str, Any]] = {
    "piped": {},
    "typed": {"pty": True},
    "prompted": {"pty": True, "waits_for_prompt": True},
}


def perform(operation, *hosts):
    """Run an operation on hosts; return their results in order."""

    async def main():
        async with connecting() as connector:
            engine = LocalEngine(connector, keep_connections=0)
            run = Run("run", "test", [Assignment(host, operation) for host in hosts])
            recorder = await record(engine.execute(run))
            await engine.aclose()
            return [recorder.results[host.name] for host in hosts]

    return run_async(main)


def feed(host, script, **options):
    """Return the outcome of a script on one host."""
    operation = Shell(script, timeout_s=PATIENCE_S, **options)
    (result,) = perform(operation, host)
    return result.outcome


@pytest.fixture(params=MODES)
def mode(request):
    """The ways a script can be given."""
    return MODES[request.param]


# -- exit statuses


def test_the_exit_status_of_the_shell(host, mode):
    """
    That of exit, and else of the last command.
    """
    assert feed(host, b"ls /; exit 3\n", **mode).result.exit_status == 3
    assert feed(host, b"true\nfalse", **mode).result.exit_status == 1
    assert feed(host, b"false\ntrue\n", **mode).status == "ok"


def test_a_hundred_hosts(fleet, mode):
    """
    Each says what it has and returns 3.
    """
    places = [fleet.model_host(each) for each in fleet.hosts(10)]
    hosts = [type(places[0])(f"h{n}", settings=places[n % 10].settings) for n in range(100)]
    results = perform(Shell(b"ls /; exit 3\n", timeout_s=PATIENCE_S, **mode), *hosts)
    assert {each.outcome.result.exit_status for each in results} == {3}
    assert all(b"etc" in each.outcome.result.stdout for each in results)
    assert all(each.outcome.failure.kind == "exec.nonzero" for each in results)


def test_the_last_command_and_the_shell_are_told_apart(host):
    """
    With prompts the status of each command is seen, whatever the shell says when it ends.
    """
    outcome = feed(host, b"(exit 4)\nexit 7\n", **MODES["prompted"])
    assert outcome.result.exit_status == 7
    assert outcome.data == {"last_exit_status": 4}
    outcome = feed(host, b"exit 7\n", **MODES["prompted"])
    assert outcome.data == {}


def test_lines_after_the_end(host):
    """
    A shell that ends early leaves lines, and how many is told where it is known.
    """
    outcome = feed(host, b"exit 2\necho never\necho ever\n", **MODES["prompted"])
    assert outcome.data["lines_not_typed"] == 2
    assert b"ever" not in outcome.result.stdout
    assert feed(host, b"exit 2\necho never\n").result.stdout == b""


def test_a_shell_that_is_killed(host, mode):
    """
    Its signal is the reason.
    """
    outcome = feed(host, b"kill -KILL $$\n", **mode)
    assert outcome.failure.kind == "exec.signal"


# -- output


def test_output_with_prompts_and_without(host):
    """
    A terminal makes the shell show prompts; without one there is nothing but output, and with
    prompts of our own they are left out.
    """
    script = b"echo a\necho b >&2\n"
    piped = feed(host, script, **MODES["piped"]).result
    assert (piped.stdout, piped.stderr) == (b"a\n", b"b\n")
    prompted = feed(host, script, **MODES["prompted"]).result
    assert prompted.stdout.startswith(b"a\nb\n")
    typed = feed(host, script, **MODES["typed"]).result
    assert typed.stdout.index(b"a\n") > 0
    assert b"\r\n" not in prompted.stdout


def test_nothing_typed_comes_back(host):
    """
    Neither lines nor what sets up the prompts are echoed.
    """
    for mode in (MODES["typed"], MODES["prompted"]):
        stdout = feed(host, b"echo se''cret\nset\n", **mode).result.stdout
        assert stdout.count(b"se''cret") == 0
        assert b"unsetopt" not in stdout


def test_a_prompt_is_not_mistaken(host):
    """
    Whatever a command writes without a newline, or about the prompt, the next line waits.
    """
    script = b'printf "no newline"\nset | grep ^PS\nprintf "$PS1$PS2"\nfalse\necho $?\n'
    outcome = feed(host, script, **MODES["prompted"])
    assert outcome.result.stdout.startswith(b"no newline")
    assert b"1\n" in outcome.result.stdout
    assert outcome.data["last_exit_status"] == 0


def test_much_output_is_whole(host, mode):
    """
    Whatever the way the script comes.
    """
    outcome = feed(host, b"seq 200000\n", **mode)
    lines = outcome.result.stdout.splitlines()
    # The first stands behind a prompt.
    assert [each for each in lines if each.isdigit()][-199_999:] == [
        b"%d" % number for number in range(2, 200_001)
    ]


# -- input


def test_programs_that_read_eat_lines_unless_each_waits_for_the_prompt(host):
    """
    A line is typed when the shell asks for one, so that what a program reads is not the script.
    """
    script = b"timeout 1 cat\necho next\n"
    assert feed(host, script, **MODES["piped"]).result.stdout == b"echo next\n"
    assert b"\nnext\n" in b"\n" + feed(host, script, **MODES["prompted"]).result.stdout


def test_commands_of_several_lines(host, mode):
    """
    A construct that is not complete asks for more, which is a prompt too.
    """
    script = b"for n in 1 2\ndo\n  echo <$n>\ndone\ncat <<E\nhere $((1+1))\nE\nexit 5\n".replace(
        b"<$n>", b"number-$n"
    )
    outcome = feed(host, script, **mode)
    assert outcome.result.exit_status == 5
    for text in (b"number-1\n", b"number-2\n", b"here 2\n"):
        assert text in outcome.result.stdout


@pytest.mark.parametrize("user", POSIX_FAMILY)
def test_long_scripts_in_every_shell(accounts, user, mode):
    """
    Thousands of lines, the longest there may be among them, arrive in order and whole.
    """
    longest = b": " + b"x" * (MAX_TYPED_LINE_BYTES - 2) + b"\n"
    lines = 300 if mode else 3000
    script = b"".join(b"n=$((n+%d))\n" % n for n in range(lines)) + longest + b"echo sum $n\n"
    outcome = feed(accounts.model_host(user), b"n=0\n" + script, **mode)
    assert outcome.status == "ok", outcome
    assert b"sum %d\n" % sum(range(lines)) in outcome.result.stdout


def test_the_end_of_the_script_is_the_end_of_the_input(host, mode):
    """
    A program that reads to the end comes to it, and so does the shell after it.
    """
    outcome = feed(host, b"sleep 0.7\ncat; echo after $?\n", **mode)
    assert outcome.status == "ok"
    assert b"after 0\n" in outcome.result.stdout


def test_the_terminal_is_as_it_was_asked_for(host):
    """
    No echo, newlines as they are, lines read as a whole, and a speed.
    """
    stdout = feed(host, b"stty -a; echo $TERM; stty size\n", **MODES["prompted"]).result.stdout
    for word in (b"-echo ", b"-onlcr", b" icanon", b"speed 38400 baud", b"dumb\n", b"24 80\n"):
        assert word in stdout


# -- every shell


@pytest.mark.parametrize("user", POSIX_FAMILY)
def test_prompts_of_our_own_in_every_shell(accounts, user):
    """
    The output is that of the commands, and the status of the last is known.
    """
    script = b"echo one\n(exit 6)\nif true\nthen echo two\nfi\n(exit 9)\n"
    outcome = feed(accounts.model_host(user), script, **MODES["prompted"])
    assert outcome.result.stdout.startswith(b"one\ntwo\n"), outcome
    assert outcome.data == {"last_exit_status": 9}
    # At the end of its input an interactive ksh says 0, whatever came before.
    assert outcome.result.exit_status == (0 if user == "u-ksh" else 9)


@pytest.mark.parametrize("user", OTHERS)
def test_prompts_that_are_described(accounts, user):
    """
    For shells of other families somebody says what the prompt looks like.
    """
    outcome = feed(
        accounts.model_host(user),
        b"echo one\nsleep 0.2\nexit 4\n",
        **MODES["prompted"],
        prompt_regex=OTHERS[user],
    )
    assert b"one" in outcome.result.stdout
    assert outcome.result.exit_status == 4


@pytest.mark.parametrize("user", [*OTHERS, "u-fish"])
def test_a_shell_without_prompts_of_ours_is_named(accounts, user, monkeypatch):
    """
    What it cannot do is an error that says what to do; no line of the script was typed.
    """
    monkeypatch.setattr(feeding, "PATIENCE_S", 3.0)
    operation = Shell(b"touch typed\n", **MODES["prompted"])
    (result,) = perform(operation, accounts.model_host(user))
    assert result.outcome.failure.kind == "expect.timeout"
    assert "no prompt of the shell within 3 s" in result.outcome.failure.message
    assert "--prompt-regex" in result.outcome.failure.hint
    assert not (accounts.host().home / user / "typed").exists()


@pytest.mark.parametrize("user", ["u-nologin", "u-false"])
def test_F33_no_shell(accounts, user, mode):
    """
    An account without a shell is that, not a script that failed.
    """
    outcome = feed(accounts.model_host(user), b"echo never\n", **mode)
    assert outcome.failure.kind == "session.no_shell"
    assert outcome.status == "unreachable"


def test_F37_a_host_that_gives_no_terminal(fleet):
    """
    Nothing is typed then; without a terminal it works.
    """
    host = fleet.model_host(fleet.host("nopty"))
    assert feed(host, b"exit 3\n", pty=True).failure.kind == "pty.refused"
    assert feed(host, b"exit 3\n").result.exit_status == 3


def test_a_variable_that_the_server_does_not_take(host):
    """
    The script ran without it, and that is no success.
    """
    outcome = feed(host, b"echo $OWN_THING\n", env={"OWN_THING": "x"})
    assert outcome.failure.kind == "exec.refused"
    assert "OWN_THING" in outcome.failure.message


def test_a_shell_that_takes_too_long(host, mode):
    """
    It is ended, with what it wrote until then.
    """
    (result,) = perform(Shell(b"echo begun\nsleep 1000\n", timeout_s=2.0, **mode), host)
    assert result.outcome.status == "timed_out"
    assert b"begun\n" in result.outcome.result.stdout


# -- transcripts


def test_transcripts(host, mode, tmp_path):
    """
    An asciicast of what was written and typed, for its owner only.
    """
    folder = tmp_path / "casts"
    outcome = feed(host, b"echo a\nexit 3\n", record=str(folder), **mode)
    path = folder / "web01.cast"
    assert outcome.data["transcript"] == str(path)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    header, *events = map(json.loads, path.read_text().splitlines())
    assert header["title"] == "script on web01"
    assert "".join(text for _, code, text in events if code == "i") == "echo a\nexit 3\n"
    assert "a\n" in "".join(text for _, code, text in events if code == "o")
    assert events[-1][1:] == ["x", "3"]
