"""
`fleetctl connect`: a login shell for somebody at a terminal, and for what is piped into it.
"""

from __future__ import annotations

import os
import subprocess
import termios
import threading
import time

import pytest

from fleetctl.ssh.execution import LAST_WORD_S
from tests.cli.shell import PROGRAM, fleetctl, on_terminal, started
from tests.cli.sitting import is_raw, log_in, modes_of
from tests.support.patience import PATIENCE_S
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


@pytest.fixture
def web01(fleet):
    """The words that name an ordinary host."""
    return "-i", str(fleet.inventory(fleet.hosts(1))), "all"


# -- at a terminal


def test_a_session_at_a_terminal(web01):
    """
    What is typed is run, nothing is shown but what the host sends, and the exit status is the
    shell's; the terminal is raw meanwhile and afterwards what it was.
    """
    with on_terminal("connect", *web01) as screen:
        before = modes_of(screen)
        log_in(screen)
        assert is_raw(screen)
        screen.type("echo a$((40+2))b; tty; echo $TERM\r")
        screen.read_until("a42b")
        screen.read_until("/dev/pts/")
        screen.read_until("xterm")
        screen.type("exit 7\r")
        ended = screen.wait()
        assert modes_of(screen) == before
    assert ended.code == 7


def test_size_and_its_changes(web01):
    """
    The host's terminal is as large as this one, and becomes as large when this one changes.
    """
    with on_terminal("connect", *web01) as screen:
        log_in(screen)
        screen.type("stty size\r")
        screen.read_until("24 100")
        termios.tcsetwinsize(screen.master, (50, 132))
        screen.type("while stty size | grep -v 50.132; do sleep 0.1; done; echo fi''ts\r")
        screen.read_until("fits")
        screen.type("exit\r")
        assert screen.wait().code == 0


def test_ctrl_c_goes_to_the_host(web01):
    """
    It ends what runs there, and not fleetctl.
    """
    with on_terminal("connect", *web01) as screen:
        log_in(screen)
        # A shell that is only about to start a program may lose an interrupt.
        screen.type("sh -c \"echo be''gun; exec sleep 1000\"\r")
        screen.read_until("begun")
        screen.shown = ""
        screen.interrupt()
        screen.read_until("<ready>")
        screen.type("echo status $?\r")
        screen.read_until("status 130")
        screen.type("exit 0\r")
        assert screen.wait().code == 0


class NotesTerminal(Login):
    """Notes what is asked for, and has a shell that ends at once."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def check_channel_pty_request(self, channel, term, width, height, _x, _y, modes):
        self.seen.append((term, width, height, modes))
        return True

    def check_channel_shell_request(self, channel):
        threading.Thread(target=self._run_later, args=(channel, b""), name="scripted shell").start()
        return True


def test_the_terminal_is_asked_for_as_ssh_asks_for_it(settings_of_keys):
    """
    The same type, size and modes, opcode by opcode, of a terminal that is not as usual.
    """
    seen: list[tuple[bytes, int, int, bytes]] = []
    with scripted_server(settings_of_keys, login=lambda: NotesTerminal(seen)) as server:
        host = server.host.settings
        known_hosts = host.user_known_hosts_files[0]
        identity = host.identity_files[0]
        ours = (
            *("connect", "-i", f"{host.user}@{host.hostname}:{host.port},", "all"),
            *("-o", f"UserKnownHostsFile={known_hosts}", "--identity", identity),
            *("-o", "IdentityAgent=none", "-F", "none"),
        )
        theirs = (
            *("ssh", "-F", "/dev/null", "-p", str(host.port), "-i", identity),
            *("-o", f"UserKnownHostsFile={known_hosts}", "-o", "IdentityAgent=none"),
            f"{host.user}@{host.hostname}",
        )
        for words, program in ((ours, PROGRAM), (theirs, ())):
            with on_terminal(*words, program=program, prepare=_make_unusual) as screen:
                assert screen.wait().code == 0, screen.shown
    assert seen[0] == seen[1]
    assert seen[0][:3] == (b"xterm", 100, 24)
    assert b"\x03\0\0\0\x08" in seen[0][3]


def _make_unusual(fd):
    attributes = termios.tcgetattr(fd)
    attributes[0] &= ~(termios.IXON | termios.ICRNL)
    attributes[0] |= termios.IXANY | 0x4000
    attributes[3] |= termios.TOSTOP
    attributes[6][termios.VERASE] = b"\x08"
    attributes[6][termios.VQUIT] = b"\0"
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


@pytest.fixture
def settings_of_keys(fleet):
    return fleet.settings(fleet.host("web01"))


@pytest.mark.parametrize(("force", "shown"), [("no", "not a tty"), ("yes", "/dev/pts/")])
def test_whether_there_is_a_terminal_can_be_said(web01, force, shown):
    """
    RequestTTY, as for ssh; without one the shell asks for nothing.
    """
    with on_terminal("connect", *web01, "-o", f"RequestTTY={force}") as screen:
        screen.type("tty; exit 3\r" if force == "yes" else "tty; exit 3\n")
        screen.read_until(shown)
        assert screen.wait().code == 3


def test_a_terminal_can_be_forced(web01):
    """
    Where the input is none, it has the usual size.
    """
    done = fleetctl(
        "connect", *web01, "-o", "RequestTTY=force", stdin=b"stty size; exit 4\n", env=_XTERM
    )
    assert done.code == 4
    assert "24 80" in done.out


_XTERM = {"TERM": "xterm"}


# -- without a terminal


def test_what_is_piped_is_read_by_the_shell(web01):
    """
    No terminal, both streams apart, byte for byte, and the exit status.
    """
    script = b"printf 'a\\r\\nb\\0'; echo bad >&2; tty; exit 5\n"
    done = fleetctl("connect", *web01, stdin=script)
    assert (done.code, done.out, done.err) == (5, "a\r\nb\0not a tty\n", "bad\n")


def test_a_slow_reader_slows_the_host(web01):
    """
    Much output to a pipe that is read late arrives whole, and is not piled up meanwhile.
    """
    size = 50_000_000
    with started("connect", *web01, stdin=subprocess.PIPE) as child:
        child.stdin.write(b"head -c %d /dev/zero\n" % size)
        child.stdin.close()
        first = child.stdout.read(1)
        assert first == b"\0"
        total = 1
        while data := child.stdout.read(1_000_000):
            if total == 1:
                assert _resident_bytes(child.pid) < 200_000_000
            total += len(data)
        assert child.wait(PATIENCE_S) == 0
        child.stdin = None
    assert total == size


def test_F42_a_reader_that_is_slower_than_the_shell_ends(web01):
    """
    What the shell wrote before its end is passed on, however late it is read.
    """
    size = 1_000_000
    with started("connect", *web01, stdin=subprocess.PIPE) as child:
        child.stdin.write(b"head -c %d /dev/zero\n" % size)
        child.stdin.close()
        child.stdin = None
        total = len(child.stdout.read(1))
        time.sleep(LAST_WORD_S + 2)
        while data := child.stdout.read(1_000_000):
            total += len(data)
        assert child.wait(PATIENCE_S) == 0
    assert total == size


def _resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_nobody_reads_it_any_more(web01):
    """
    The session ends when its output is closed.
    """
    with started("connect", *web01, stdin=subprocess.PIPE) as child:
        child.stdin.write(b"yes\n")
        child.stdin.flush()
        assert child.stdout.read(2) == b"y\n"
        child.stdout.close()
        code = child.wait(PATIENCE_S)
        child.stdin.close()
        child.stdin = None
        child.stdout = None
    assert code == 141


# -- this machine


def test_this_machine_itself():
    """
    The login shell of whoever asks, without SSH.
    """
    done = fleetctl("connect", "localhost", stdin=b"echo here; exit 9\n")
    assert done.code == 9
    assert "here\n" in done.out
