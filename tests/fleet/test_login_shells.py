"""
Commands and scripts for accounts of a real sshd: every login shell, none, and forced commands.
"""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import AsUser
from fleetctl.commands.command import Command
from fleetctl.commands.conditions import Conditions
from fleetctl.commands.script import Script
from fleetctl.model.secret import Secret
from fleetctl.ssh.connector import SshConnector
from tests.support.drive import Secrets, connected, run_async

pytestmark = pytest.mark.fleet

LOGIN_SHELLS = ("sh", "dash", "bash", "ash", "ksh", "zsh", "csh", "tcsh", "fish")
ALL_BYTES = bytes(range(1, 256)).decode("utf-8", "surrogateescape")
WORDS = ("", "-n", "a b", "it's", "!!", "\\\\", "\\'", "x\n\n", "=ls", "$HOME", ALL_BYTES)


class RemoteHost:
    """A `Remote` on one connection; what is not used here is missing."""

    def __init__(self, connection):
        self.host = connection.ssh.host
        self.requests = []
        self.shown = []
        self.password = None
        self._connection = connection

    def login_with(self, login):
        raise AssertionError("nobody asked for that")

    async def become_password(self, user):
        return self.password

    def redaction(self):
        return None

    async def exec(self, request):
        self.requests.append(request)
        return await self._connection.ssh.exec(
            request, self._connection.trace, lambda _, data: self.shown.append(data)
        )


@asynccontextmanager
async def logged_in(host, **options):
    async with connected(host, **options) as connection:
        yield RemoteHost(connection)


def perform(host, *operations):
    """Run operations on one connection; return their outcomes and the remote."""

    async def main():
        async with logged_in(host) as remote:
            return [await each.run(remote, check=False) for each in operations], remote

    return run_async(main)


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_words_lines_and_scripts_through_a_real_login(accounts, shell):
    """
    The account's own shell is started, which sets SHELL and reads its start-up files.
    """
    conditions = Conditions({"A": "it's !"}, "/usr", 0o027, 3)
    ask = 'echo "$A|$(pwd)|$(umask)|$(nice)|$SHELL"; exit 3'
    outcomes, _ = perform(
        accounts.model_host(f"u-{shell}"),
        Command(words=("sh", "-c", 'printf %s "$#"; printf "|%s" "$@"', "sh", *WORDS)),
        Command(words=("sh", "-c", ask), conditions=conditions),
        Command(f"sh -c '{ask}'", conditions=conditions),
        Script("x.sh", b'cat; printf \'|%s\' "$0" "$@"; exit 9\n', WORDS, b"input"),
    )
    words, direct, line, script = (each.result for each in outcomes)
    joined = b"".join(b"|" + word.encode("utf-8", "surrogateescape") for word in WORDS)
    assert (words.stdout, words.exit_status) == (f"{len(WORDS)}".encode() + joined, 0)
    assert direct.stdout.startswith(b"it's !|/usr|0027|3|/")
    assert (line.stdout, line.exit_status) == (direct.stdout, 3)
    assert (script.stdout, script.exit_status) == (b"input|x.sh" + joined, 9)


@pytest.mark.parametrize("shell", ["csh", "tcsh", "fish", "zsh"])
def test_F37_start_up_files_of_a_real_login_are_kept_apart(accounts, shell):
    """
    What they write is shown for a line sent as it is, and for nothing that we start.
    """
    files = {"csh": ".cshrc", "tcsh": ".tcshrc", "zsh": ".zshenv"}
    home = accounts.host().home / f"u-{shell}"
    file = home / files.get(shell, ".config/fish/config.fish")
    made = [each for each in (file.parent.parent, file.parent, file) if not each.exists()]
    before = file.read_text() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("echo noise\nsh -c 'echo more >&2'\n")
    try:
        (raw, words, line, script), remote = perform(
            accounts.model_host(f"u-{shell}"),
            Command("echo hello"),
            Command(words=("echo", "hello!")),
            Command("echo hello", conditions=Conditions(umask=0o077)),
            Script("x.sh", b"echo hello\n"),
        )
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)
        for each in reversed(made):
            if each.is_dir():
                each.rmdir()
    assert raw.result.stdout == b"noise\nhello\n"
    assert [each.result.stdout for each in (words, line, script)] == [
        b"hello!\n",
        b"hello\n",
        b"hello\n",
    ]
    assert not any(each.result.stderr for each in (words, line, script))
    assert b"".join(remote.shown).count(b"noise") == 1


EVERY_KIND = (
    Command("echo hello"),
    Command(words=("echo", "hello!")),
    Command("echo hello", conditions=Conditions(cwd="/")),
    Script("x.sh", b"echo hello\n"),
)


@pytest.mark.parametrize("user", ["u-nologin", "u-false"])
def test_F33_an_account_without_a_shell_is_no_failed_command(accounts, user):
    """
    One of them says so; the other says nothing, and is found out by one more question.
    """
    outcomes, remote = perform(accounts.model_host(user), *EVERY_KIND)
    assert [each.failure.kind for each in outcomes] == ["session.no_shell"] * 4
    assert {each.status for each in outcomes} == {"unreachable"}
    assert len(remote.requests) == (5 if user == "u-false" else 4)
    assert "usermod" in outcomes[0].failure.hint


def test_F33_a_command_that_fails_without_a_word_is_not_taken_for_that(accounts):
    """
    One more question on the same connection tells; nothing of it is seen.
    """
    (outcome,), remote = perform(accounts.model_host("u-sh"), Command("false"))
    assert (outcome.failure.kind, outcome.result.exit_status) == ("exec.nonzero", 1)
    assert len(remote.requests) == 2
    assert remote.shown == []


def test_F33_nothing_is_asked_when_a_command_says_something(accounts):
    """
    Only an end that looks like that of false takes the question.
    """
    outcomes, remote = perform(
        accounts.model_host("u-sh"), Command("echo no; false"), Command("exit 2"), Command("true")
    )
    assert [each.result.exit_status for each in outcomes] == [1, 2, 0]
    assert len(remote.requests) == 3


def test_F34_a_forced_command_is_recognised(fleet):
    """
    What we start proves itself by a random word; a line sent as it is cannot.
    """
    outcomes, _ = perform(fleet.model_host(fleet.host("force-command")), *EVERY_KIND)
    raw, *proved = outcomes
    assert (raw.status, raw.result.stdout) == ("ok", b"forced\n")
    for outcome in proved:
        assert (outcome.status, outcome.failure.kind) == ("failed", "exec.refused")
        assert outcome.failure.message.startswith("another command ran")
        assert outcome.failure.message.endswith("it wrote: forced")
        assert outcome.result.stdout == b"forced\n"


def test_F34_nothing_is_sent_to_a_forced_command(fleet, tmp_path):
    """
    A script and its input go to nobody who has not shown to be the one we started.
    """
    seen = tmp_path / "seen"
    force = f"echo hello; timeout 2 cat > {seen}"
    host = fleet.model_host(fleet.sshd("force-cat", {"ForceCommand": force}))
    (outcome,), _ = perform(host, Script("x.sh", b"echo secret\n", stdin=b"more secrets"))
    assert outcome.failure.message.startswith("another command ran")
    assert seen.read_bytes() == b""


def test_F35_an_account_for_sftp_only_has_no_shell(accounts):
    """
    The server says so in words; it is no failure of the command.
    """
    host = accounts.host("sftp-only", ForceCommand="internal-sftp")
    try:
        outcomes, _ = perform(accounts.model_host("u-sh", host), *EVERY_KIND)
    finally:
        accounts.stop(host)
    assert [each.failure.kind for each in outcomes] == ["session.no_shell"] * 4
    assert "sftp only" in outcomes[0].failure.message


def test_the_same_through_dropbear(accounts):
    """
    Another server sets SHELL as well, and starts the login shell in the same way.
    """
    outcomes, _ = perform(
        accounts.model_host("u-tcsh", accounts.dropbear()),
        Command(words=("sh", "-c", 'printf "|%s" "$@"', "sh", *WORDS)),
        Command("echo $?tcsh", conditions=Conditions(cwd="/usr")),
        Script("x.sh", b"cat; pwd\n", stdin=b"input\n", conditions=Conditions(cwd="/usr")),
    )
    joined = b"".join(b"|" + word.encode("utf-8", "surrogateescape") for word in WORDS)
    assert [each.result.stdout for each in outcomes] == [joined, b"1\n", b"input\n/usr\n"]


@pytest.mark.parametrize("shell", ["sh", "fish"])
def test_with_a_terminal_a_script_is_whole_and_the_terminal_as_it_was(accounts, shell):
    """
    Lines too long for a terminal, control characters, and no echo of the text; after it the
    terminal ends lines and input as before.
    """
    code = (
        b"#!/bin/bash\n: '" + b"x" * 10_000 + b"\x03\x04\x1a\x7f'\nread -r line; echo got $line\n"
    )
    (outcome, other), _ = perform(
        accounts.model_host(f"u-{shell}"),
        Script("x.sh", code + b"stty -a | grep -o ' icanon'\n", stdin=b"a line\n", pty=True),
        Command(words=("sh", "-c", "cat; echo !"), stdin=b"a line\n", pty=True),
    )
    assert outcome.result.stdout == b"got a line\n icanon\n"
    assert other.result.stdout == b"a line\n!\n"


def test_send_env_goes_to_hosts_that_take_it(fleet):
    """
    What the patterns choose of our environment, SetEnv stronger; what is refused is noted.
    """
    host = fleet.model_host(
        fleet.sshd("accept-env", {"AcceptEnv": "GIVEN_*"}),
        send_env=("GIVEN_*", "OTH?R"),
        set_env={"GIVEN_B": "set"},
    )
    environ = {"GIVEN_A": "a", "GIVEN_B": "b", "OTHER": "c", "ELSE": "d"}

    async def main():
        connector = SshConnector(secrets=Secrets(), environ=environ)
        try:
            async with logged_in(host, connector=connector) as remote:
                return await Command('echo "$GIVEN_A|$GIVEN_B|$OTHER|$ELSE"').run(
                    remote, check=False
                )
        finally:
            await connector.aclose()

    result = run_async(main).result
    assert result.stdout == b"a|set||\n"
    assert result.refused_env == ("OTHER",)


@pytest.mark.parametrize("user", ["nopass", "admin", "doas-nopass", "doas-pass"])
def test_another_user_runs_them_in_the_same_way(accounts, user):
    """
    Words of any length, conditions, and scripts with their input; whoever asks for the password.
    """
    become = Become(method="doas" if user.startswith("doas") else "sudo")

    async def main():
        async with logged_in(accounts.model_host(user)) as remote:
            remote.password = Secret(accounts.password(user))
            return [
                await AsUser(each, become).run(remote, check=False)
                for each in (
                    Command(words=("sh", "-c", 'id -un; printf "|%s" "$@"', "sh", *WORDS)),
                    Command(words=("sh", "-c", "id -un; echo $#$1", "sh", "!" * 60_000)),
                    Command("id -un; pwd; echo $A", conditions=Conditions({"A": "b !"}, "~")),
                    Script("x.sh", b'id -un; cat; printf "|%s" "$@"\n', WORDS, b"input"),
                )
            ]

    words, long, line, script = (each.result.stdout for each in run_async(main))
    joined = b"".join(b"|" + word.encode("utf-8", "surrogateescape") for word in WORDS)
    assert words == b"root\n" + joined
    assert long == b"root\n1" + b"!" * 60_000 + b"\n"
    assert line == b"root\n/root\nb !\n"
    assert script == b"root\ninput" + joined


def test_a_folder_and_a_niceness_that_an_account_may_not_have(accounts):
    """
    Each is a failure of its own, and the command does not run.
    """
    outcomes, _ = perform(
        accounts.model_host("u-sh"),
        Command("echo ran", conditions=Conditions(cwd="/root")),
        Command("echo ran", conditions=Conditions(nice=-5)),
        Script("x.sh", b"echo ran\n", conditions=Conditions(cwd="/root/x")),
    )
    assert [each.failure.kind for each in outcomes] == ["exec.refused"] * 3
    assert [each.result.stdout for each in outcomes] == [b"", b"", b""]
    closed, nice, hidden = (each.failure.message for each in outcomes)
    assert closed.endswith("the folder /root on the host may not be entered")
    assert nice.endswith("the host does not run a command with --nice -5")
    assert hidden.endswith("there is no folder /root/x on the host")
