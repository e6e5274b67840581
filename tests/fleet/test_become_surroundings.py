"""
Becoming another user whatever the host is like: its login shells, start files, locale and server.
"""

from __future__ import annotations

import shlex

import pytest

from fleetctl.become.become import Become
from fleetctl.model.operation import Pty
from tests.support.becoming import DOAS, ROOT, SAID, SU, WHO, run_as, ways

pytestmark = pytest.mark.fleet


@pytest.mark.parametrize(
    "shell", ["u-sh", "u-dash", "u-bash", "u-ash", "u-ksh", "u-zsh", "u-csh", "u-tcsh", "u-fish"]
)
def test_from_every_login_shell(accounts, shell):
    """
    Whatever shell reads our line, what is behind it arrives: quotes, `!`, backslashes, newlines.
    """
    rules = "".join(f"{user} ALL=(ALL) ALL\n" for user in accounts.users if user[:2] == "u-")
    host = accounts.model_host(shell, accounts.host("becoming-shells", sudoers=rules))
    text = "it's !1 \\n \\\\ \\' \"$HOME\" `x` %s\n\n\té\x01~"
    command = f"printf %s {shlex.quote(text)}"
    ran = run_as(host, ROOT, command, password=accounts.password(shell))
    assert (ran.error, ran.output.decode()) == (None, text)


@ways
@pytest.mark.parametrize("text", ["x" * 90_000, "it's " * 1500], ids=["long", "quotes"])
def test_a_long_command_arrives(accounts, user, become, whose, text):
    """
    Near the 128 KiB that Linux allows for one argument; quotes cost some of that.
    """
    password = whose and accounts.password(whose)
    command = f"printf %s {shlex.quote(text)} | wc -c"
    ran = run_as(accounts.model_host(user), become, command, password=password)
    assert (ran.error, ran.output) == (None, f"{len(text)}\n".encode())


def test_another_user_than_root(accounts):
    """
    The line is read by that one's login shell, in that one's home.
    """
    become = Become(user="u-fish")
    command = "set answer (math 6 x 7); echo $answer (id -un) $PWD $SHELL"
    ran = run_as(accounts.model_host("nopass"), become, command)
    assert (ran.error, ran.output) == (None, b"42 u-fish /home/u-fish /usr/bin/fish\n")


@pytest.mark.parametrize(("user", "method"), [("nopass", "sudo"), ("root", "su")])
def test_a_user_without_a_shell_gets_sh(accounts, user, method):
    """
    Accounts of services can be become though nobody can log in as them.
    """
    become = Become(user="u-nologin", method=method)
    ran = run_as(accounts.model_host(user), become, "id -un; echo $SHELL")
    assert (ran.error, ran.output) == (None, b"u-nologin\n/bin/sh\n")


def test_the_locale_is_the_hosts_own(accounts):
    """
    What we set to understand sudo does not reach the command, and what was set does.
    """
    host = accounts.host(
        "locales", AcceptEnv="LC_*", sudoers="Defaults:nopass env_keep += LC_ALL\n"
    )
    command = "echo ${LC_ALL-unset}"
    for env, said in (({}, b"unset\n"), ({"LC_ALL": "C.UTF-8"}, b"C.UTF-8\n")):
        ran = run_as(accounts.model_host("nopass", host), ROOT, command, env=env)
        assert (ran.error, ran.output) == (None, said)


@pytest.mark.parametrize(
    "noise",
    [
        "echo welcome; echo oops >&2",
        "set -x",
        "set -v",
        'echo "[sudo] password for admin: " >&2',
        "printf 'Password: ' >&2",
    ],
)
@pytest.mark.parametrize("become", [ROOT, SU], ids=["sudo", "su"])
@pytest.mark.parametrize("pty", [None, Pty()], ids=["streams", "terminal"])
def test_S10_start_files_cannot_ask_for_the_password(accounts, noise, become, pty):
    """
    S10: what start files say, our own line shown by them included, is neither an answer nor output.
    """
    host = accounts.host("noisy")
    (host.home / "admin" / ".bashrc").write_text(f"{noise}\n")
    password = accounts.password("admin" if become is ROOT else "root")
    ran = run_as(accounts.model_host("admin", host), become, WHO, password=password, pty=pty)
    assert (ran.error, sorted(ran.output.splitlines())) == (
        None,
        sorted((SAID + b"problem\n").splitlines()),
    )


def test_flags_and_another_name_of_the_program(accounts):
    """
    What Ansible's inventories have is understood; what is ours there changes nothing.
    """
    become = Become(exe="/usr/bin/sudo", flags=("-H", "-S", "-n", "-E"))
    host = accounts.model_host("admin")
    ran = run_as(host, become, "id -un", password=accounts.password("admin"))
    assert (ran.error, ran.output) == (None, b"root\n")


@pytest.mark.parametrize("pty", [None, Pty()], ids=["streams", "terminal"])
@pytest.mark.parametrize(
    ("user", "become", "whose"),
    [("admin", ROOT, "admin"), ("admin", SU, "root"), ("doas-pass", DOAS, "doas-pass")],
)
def test_by_dropbear_as_well(accounts, user, become, whose, pty):
    """
    Nothing of it is OpenSSH's.
    """
    host = accounts.model_host(user, accounts.dropbear())
    password = accounts.password(whose)
    ran = run_as(host, become, WHO, password=password, pty=pty)
    assert (ran.error, sorted(ran.output.splitlines())) == (
        None,
        sorted((SAID + b"problem\n").splitlines()),
    )


def test_two_tries_fit_on_a_host_with_one_session(accounts):
    """
    Doas is started twice for a password, one after the other.
    """
    host = accounts.model_host("doas-pass", accounts.host("one-session", MaxSessions="1"))
    ran = run_as(host, DOAS, "id -un", password=accounts.password("doas-pass"))
    assert (ran.error, ran.output) == (None, b"root\n")
