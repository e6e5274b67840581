"""
Ending commands of whole runs, as the engine and the command line do it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from dataclasses import replace

import pytest

from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.model.events import HostFinished
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.ssh import ending_hunt as ending_module
from tests.cli.shell import LIMIT_S, started
from tests.fleet.ended import COMMANDS, ended_as, programs, sleepers
from tests.support.drive import connected, connecting, run_async, until
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


def test_cancelled_run_leaves_nothing_on_any_host(accounts, web):
    """
    All commands of a run are ended at once, and each result says that it is gone.
    """
    host = accounts.model_host("u-sh")
    hosts = [replace(host, name=f"web{number:02d}") for number in range(20)]
    run = Run(
        id="1",
        label="sleep",
        assignments=[Assignment(host, Command("sleep 600 | sleep 600")) for host in hosts],
        limits=Limits(forks=len(hosts)),
    )

    async def main():
        async with connecting() as connector:
            engine = LocalEngine(connector)
            try:

                async def end() -> None:
                    await until(lambda: programs(accounts).count("sleep") == 2 * len(hosts))
                    engine.cancel()

                ending = asyncio.ensure_future(end())
                results = [
                    event.result
                    async for event in engine.execute(run)
                    if isinstance(event, HostFinished)
                ]
                await ending
                return results, programs(accounts)
            finally:
                await engine.aclose()

    results, left = run_async(main)
    assert left == []
    outcomes = [result.outcome for result in results]
    assert [outcome.status for outcome in outcomes] == ["cancelled"] * len(hosts)
    assert {outcome.failure.message for outcome in outcomes if outcome.failure} == {
        "the run was interrupted while the command was running; it was ended"
    }
    assert all(outcome.result is not None and outcome.result.gone for outcome in outcomes)


def test_second_interrupt_ends_what_runs_on_hosts(accounts, web):
    """
    Ctrl-C twice, or SIGTERM: the summary comes when nothing runs on the hosts any more.
    """
    inventory = accounts.inventory("u-sh", "root")
    words = ("run", "-i", str(inventory), "all", "--format", "ndjson")
    with started(*words, "--", "trap '' TERM; sleep 600 & sleep 600") as child:
        poll_until_there_are(accounts, 4)
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=LIMIT_S)
        assert programs(accounts) == []
    assert child.returncode == 143
    events = [json.loads(line) for line in out.splitlines()]
    failures = [e["failure"] for e in events if e["event"] == "host.finished"]
    assert {failure["kind"] for failure in failures} == {"run.cancelled"}
    assert all(failure["message"].endswith("it was ended") for failure in failures)


def poll_until_there_are(accounts, count: int) -> None:
    async def main():
        await until(lambda: programs(accounts).count("sleep") == count)

    run_async(main)


# -- hosts that hide processes

HIDDEN = "the host hides processes of other users"


@pytest.fixture
def hiding(accounts):
    """A host on which nobody sees processes of others."""
    host = accounts.host("hiding", sudoers="nosudo ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh\n")
    mount = ("mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc")
    subprocess.run(["nsenter", "-t", str(host.pid), "-m", *mount], check=True)
    yield host
    accounts.end_sessions(host)


@pytest.mark.parametrize("name", COMMANDS)
def test_F48_where_processes_of_others_are_hidden(accounts, hiding, name):
    """
    Neither the server nor init can be seen (hidepid of proc(5)); what the command has in its own
    group is known all the same.
    """
    error, left = ended_as(accounts, "u-sh", COMMANDS[name], hiding)
    assert left == []
    assert error.result is not None
    # In a container whose init waits for nobody, what has ended stays in its group for ever, and
    # cannot be told there from what is hidden.
    is_seen = error.result.gone is True
    assert is_seen or HIDDEN in (error.failure.hint or "")


def test_hidden_processes_are_not_said_to_be_gone(accounts, hiding, monkeypatch):
    """
    What runs as root there cannot be seen, but its group is known to have members.
    """
    monkeypatch.setattr(ending_module, "KILL_GRACE_S", 0.5)
    command = """sudo sh -c 'trap "" TERM HUP; sleep 600; sleep 600' </dev/null"""
    error, left = ended_as(accounts, "nosudo", command, hiding)
    assert "sleep" in left
    assert error.result is not None
    assert error.result.gone is False
    assert HIDDEN in (error.failure.hint or "")


def test_commands_of_others_live_on_where_the_server_is_hidden(accounts, hiding):
    """
    What the connection has started is known by its environment then.
    """

    async def main():
        host = accounts.model_host("u-sh", hiding)
        async with connected(host) as connection, connected(host) as other:
            running = asyncio.ensure_future(other.exec("exec sleep 601"))
            mine = asyncio.ensure_future(connection.exec("exec sleep 602"))
            await until(lambda: sleepers(accounts, hiding) == {"601", "602"})
            mine.cancel()
            await asyncio.wait((mine,))
            assert sleepers(accounts, hiding) == {"601"}
            running.cancel()
            await asyncio.wait((running,))

    run_async(main)
