"""
Commands as another user, by the real sudo, su and doas.
"""

from __future__ import annotations

import hashlib
import os
import signal

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import BecomingRemote
from fleetctl.model.dialogue import Conversation
from fleetctl.model.operation import ExecRequest, Pty, ShellScript
from fleetctl.model.secret import Secret
from tests.support.becoming import DOAS, ROOT, SAID, WAYS, WHO, LoggedIn, run_as, ways
from tests.support.drive import connected, run_async

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024


def has_terminal(become, whose):
    return become.method == "doas" and whose is not None


@ways
def test_F55_a_command_runs_as_the_other_user_and_only_it_is_heard(accounts, user, become, whose):
    """
    F55: in that one's home, with that one's shell; prompts, lectures and messages are no output.
    """
    password = whose and accounts.password(whose)
    ran = run_as(accounts.model_host(user), become, WHO, password=password)
    assert (ran.error, ran.ran) == (None, "yes")
    assert ran.result.exit_status == 3
    if has_terminal(become, whose):
        assert ran.output == SAID + b"problem\n"
    else:
        assert (ran.result.stdout, ran.result.stderr) == (SAID, b"problem\n")


@ways
def test_F55_the_same_on_a_terminal(accounts, user, become, whose):
    """
    F55: the prompt comes on the terminal then, and the password is not shown there.
    """
    password = whose and accounts.password(whose)
    command = f"test -t 0 && test -t 1 && {WHO}"
    ran = run_as(accounts.model_host(user), become, command, password=password, pty=Pty())
    assert (ran.error, ran.output) == (None, SAID + b"problem\n")
    assert ran.result.exit_status == 3


def test_F55_requiretty_is_content_with_a_terminal(accounts):
    """
    F55: with --pty such a host works, with a password and without.
    """
    for user, password in (("tty", accounts.password("tty")), ("tty-nopass", None)):
        ran = run_as(accounts.model_host(user), ROOT, WHO, password=password, pty=Pty())
        assert (ran.error, ran.output) == (None, SAID + b"problem\n")


@ways
def test_F55_standard_input_reaches_the_command_byte_for_byte(accounts, user, become, whose):
    """
    F55: 10 MiB of random bytes, after the password or without one; and nothing but they.
    """
    data = os.urandom(10 * MEBIBYTE)
    password = whose and accounts.password(whose)
    host = accounts.model_host(user)
    ran = run_as(host, become, "sha256sum", password=password, stdin=data)
    assert ran.error is None
    assert ran.output.decode() == f"{hashlib.sha256(data).hexdigest()}  -\n"


@ways
def test_F55_lines_typed_on_a_terminal_reach_the_command(accounts, user, become, whose):
    """
    F55: and their end, too; the password is not among them.
    """
    password = whose and accounts.password(whose)
    host = accounts.model_host(user)
    ran = run_as(host, become, "cat", password=password, pty=Pty(), stdin=b"one\ntwo\n")
    assert (ran.error, ran.output) == (None, b"one\ntwo\n")


@ways
def test_F55_output_of_any_bytes_arrives_as_it_is(accounts, user, become, whose):
    """
    F55: all 256 bytes, the first ones right behind our mark; without an end of line, too.
    """
    everything = bytes(range(256)) * 64
    octal = "".join(f"\\{byte:03o}" for byte in range(256))
    command = f"for n in $(seq 64); do printf '{octal}'; done"
    password = whose and accounts.password(whose)
    ran = run_as(accounts.model_host(user), become, command, password=password)
    assert (ran.error, ran.output) == (None, everything)


@ways
@pytest.mark.parametrize("number", ["KILL", "TERM", "SEGV"])
def test_F55_a_signal_that_ends_the_command_is_reported(accounts, user, become, whose, number):
    """
    F55: with its name by sudo, which dies of it itself; su and doas make 128 and its number of it.
    """
    password = whose and accounts.password(whose)
    command = f"ulimit -c 0; kill -{number} $$"
    ran = run_as(accounts.model_host(user), become, command, password=password)
    assert ran.error is None
    ending = (ran.result.exit_status, ran.result.exit_signal)
    if become.method == "sudo":
        assert ending == (None, number)
    else:
        assert ending == (128 + signal.Signals[f"SIG{number}"], None)


@pytest.mark.parametrize("stdin", [b"", b"some"])
def test_empty_input_is_at_its_end_at_once(accounts, stdin):
    """
    A command that reads gets what there is and then the end, on doas's terminal as well.
    """
    for user, become in (("admin", ROOT), ("doas-pass", DOAS)):
        password = accounts.password(user)
        ran = run_as(accounts.model_host(user), become, "cat", password=password, stdin=stdin)
        assert (ran.error, ran.output) == (None, stdin)


def test_S10_a_ticket_means_that_nothing_is_typed(accounts):
    """
    S10: where sudo remembers, it does not ask, and the command gets its input without a password
    in front.
    """
    host = accounts.host("tickets", sudoers="Defaults timestamp_type=global\n")

    async def main() -> list[bytes]:
        model_host = accounts.model_host("admin", host)
        async with connected(model_host) as connection:
            remote = LoggedIn(connection, model_host, accounts.password("admin"))
            becoming = BecomingRemote(remote, ROOT)
            said, asked = [], []
            for _ in range(2):
                said.append((await becoming.exec(ExecRequest("cat", stdin=b"data"))).stdout)
                asked.append(becoming.was_asked)
            assert asked == [True, False]
            return said

    assert run_async(main) == [b"data", b"data"]


def test_S10_the_password_is_in_nothing_that_is_sent_but_the_answer(accounts):
    """
    S10: not in the command line, where the host's other users could read it.
    """
    password = accounts.password("admin")
    ran = run_as(accounts.model_host("admin"), ROOT, "cat /proc/*/cmdline", password=password)
    assert ran.error is None
    assert password.encode() not in ran.output
    assert all(password not in repr(request) for request in ran.requests)


def test_a_password_costs_no_further_program(accounts):
    """
    One start of sudo or su, with a password and without; only doas with one is tried twice.
    """
    started = {
        f"{user} {become.method}": len(
            run_as(
                accounts.model_host(user),
                become,
                "true",
                password=whose and accounts.password(whose),
            ).requests
        )
        for user, become, whose in WAYS
    }
    twice = {way for way, count in started.items() if count == 2}
    assert twice == {"doas-pass doas", "doas-persist doas"}
    assert set(started.values()) == {1, 2}


@pytest.mark.parametrize("pty", [None, Pty()], ids=["streams", "terminal"])
@ways
def test_the_login_shell_of_the_other_user_reads_a_script(accounts, user, become, whose, pty):
    """
    `shell` feeds it, and its status comes back.
    """
    host = accounts.model_host(user)

    async def main() -> tuple[int | None, bytes]:
        async with connected(host) as connection:
            password = whose and accounts.password(whose)
            becoming = BecomingRemote(LoggedIn(connection, host, password), become)
            result = await becoming.shell(
                ShellScript(b"id -un; shopt login_shell\nexit 3\n", pty=pty)
            )
            return result.exit_status, result.stdout

    status, said = run_async(main)
    assert status == 3
    assert b"root" in said
    assert b"login_shell    \ton" in said


@ways
def test_a_dialogue_has_the_command_to_itself(accounts, user, become, whose):
    """
    It sees nothing of what was said before, and all that the command says, with a terminal or not.
    """

    class Asks:
        heard = b""

        async def hold(self, conversation: Conversation) -> None:
            while not self.heard.endswith(b"? "):
                piece = await conversation.read()
                assert piece is not None
                self.heard += piece[1]
            await conversation.write(b"blue\n")

    asks = Asks()
    password = whose and accounts.password(whose)
    command = "printf 'which colour? '; read -r colour; echo $(id -un) likes $colour; cat"
    host = accounts.model_host(user)
    ran = run_as(host, become, command, password=password, dialogue=asks, stdin=b"and red\n")
    assert asks.heard == b"which colour? "
    assert (ran.error, ran.output) == (None, b"root likes blue\nand red\n")


def test_a_secret_is_asked_of_the_remote_for_the_user_to_become(accounts):
    """
    Whoever keeps the passwords is told whom it is for.
    """
    asked = []

    class Remembers(LoggedIn):
        async def become_password(self, user: str) -> Secret | None:
            asked.append(user)
            return None

    async def main() -> None:
        host = accounts.model_host("nopass")
        async with connected(host) as connection:
            await BecomingRemote(Remembers(connection, host), Become(user="u-sh")).exec(
                ExecRequest("true")
            )

    run_async(main)
    assert asked == ["u-sh"]
