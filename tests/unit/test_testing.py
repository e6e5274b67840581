"""
The doubles that users test with do what they say.
"""

from __future__ import annotations

import asyncio
import doctest
import importlib
import pkgutil
import re

import pytest

import fleetctl.testing
from fleetctl.commands.command import Command
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.trace import Trace
from fleetctl.testing import (
    HostScript,
    ScriptedConnector,
    ScriptedRemote,
    exited,
    run_in_virtual_time,
)
from tests.typing import api


def ask(remote: ScriptedRemote, command: str):
    return asyncio.run(remote.exec(ExecRequest(command)))


def test_examples_in_the_docstrings_are_true():
    """
    What the module shows works as it is shown.
    """
    names = {**vars(fleetctl.testing), "asyncio": asyncio, "ExecRequest": ExecRequest}
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.iter_modules(fleetctl.testing.__path__, "fleetctl.testing.")
    ]
    outcomes = [doctest.testmod(module, extraglobs=names) for module in modules]
    assert sum(outcome.attempted for outcome in outcomes) >= 5
    assert not any(outcome.failed for outcome in outcomes)


def test_exact_commands_win_over_patterns():
    """
    A command is looked up as it is first, then patterns are tried in order.
    """
    remote = ScriptedRemote(
        {re.compile("cat .*"): exited(1), "cat /etc/os-release": exited(stdout=b"ID=debian")}
    )
    assert ask(remote, "cat /etc/os-release").stdout == b"ID=debian"
    assert ask(remote, "cat /etc/passwd").exit_status == 1
    assert remote.commands == ["cat /etc/os-release", "cat /etc/passwd"]


def test_answers_may_be_computed_or_raised():
    """
    A function decides from the command; an exception is raised.
    """
    remote = ScriptedRemote(
        {
            re.compile(r"echo .*"): lambda command: exited(stdout=command[5:].encode()),
            "reboot": FleetError("session.lost", "gone"),
        }
    )
    assert ask(remote, "echo hi").stdout == b"hi"
    with pytest.raises(FleetError, match="gone"):
        ask(remote, "reboot")


def test_a_command_that_was_not_foreseen_fails_the_test():
    """
    The message names the command and the nearest one that is scripted.
    """
    remote = ScriptedRemote({"uname -r": exited()})
    with pytest.raises(AssertionError, match=r"'uname -a'; did you mean 'uname -r'\?"):
        ask(remote, "uname -a")


def test_scripts_are_answered_like_commands():
    """
    The login shell's input is looked up in the same way, and recorded.
    """
    remote = ScriptedRemote({re.compile("show.*exit\n", re.DOTALL): exited(stdout=b"v1")})
    script = ShellScript(b"show version\nexit\n")
    assert asyncio.run(remote.shell(script)).stdout == b"v1"
    assert remote.requests == [script]
    assert remote.commands == []


def test_a_host_may_refuse_the_login():
    """
    Then nothing is asked of it.
    """
    remote = ScriptedRemote({}, login_failure=FleetError("auth.denied", "no"))
    for call in (remote.connect(), remote.exec(ExecRequest("id")), remote.shell(ShellScript(b""))):
        with pytest.raises(FleetError, match="no"):
            asyncio.run(call)
    assert remote.requests == []
    assert remote.logins == 1


def test_operations_of_the_product_run_on_it():
    """
    A real operation cannot tell the difference.
    """
    remote = ScriptedRemote({"uptime": exited(3)}, host=Host("web1"))
    outcome = asyncio.run(Command("uptime").run(remote, check=False))
    assert outcome.failure is not None
    assert outcome.failure.message == "exit status 3"


def test_phases_take_their_time_and_fail_in_turn():
    """
    Delays add up on the virtual clock; each entry into a phase takes the next failure.
    """
    dropped = FleetError("connect.dropped", "try again", retryable=True)
    script = HostScript(delays_s={"resolve": 1, "auth": 2}, failures={"kex": [dropped, None]})
    connector = ScriptedConnector({"web1": script})

    async def main() -> tuple[str, float]:
        trace = Trace()
        with pytest.raises(FleetError):
            await connector.connect(Host("web1"), trace, open_session=False)
        failed_in = trace.phase
        await connector.connect(Host("web1"), Trace(), open_session=False)
        return failed_in, asyncio.get_running_loop().time()

    assert run_in_virtual_time(main) == ("kex", 4)
    assert len(connector.links) == 1


def test_a_host_can_be_held_in_a_phase():
    """
    A test decides when a host may go on.
    """

    async def main() -> bool:
        may_log_in = asyncio.Event()
        connector = ScriptedConnector({"web1": HostScript(holds={"auth": may_log_in})})
        task = asyncio.ensure_future(connector.connect(Host("web1"), Trace(), open_session=False))
        await asyncio.sleep(3600)
        was_held = not task.done()
        may_log_in.set()
        await task
        return was_held

    assert run_in_virtual_time(main)


@pytest.mark.parametrize(
    ("failure", "ran", "is_open"),
    [
        (None, "yes", True),
        (FleetError("exec.timeout", "late"), "unknown", True),
        (FleetError("exec.refused", "no"), "no", True),
        (FleetError("session.lost", "reset"), "unknown", False),
        (KeyError("bug"), "unknown", True),
    ],
)
def test_a_scripted_link_tells_the_truth_about_ran(failure, ran, is_open):
    """
    The same values as over SSH, for every way a command can end.
    """
    connector = ScriptedConnector({"web1": HostScript(failures={"command": [failure]})})
    trace = Trace()

    async def main() -> bool:
        link = await connector.connect(Host("web1"), trace, open_session=True)
        try:
            await link.exec(ExecRequest("uptime"), trace, None)
        except (FleetError, KeyError):
            assert failure is not None
        return link.is_open

    assert run_in_virtual_time(main) is is_open
    assert trace.ran == ran
    assert [(r.host, r.command) for r in connector.received] == [("web1", "uptime")]


def test_a_closed_link_runs_nothing():
    """
    Whoever uses a connection that is closed is told so, and nothing is received.
    """
    connector = ScriptedConnector()

    async def main() -> None:
        link = await connector.connect(Host("web1"), Trace(), open_session=True)
        await link.close()
        with pytest.raises(FleetError, match="connection lost"):
            await link.exec(ExecRequest("uptime"), Trace(), None)

    run_in_virtual_time(main)
    assert connector.received == []
    assert [link.closings for link in connector.links] == [1]


def test_a_deadlock_is_an_error_at_once():
    """
    On the virtual clock nothing waits for ever: a test that would hang fails.
    """

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="every task waits"):
        run_in_virtual_time(main)


def test_the_users_code_of_the_type_tests_runs():
    """
    What is type-checked as an example works.
    """
    assert asyncio.run(api.try_one_operation()).data == {"kernel": "6.1.0"}
    results = asyncio.run(api.try_an_engine())
    assert [api.explain(results[name]) for name in ("old", "away", "new")] == [
        "old: kernel 5.10.0 (exec.nonzero), ran: yes",
        "away: closed (connect.refused), ran: no",
        "new: ok, ran: yes",
    ]
    connector = ScriptedConnector({"old": HostScript({"uname -r": exited(stdout=b"5.10.0")})})
    assert asyncio.run(api.failed_hosts(connector, ["old"])) == ["old"]
