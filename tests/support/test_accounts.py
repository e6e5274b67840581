"""
The hosts with other users: that their users, shells and ways to another user are real.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from fleetctl.lab.layout import LabError
from tests.support.account_files import ACCOUNTS, LINKED_SHELLS
from tests.support.accounts import Accounts, make_accounts_directory
from tests.support.leaks import child_pids
from tests.support.patience import PATIENCE_S

SHELLS = ["sh", "dash", "bash", "ash", "ksh", "zsh", "csh", "tcsh", "fish"]


def ssh(accounts, user, command, *options, host=None, text="") -> subprocess.CompletedProcess[str]:
    """Run a command as a user by OpenSSH's client."""
    return subprocess.run(
        [*accounts.ssh_argv(user, *options, host=host), command],
        input=text,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_login_shell_is_the_one_the_user_is_named_for(accounts, shell):
    """
    A command of u-ksh is interpreted by ksh, and so on, in the user's own home.
    """
    user = f"u-{shell}"
    [account] = [account for account in ACCOUNTS if account.name == user]
    program = Path(LINKED_SHELLS.get(shell, account.shell)).resolve()
    own_pid = "$fish_pid" if shell == "fish" else "$$"
    answer = ssh(accounts, user, f"readlink /proc/{own_pid}/exe; pwd; id -un")
    assert answer.stdout.split() == [str(program), f"/home/{user}", user]


@pytest.mark.parametrize("user", ["u-nologin", "u-false"])
def test_user_without_a_shell_logs_in_and_can_run_nothing(accounts, user):
    """
    The login succeeds, and the command does not run.
    """
    answer = ssh(accounts, user, "echo yes")
    assert answer.returncode == 1
    assert "yes" not in answer.stdout
    assert "Permission denied" not in answer.stderr


@pytest.mark.parametrize(
    ("user", "command", "told", "want"),
    [
        ("admin", "sudo -n id -un", "", "a password is required"),
        ("admin", "sudo -S id -un", "admin", "root\n"),
        ("awkward", "sudo -S id -un", "awkward", "root\n"),
        ("admin", "sudo -S id -un", "root", "incorrect password"),
        ("nopass", "sudo -n id -un", "", "root\n"),
        ("nopass", "sudo -n -u admin id -un", "", "admin\n"),
        ("nosudo", "sudo -S id -un", "nosudo", "not in the sudoers file"),
        ("limited", "sudo -S ls /", "limited", "not allowed to execute"),
        ("tty", "sudo -S id -un", "tty", "you must have a tty"),
        ("lecture", "sudo -S id -un", "lecture", "usual lecture"),
        ("usepty", "sudo -S id -un", "usepty", "root\n"),
        ("rootpw", "sudo -S id -un", "root", "root\n"),
        ("targetpw", "sudo -S -u nosudo id -un", "nosudo", "nosudo\n"),
        ("doas-nopass", "doas -n id -un", "", "root\n"),
        ("doas-pass", "doas -n id -un", "", "Authentication required"),
        ("doas-deny", "doas -n id -un", "", "Operation not permitted"),
        ("root", "su admin -c 'id -un'", "", "admin\n"),
    ],
)
def test_ways_to_another_user_answer_as_they_are_set_up(accounts, user, command, told, want):
    """
    Each user may do what the table of accounts says, with the password it says.
    """
    text = f"{accounts.password(told)}\n" if told else ""
    answer = ssh(accounts, user, command, text=text)
    assert want in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("user", "command", "asked", "want"),
    [
        ("nosudo", "LC_ALL=C su -c 'id -un'", [("Password: ", "root")], "root\r\n"),
        ("nosudo", "LC_ALL=C su -c 'id -un'", [("Password: ", "nosudo")], "Authentication failure"),
        ("nosudo", "LC_ALL=C su admin -c 'id -un'", [("Password: ", "admin")], "admin\r\n"),
        ("tty", "sudo -p 'tell: ' id -un", [("tell: ", "tty")], "root\r\n"),
        ("doas-pass", "doas id -un", [("password: ", "doas-pass")], "root\r\n"),
        (
            "doas-persist",
            "doas id -un; doas -n id -u; true",
            [("password: ", "doas-persist")],
            "root\r\n0\r\n",
        ),
    ],
)
def test_passwords_are_asked_for_on_a_terminal(accounts, user, command, asked, want):
    """
    Programs that take a password from a terminal only ask there, and take the right one.
    """
    argv = [*accounts.ssh_argv(user, "-tt"), command]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(argv, bufsize=0, stdin=pipe, stdout=pipe, stderr=nowhere) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = b""
        for prompt, told in asked:
            while not shown.endswith(prompt.encode()):
                piece = process.stdout.read(4096)
                assert piece, shown
                shown += piece
            process.stdin.write(accounts.password(told).encode() + b"\n")
        while piece := process.stdout.read(4096):
            shown += piece
    assert want in shown.decode()


def test_password_that_must_be_changed_keeps_its_user_out_where_pam_is_asked(accounts):
    """
    With PAM the session says so; without it the user gets in, and sudo says so.
    """
    answer = ssh(accounts, "expired", "echo yes")
    assert "yes" not in answer.stdout
    assert "password" in answer.stderr.lower()
    no_pam = accounts.host("no-pam", UsePAM="no")
    text = f"{accounts.password('expired')}\n"
    answer = ssh(accounts, "expired", "sudo -S id -un", host=no_pam, text=text)
    assert "change your password" in answer.stderr or "expired" in answer.stderr


def test_user_of_another_host_is_not_one_of_this_machine(accounts):
    """
    Accounts, homes, sudoers and logs are the host's: this machine's files are as before.
    """
    before = {path: Path(path).stat() for path in ("/etc/passwd", "/etc/shadow", "/etc", "/home")}
    host = accounts.host("aside", sudoers="nosudo ALL=(ALL:ALL) NOPASSWD: ALL\n")
    line = "sudo -n touch /etc/own /home/own /tmp/own-by-nosudo; id -un"
    answer = ssh(accounts, "nosudo", line, host=host)
    assert answer.stdout == "nosudo\n", answer.stderr
    assert (host.home / "own").exists()
    assert not Path("/tmp/own-by-nosudo").exists()
    assert {path: Path(path).stat() for path in before} == before
    assert not any(f"{account.name}:x" in Path("/etc/passwd").read_text() for account in ACCOUNTS)
    accounts.stop(host)
    assert not host.directory.exists()


def test_what_a_user_left_running_is_a_process_of_the_host_and_ends_with_it(accounts):
    """
    A daemon of another user, without parent and environment, is found and ended.
    """
    host = accounts.host("left-behind")
    command = "setsid env -i sleep 600 </dev/null >/dev/null 2>&1 & echo started"
    assert ssh(accounts, "u-bash", command, host=host).stdout == "started\n"
    [left] = [pid for pid in accounts.sessions(host) if b"sleep" in _command(pid)]
    accounts.end_sessions(host)
    assert not _command(left)
    assert ssh(accounts, "u-bash", command, host=host).stdout == "started\n"
    accounts.stop(host)
    assert not accounts.sessions(host)
    assert host.pid not in child_pids()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("user", ["u-bash", "admin", "root"])
def test_dropbear_serves_the_same_users(accounts, user):
    """
    With the same key, known by the same known_hosts.
    """
    host = accounts.dropbear()
    answer = ssh(accounts, user, "id -un; exit 7", host=host)
    assert (answer.stdout, answer.returncode) == (f"{user}\n", 7)


def test_hosts_of_a_run_that_was_killed_are_ended_by_the_next(fleet, tmp_path, monkeypatch):
    """
    A directory whose process is gone is cleared: daemons and what they ran end, files go.
    """
    # Nobody else clears this one.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    directory = make_accounts_directory()
    # No process has this number: it is beyond the largest that Linux gives.
    stale = directory.rename(directory.with_name(f"4194305-{directory.name}"))
    accounts = Accounts(stale, fleet, block=9)
    host = accounts.host()
    assert host.pid is not None
    make_accounts_directory().rmdir()
    assert not stale.exists()
    # Here it is a child, and may have been reaped by who ended it.
    with suppress(ChildProcessError):
        assert os.waitpid(host.pid, 0) == (host.pid, signal.SIGKILL)
    assert host.pid not in child_pids()


def test_host_that_cannot_start_says_why_and_leaves_nothing(accounts):
    """
    The daemon's own words are in the error, and the name can be used again.
    """
    with pytest.raises(LabError, match="NoSuchKeyword"):
        accounts.host("broken", NoSuchKeyword="yes")
    assert not (accounts.directory / "broken").exists()
    assert ssh(accounts, "u-sh", "true", host=accounts.host("broken")).returncode == 0


def test_without_root_the_tests_fail_with_a_reason(accounts, monkeypatch):
    """
    Nobody takes a skipped test for one that passed.
    """
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="need root"):
        accounts.host("nobody")
