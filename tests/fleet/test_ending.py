"""
Ending commands from here: whose processes are gone when that is said. It is compared with the
processes themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import BecomingRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.finding import Finding
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, Pty, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from fleetctl.ssh import ending_hunt as ending_module
from tests.fleet.ended import COMMANDS, assert_gone, ended_as, programs, timed_out
from tests.support.drive import Connection, connected, run_async, until
from tests.support.patience import PATIENCE_S, SLACK_S

pytestmark = pytest.mark.fleet


@pytest.fixture(autouse=True)
def _patient_ending(monkeypatch) -> None:
    """On a busy machine KILL takes its time, and so do shells."""
    monkeypatch.setattr(ending_module, "LIMIT_S", PATIENCE_S)
    monkeypatch.setattr(ending_module, "SHELL_HASTE_S", PATIENCE_S)
    monkeypatch.setattr(ending_module, "KILL_GRACE_S", SLACK_S)


@pytest.fixture
def web(accounts):
    """A host with users; what its users have left is ended afterwards."""
    yield accounts.host()
    accounts.end_sessions()


# -- whose processes are gone


@pytest.mark.parametrize("user", ["root", "u-sh"])
@pytest.mark.parametrize("name", COMMANDS)
def test_F48_all_of_a_command_is_gone_at_its_time_limit(accounts, web, user, name):
    """
    Pipelines, children in the background or in sessions of their own, and who ignores TERM: when
    the result says that it was ended, nothing of it lives.
    """
    assert_gone(*ended_as(accounts, user, COMMANDS[name]))


@pytest.mark.parametrize("user", ["root", "u-sh"])
@pytest.mark.parametrize("name", COMMANDS)
def test_F48_all_of_it_is_gone_on_a_terminal(accounts, web, user, name):
    """
    The same with a pseudo-terminal, whose shell leads a session too.
    """
    assert_gone(*ended_as(accounts, user, COMMANDS[name], pty=Pty()))


SHELLS = ["dash", "bash", "ash", "ksh", "zsh", "csh", "tcsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_F48_whatever_the_login_shell(accounts, web, shell):
    """
    The shell that looks is started by any login shell, and what its start files print does not
    confuse it (F37).
    """
    user = f"u-{shell}"
    home = accounts.host().home / user
    noise = "echo noise; echo more noise >&2\n"
    files = [home / name for name in (".bashrc", ".tcshrc", ".cshrc", ".zshenv")]
    files.append(home / ".config" / "fish" / "config.fish")
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(noise)
    try:

        async def main():
            async with connected(accounts.model_host(user)) as connection:
                with pytest.raises(FleetError) as caught:
                    await connection.exec("sleep 600 | sleep 600", timeout_s=1)
                return caught.value, programs(accounts)

        assert_gone(*run_async(main))
    finally:
        for file in files:
            file.unlink()


def test_a_shell_does_not_go_on_with_its_next_command(accounts, web):
    """
    Nothing runs between the end of one step and the end of the script.
    """
    mark = accounts.host().home / "u-sh" / "went-on"
    error, left = ended_as(accounts, "u-sh", "sleep 600; touch ~/went-on; sleep 600")
    assert_gone(error, left)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("user", "command", "pty"),
    [
        ("nopass", "sudo sleep 600", None),
        ("nopass", "sudo sh -c 'sleep 600 & trap \"\" TERM; sleep 600; sleep 600'", None),
        ("nopass", "sudo sleep 600", Pty()),
        ("tty-nopass", "sudo sleep 600", Pty()),
        ("doas-nopass", "doas sleep 600", None),
    ],
)
def test_F48_what_runs_as_root_by_sudo_is_gone(accounts, web, user, command, pty):
    """
    Processes that the user may not signal are ended by the program that made them root's, where it
    asks for no password.
    """
    assert_gone(*ended_as(accounts, user, command, pty=pty))


class OverConnection:
    """A `Remote` that does as much as becoming needs."""

    def __init__(self, connection: Connection, password: str) -> None:
        self.host = connection.ssh.host
        self._connection = connection
        self._password = password

    def login_with(self, login: Login) -> AbstractAsyncContextManager[Remote]:
        raise NotImplementedError

    async def become_password(self, user: str) -> Secret:
        return Secret(self._password)

    def redaction(self) -> None:
        return None

    async def exec(self, request: ExecRequest) -> ExecResult:
        return await self._connection.ssh.exec(request, self._connection.trace, None)

    async def shell(self, script: ShellScript) -> ExecResult:
        raise NotImplementedError

    async def secret(self, source: str) -> Secret | None:
        raise NotImplementedError

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("user", "become"),
    [
        ("admin", Become()),
        ("admin", Become(user="u-sh")),
        ("u-sh", Become(method="su")),
        ("doas-pass", Become(method="doas")),
    ],
)
@pytest.mark.parametrize("name", ["pipeline", "own session", "deaf"])
def test_F48_what_became_another_user_with_a_password_is_gone(accounts, web, user, become, name):
    """
    Where becoming takes a password, ending does too.
    """
    password = accounts.password("root" if become.method == "su" else user)

    async def main():
        async with connected(accounts.model_host(user)) as connection:
            remote = BecomingRemote(OverConnection(connection, password), become)
            running = asyncio.ensure_future(remote.exec(ExecRequest(COMMANDS[name])))
            await until(lambda: "sleep" in programs(accounts))
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert programs(accounts) == [], connection.trace.left
            partial = connection.trace.partial
            assert partial is not None
            assert partial.gone is True

    run_async(main)


@pytest.mark.parametrize("user", ["root", "u-sh"])
@pytest.mark.parametrize("name", COMMANDS)
def test_F48_by_dropbear(accounts, user, name):
    """
    dropbear, which gives commands no session of their own, and delivers no signal as a whole.
    """
    host = accounts.dropbear()
    try:
        assert_gone(*ended_as(accounts, user, COMMANDS[name], host))
    finally:
        accounts.end_sessions(host)


@pytest.mark.parametrize("user", ["root", "u-sh"])
@pytest.mark.parametrize("name", ["pipeline", "own session", "deaf"])
def test_F36_F48_where_one_session_is_all(accounts, user, name):
    """
    With MaxSessions 1 another connection looks; it is closed afterwards.
    """
    host = accounts.host("one-session", MaxSessions="1")

    async def main():
        async with connected(accounts.model_host(user, host)) as connection:
            error = await timed_out(connection, COMMANDS[name])
            return error, programs(accounts, host)

    try:
        assert_gone(*run_async(main))
    finally:
        accounts.end_sessions(host)
