"""
`fleetctl connect`: escapes, and the ways in which a session ends otherwise than by its shell.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.cli.shell import PROGRAM, fleetctl, on_terminal
from tests.cli.sitting import is_raw, log_in, modes_of, start_cat, wait_until
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def web01(fleet):
    """The words that name an ordinary host."""
    return "-i", str(fleet.inventory(fleet.hosts(1))), "all"


# -- escapes


def test_leaving(web01):
    """
    ~. at the start of a line ends the session, says nothing and gives the terminal back.
    """
    with on_terminal("connect", *web01) as screen:
        before = modes_of(screen)
        log_in(screen)
        screen.type("\r~.")
        ended = screen.wait()
        assert modes_of(screen) == before
    assert ended.code == 255
    assert "fleetctl" not in ended.out


def test_help_and_the_character_itself(web01):
    """
    ~? shows the escapes that there are; ~~ types one.
    """
    with on_terminal("connect", *web01) as screen:
        log_in(screen)
        screen.type("~?")
        screen.read_until("~.   leave")
        start_cat(screen)
        screen.type("~~.\r")
        screen.read_until("\n~.\n~.\n")
        screen.type("\x04exit\r")
        assert screen.wait().code == 0


def test_another_character(web01):
    """
    EscapeChar has another one; ~. is for the host then.
    """
    with on_terminal("connect", *web01, "-o", "EscapeChar=^]") as screen:
        log_in(screen)
        start_cat(screen)
        screen.type("~.\r")
        screen.read_until("~.\n~.\n")
        screen.type("\x1d.")
        assert screen.wait().code == 255


def test_leaving_a_host_that_does_not_answer(fleet):
    """
    ~. works when nothing else does.
    """
    host = fleet.sshd("stalled", {})
    inventory = fleet.inventory([host])
    with on_terminal("connect", "-i", str(inventory), "all") as screen:
        log_in(screen)
        pids = fleet.sessions(host)
        try:
            for pid in (*pids, host.pid):
                os.kill(pid, signal.SIGSTOP)
            screen.type("\r~.")
            ended = screen.wait(limit_s=PATIENCE_S / 2)
        finally:
            for pid in (*pids, host.pid):
                os.kill(pid, signal.SIGCONT)
    fleet.stop(host)
    assert ended.code == 255


def test_suspending(web01):
    """
    ~^Z gives the terminal back to the shell that started fleetctl, and fg takes it again.
    """
    with on_terminal(
        "-c",
        'set -m; "$@"; stty -a; echo stop""ped; fg; echo left with $?',
        "sh",
        *PROGRAM,
        "connect",
        *web01,
        program=("bash",),
    ) as screen:
        log_in(screen)
        screen.type("~\x1a")
        screen.read_until("stopped")
        assert " icanon " in screen.shown
        wait_until(lambda: is_raw(screen))
        screen.type("echo ba''ck; exit 6\r")
        screen.read_until("back")
        screen.read_until("left with 6")
        screen.wait()


def test_suspending_where_nobody_could_continue_it(web01):
    """
    A terminal with fleetctl and nothing else goes on.
    """
    with on_terminal("connect", *web01) as screen:
        log_in(screen)
        screen.type("~\x1aecho st''ill here; exit 2\r")
        screen.read_until("still here")
        assert screen.wait().code == 2


# -- other ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_it_and_the_terminal_is_given_back(web01, number):
    """
    Killed from outside, it leaves the terminal as it was.
    """
    with on_terminal("connect", *web01) as screen:
        before = modes_of(screen)
        log_in(screen)
        os.kill(screen.pid, number)
        ended = screen.wait()
        assert modes_of(screen) == before
    assert ended.code == 128 + number


def test_F40_a_lost_connection(fleet):
    """
    The terminal is given back, what happened is said, and the exit code is 255.
    """
    host = fleet.sshd("lost", {})
    inventory = fleet.inventory([host])
    with on_terminal("connect", "-i", str(inventory), "all") as screen:
        before = modes_of(screen)
        log_in(screen)
        fleet.stop(host)
        ended = screen.wait()
        assert modes_of(screen) == before
    assert ended.code == 255
    assert "fleetctl: lost: connection lost" in ended.out


def test_a_host_that_cannot_be_reached():
    """
    Everything that is not the shell's exit status is 255.
    """
    done = fleetctl("connect", "-i", "127.0.0.1:1,", "all")
    assert done.code == 255
    assert done.out == ""
    assert "127.0.0.1" in done.err
    assert "refused" in done.err


def test_a_shell_that_was_killed(web01):
    """
    There is no exit status, and the signal is said.
    """
    done = fleetctl("connect", *web01, stdin=b"kill -KILL $$\n")
    assert done.code == 255
    assert "killed by signal KILL" in done.err


def test_one_host_only(fleet):
    """
    A pattern that means several is an error that names them.
    """
    inventory = str(fleet.inventory(fleet.hosts(3)))
    done = fleetctl("connect", "-i", inventory, "web*")
    assert done.code == 2
    assert "web* means 3 hosts, and one can be connected to: web[01-03]" in done.err
    assert "hint: fleetctl connect web01" in done.err


def test_an_unknown_key_is_asked_about(fleet):
    """
    As everywhere when somebody looks at one host.
    """
    host = fleet.host("unknown-key")
    inventory = str(fleet.inventory([host]))
    with on_terminal(
        "connect", "-i", inventory, "all", "-o", "StrictHostKeyChecking=ask"
    ) as screen:
        screen.read_until("(yes/no/fingerprint)? ")
        screen.type("no\r")
        ended = screen.wait()
    assert ended.code == 255
    assert "is not known" in ended.out
