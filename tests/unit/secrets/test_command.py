"""
Programs that print secrets: bounded, without a shell where none is needed, gone at the end.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.secrets.command import MAX_OUTPUT_BYTES, expand_tokens, run_command, split_command
from tests.support.drive import LOOPS, run_async, until


@pytest.fixture(params=LOOPS)
def loop(request):
    return request.param


def python(code):
    return shlex.join([sys.executable, "-c", code])


def run(text, *, loop=None, timeout_s=20.0):
    return run_async(lambda: run_command(text, timeout_s=timeout_s), loop=loop)


def failure(text, **options):
    with pytest.raises(FleetError) as caught:
        run(text, **options)
    assert caught.value.kind == "auth.no_method"
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("echo hunter2", "hunter2"),
        ("printf 'pa ss'", "pa ss"),
        ("printf 'one\\ntwo\\n'", "one"),
        ("printf 'one\\r\\n'", "one"),
        ("echo one | tr o 0", "0ne"),
        ("A=1 sh -c 'echo $A'", "1"),
    ],
)
def test_the_first_line_is_the_secret(text, secret, loop):
    """
    Blanks belong to it, the end of the line does not; pipes work as in a shell.
    """
    assert run(text, loop=loop) == Secret(secret)


@pytest.mark.parametrize("text", ["pass show fleet/web1", "op read 'op://x/y z'", 'a "b c"'])
def test_no_shell_is_used_where_none_is_needed(text):
    """
    Plain words are arguments, so that nothing is interpreted twice.
    """
    assert split_command(text) == shlex.split(text)


@pytest.mark.parametrize("text", ["a | b", "a $B", "a `b`", "a > b", "a; b", "A=1 b", "~/bin/x"])
def test_what_only_a_shell_understands_goes_to_one(text):
    """
    The command is handed over as it was written.
    """
    assert split_command(text) == ["/bin/sh", "-c", text]


def test_what_goes_wrong_is_said_without_the_output():
    """
    Missing program, failure, silence, bytes that are no text: the program is named, and the last
    line of its stderr; what it printed is a secret, even then.
    """
    assert failure("no-such-program-here x") == (
        "cmd: no-such-program-here cannot be run: No such file or directory"
    )
    said = failure("echo hunter2; echo 'no \x1b[31mkey' >&2; exit 3")
    assert said == "cmd: sh ended with exit status 3: no  [31mkey"
    assert failure("true") == "cmd: true prints nothing on its first line"
    assert failure("printf '\\377'").endswith("prints something that is not UTF-8")
    assert failure("echo 'open") == "cmd: cmd cannot be read: No closing quotation"


def test_S04_output_is_bounded():
    """
    S04: a program that prints for ever is read, not kept.
    """
    assert f"more than {MAX_OUTPUT_BYTES} bytes" in failure(
        python("import sys; sys.stdout.write('x' * 1000000)")
    )


def test_a_program_that_does_not_end_is_ended_with_all_it_started(tmp_path, loop):
    """
    After the deadline its children are gone too, even one that keeps the output open.
    """
    pid = tmp_path / "pid"
    said = failure(f"sleep 600 & echo $! > {pid}; sleep 600", timeout_s=3.0, loop=loop)
    assert said == "cmd: sh did not end within 3 s"
    child = int(pid.read_text())
    assert is_gone(child)


def test_a_program_ends_when_nobody_waits_for_it_any_more(tmp_path, loop):
    """
    An interrupted run leaves no program behind.
    """
    pid = tmp_path / "pid"

    async def main():
        task = asyncio.ensure_future(run_command(f"echo $$ > {pid}; exec sleep 600"))
        await until(lambda: pid.exists() and pid.read_text().strip())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: is_gone(int(pid.read_text())))

    run_async(main, loop=loop)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def test_tokens_are_replaced():
    """
    As in ssh_config: host, name, port, user and the percent sign.
    """
    tokens = {"h": "10.0.0.1", "n": "web1", "r": "root", "p": "22"}
    assert expand_tokens("pass %n/%r@%h:%p %%n", tokens) == "pass web1/root@10.0.0.1:22 %n"


@pytest.mark.parametrize("name", ["-rf", "a b", "$(id)", "a;b", "", "a'b", "a\nb", "../x/"])
def test_S18_names_that_mean_something_to_a_program_are_refused(name):
    """
    S18: a host or user name is never an option, a quote or a command.
    """
    with pytest.raises(FleetError, match="%h would be a name with characters"):
        expand_tokens("pass %h", {"h": name})


def test_tokens_that_are_not_known_are_refused():
    """
    A typo is not run.
    """
    with pytest.raises(FleetError, match="%x is not known") as caught:
        expand_tokens("pass %x", {"h": "a", "r": "b"})
    assert caught.value.failure.hint == "there are %h %r and %%"
