"""
Talking to a program over a session: what is read is not output, what is kept is.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest, Pty
from fleetctl.model.trace import Trace
from tests.support.drive import connected, run_async, run_command
from tests.support.patience import TEST_LIMIT_S
from tests.support.saying import Saying, read_until

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


def test_a_question_is_answered_and_only_the_rest_is_output(host, loop):
    """
    What a dialogue reads is no output; what comes after it is, and then the input is sent.
    """

    async def answer(conversation: Conversation) -> None:
        assert await read_until(conversation, b"name? ") == b"name? "
        await conversation.write(b"Ada\n")

    command = 'printf "name? "; read -r name; echo "hello $name"; cat'
    result, trace = run_command(host, command, dialogue=Saying(answer), stdin=b"rest", loop=loop)
    assert (result.exit_status, result.stdout, trace.ran) == (0, b"hello Ada\nrest", "yes")


def test_what_a_dialogue_keeps_is_output_in_order(host, loop):
    """
    Bytes that are kept count as output, before what comes later.
    """

    async def keep_all(conversation: Conversation) -> None:
        seen = await read_until(conversation, b"2\n")
        conversation.keep("stdout", seen.replace(b"1", b"one"))

    command = "echo 1; echo 2; read -r line; echo 3"
    result, _ = run_command(host, command, dialogue=Saying(keep_all), stdin=b"\n", loop=loop)
    assert (result.stdout, result.stdout_bytes) == (b"one\n2\n3\n", 8)


def test_a_program_that_ends_ends_the_reading(host, loop):
    """
    After the last output comes None; the program's status is the result.
    """
    seen = []

    async def listen(conversation: Conversation) -> None:
        while piece := await conversation.read():
            seen.append(piece)

    command = "echo out; echo err >&2; exit 4"
    result, _ = run_command(host, command, dialogue=Saying(listen), loop=loop)
    assert sorted(seen) == [("stderr", b"err\n"), ("stdout", b"out\n")]
    assert (result.exit_status, result.stdout, result.stderr) == (4, b"", b"")


def test_F53_a_dialogue_that_does_not_read_stops_the_host(host, loop):
    """
    F53: while nothing is read, little more than one window is taken; nothing of it is lost, though
    the command ends meanwhile.
    """
    total, most = 16 * MEBIBYTE, 0
    counted = 0

    async def dawdle(conversation: Conversation) -> None:
        nonlocal counted, most
        await asyncio.sleep(0.5)
        most = conversation._unread_bytes  # type: ignore[attr-defined]
        while piece := await conversation.read():
            counted += len(piece[1])

    run_command(host, f"head -c {total} /dev/zero", dialogue=Saying(dawdle), loop=loop)
    assert counted == total
    assert 0 < most <= 3 * MEBIBYTE


def test_a_dialogue_that_fails_ends_the_program(host, loop):
    """
    Its failure is the result, with what was kept; what a failure to become means is that nothing
    ran.
    """

    async def give_up(conversation: Conversation) -> None:
        conversation.keep("stdout", await read_until(conversation, b"\n"))
        raise FleetError(kind, "not today")

    for kind, ran in (("expect.timeout", "yes"), ("become.denied", "no")):

        async def main() -> None:
            async with connected(host) as connection:
                trace = Trace()
                request = ExecRequest("echo here; exec sleep 600", dialogue=Saying(give_up))
                with pytest.raises(FleetError) as caught:
                    await connection.ssh.exec(request, trace, None)
                assert (caught.value.kind, trace.ran) == (kind, ran)  # noqa: B023
                assert caught.value.result is not None
                assert caught.value.result.stdout == b"here\n"

        run_async(main, loop=loop)


def test_what_is_said_before_a_failed_become_is_no_output(host, loop):
    """
    S10: neither what the dialogue left unread nor what comes until the program is ended.
    """

    async def refuse(conversation: Conversation) -> None:
        await read_until(conversation, b"Password: ")
        await conversation.write(b"wrong\n")
        await asyncio.sleep(0.2)
        raise FleetError("become.denied", "sudo refused the password")

    async def main() -> None:
        async with connected(host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec(
                    'trap "echo bye" TERM; printf "Password: "; read a; echo no; sleep 600',
                    dialogue=Saying(refuse),
                )
            assert caught.value.result is not None
            assert caught.value.result.stdout == b""

    run_async(main, loop=loop)


def test_a_refused_program_is_not_the_dialogues_fault(fleet, loop):
    """
    When the server refuses the terminal, that is the failure, and the dialogue has not begun.
    """
    begun = []

    async def begin(conversation: Conversation) -> None:
        begun.append(conversation)

    async def main() -> str:
        async with connected(fleet.model_host(fleet.host("nopty"))) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("true", pty=Pty(), dialogue=Saying(begin))
            return caught.value.kind

    assert (run_async(main, loop=loop), begun) == ("pty.refused", [])


def test_the_time_limit_holds_for_a_dialogue(host, loop):
    """
    A dialogue that waits for ever is cancelled, and has put its things in order when exec returns.
    """
    tidied = []

    async def wait(conversation: Conversation) -> None:
        try:
            await conversation.read()
        finally:
            await asyncio.sleep(0.05)
            tidied.append(True)

    async def main() -> str:
        async with connected(host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("sleep 600", timeout_s=0.3, dialogue=Saying(wait))
            return caught.value.kind

    assert (run_async(main, loop=loop), tidied) == ("exec.timeout", [True])


def test_a_login_shell_reads_its_input(host, loop):
    """
    The shell request starts the login shell: it reads the input line by line and gives its status.
    """
    request = {"is_shell": True, "stdin": b"echo one\nexit 3\n"}
    result, _ = run_command(host, "", **request, loop=loop)
    assert (result.exit_status, result.stdout) == (3, b"one\n")


@pytest.mark.parametrize("stdin", [b"", b"a line\n", b"no newline at its end"])
def test_the_end_of_the_input_reaches_a_program_on_a_terminal(host, stdin, loop):
    """
    A terminal is told by its end-of-file character, after a half line by two of them.
    """
    result, _ = run_command(host, "cat; echo over", pty=Pty(), stdin=stdin, loop=loop)
    assert result.stdout == stdin + b"over\n"


def test_the_window_of_a_terminal_changes(host, loop):
    """
    Size and type of the terminal are those asked for, and the size changes with `resize`.
    """
    sizes = []

    async def resize(conversation: Conversation) -> None:
        sizes.append(await read_until(conversation, b"\n"))
        conversation.resize(132, 50)
        await conversation.write(b"\n")

    pty = Pty(term="vt100", columns=101, rows=33)
    command = 'echo "$TERM $(stty size)"; read -r go; stty size'
    result, _ = run_command(host, command, pty=pty, dialogue=Saying(resize), loop=loop)
    assert (sizes, result.stdout) == ([b"vt100 33 101\n"], b"50 132\n")


def test_variables_the_server_refuses_are_named(fleet, loop):
    """
    What AcceptEnv does not list is in the result, in order; what it lists arrives.
    """
    host = fleet.sshd("accepts-one", {"AcceptEnv": "YES"})
    result, _ = run_command(
        fleet.model_host(host),
        "echo $YES$NO",
        env={"NO": "no", "YES": "yes", "ALSO_NO": "no"},
        loop=loop,
    )
    assert (result.stdout, result.refused_env) == (b"yes\n", ("NO", "ALSO_NO"))


def test_a_bug_in_a_dialogue_leaves_the_connection_usable(host, loop):
    """
    A bug in a dialogue comes out as it is; nothing stays open.
    """

    async def fail(conversation: Conversation) -> None:
        raise ZeroDivisionError("bug")

    async def main() -> None:
        async with asyncio.timeout(TEST_LIMIT_S), connected(host) as connection:
            with pytest.raises(ZeroDivisionError):
                await connection.exec("sleep 600", dialogue=Saying(fail))
            assert (await connection.exec("echo fine")).stdout == b"fine\n"

    run_async(main, loop=loop)
