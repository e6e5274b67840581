"""
A hundred hosts at once: commands that are ended leave nothing, shells end as their scripts say.

The hundred are names of a few daemons: what is proved is about sessions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.lab.processes import process_table
from fleetctl.model.events import HostFinished
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.ssh import ending_hunt
from tests.cli.shell import fleetctl
from tests.support.accounts import Accounts
from tests.support.drive import connecting, run_async
from tests.support.fleet import Fleet
from tests.support.patience import PATIENCE_S, SLACK_S, at_some_pace

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

COUNT = 100
SHELLS = ("sh", "dash", "bash", "ash", "ksh", "zsh", "csh", "tcsh", "fish")


@dataclass(frozen=True)
class Crowd:
    """
    A hundred hosts.

    Attributes:
        hosts: As the engine takes them.
        inventory: Writes an inventory of them and returns its path.
        sessions: Finds all processes of everybody logged in to any of them.
    """

    hosts: Sequence[Host]
    inventory: Callable[[], Path]
    sessions: Callable[[], set[int]]


def roots(fleet: Fleet) -> Crowd:
    """Return 100 names of 5 hosts, as root."""
    few = fleet.hosts(5)
    names = [replace(few[n % 5], name=f"crowd{n:03d}") for n in range(COUNT)]
    return Crowd(
        hosts=[fleet.model_host(name) for name in names],
        inventory=lambda: fleet.inventory(names),
        sessions=lambda: set().union(*map(fleet.sessions, few)),
    )


def users(accounts: Accounts) -> Crowd:
    """Return 100 names of one host, as users of every login shell."""
    names = {f"crowd{n:03d}": f"u-{SHELLS[n % len(SHELLS)]}" for n in range(COUNT)}
    return Crowd(
        hosts=[replace(accounts.model_host(user), name=name) for name, user in names.items()],
        inventory=lambda: accounts.inventory(names=names),
        sessions=accounts.sessions,
    )


def running(pids: set[int], *words: str) -> list[str]:
    """Return those of the processes whose command line has one of the words."""
    table = [process for process in process_table() if process.pid in pids]
    return [p.command for p in table if any(word in p.command.split() for word in words)]


#: A pipeline in the background, and one in front; in words of which no other test leaves anything.
LINE = "sleep 6007 | head -c 6007 & sleep 6007 | head -c 6007"
OWN_WORDS = ("6007",)


@pytest.mark.parametrize("who", [roots, users])
def test_F48_commands_whose_time_is_over_leave_no_process(fleet, accounts, who, monkeypatch):
    """
    ``sleep 600`` on 100 hosts at once with a limit of 2 s: each result says that the time was over
    and that the command is gone, and so it is when the run ends, on each host.

    As root, whom sshd gives no signals for, and as users of every login shell. One machine that
    stands for a hundred may take its time.
    """
    monkeypatch.setattr(ending_hunt, "LIMIT_S", PATIENCE_S)
    monkeypatch.setattr(ending_hunt, "KILL_GRACE_S", SLACK_S)
    monkeypatch.setattr(ending_hunt, "SHELL_HASTE_S", PATIENCE_S)
    crowd = who(fleet if who is roots else accounts)
    assignments = [Assignment(host, Command(LINE, timeout_s=2)) for host in crowd.hosts]

    async def main() -> tuple[list[HostResult], list[str]]:
        async with connecting() as connector:
            engine = LocalEngine(connector, keep_connections=0)
            run = Run("r1", "crowd", assignments, limits=Limits(forks=COUNT))
            events = [event async for event in engine.execute(run)]
            left = running(crowd.sessions(), *OWN_WORDS)
            await engine.aclose()
        return [event.result for event in events if isinstance(event, HostFinished)], left

    results, left = run_async(main)
    outcomes = [result.outcome for result in results]
    assert len(outcomes) == COUNT
    assert {outcome.failure.kind for outcome in outcomes if outcome.failure} == {"exec.timeout"}
    assert {outcome.result.gone for outcome in outcomes if outcome.result} == {True}, [
        outcome.failure for outcome in outcomes if outcome.result and not outcome.result.gone
    ]
    assert left == []


@pytest.mark.parametrize("who", [roots, users])
def test_F48_the_time_limit_of_the_command_line_leaves_no_process(
    fleet, accounts, who, is_full_size
):
    """
    The same with ``fleetctl run --timeout 2``. A result that says the command is gone is true.

    Here 10 hosts; at full size 100.
    """
    crowd = who(fleet if who is roots else accounts)
    pattern = "crowd*" if is_full_size else "crowd00*"
    words = ("-i", str(crowd.inventory()), pattern, "--timeout", "2", "--format", "json")

    def check(_pace):
        done = fleetctl("run", *words, "--", LINE)
        left = running(crowd.sessions(), *OWN_WORDS)
        assert done.code == 1, done.err
        results = done.results().values()
        kinds = {(result["failure"] or {}).get("kind") for result in results}
        assert (len(results), kinds) == (COUNT if is_full_size else 10, {"exec.timeout"})
        assert {result["gone"] for result in results} == {True}
        assert left == []

    at_some_pace(check)


@pytest.mark.parametrize("who", [roots, users])
@pytest.mark.parametrize("options", [(), ("--pty",)], ids=["no-pty", "pty"])
def test_shells_fed_with_a_script_end_as_it_says(fleet, accounts, who, options):
    """
    ``ls /; exit 3`` as the input of 100 login shells, of every kind: each lists the directory and
    ends with 3.
    """
    inventory = who(fleet if who is roots else accounts).inventory()
    words = ("-i", str(inventory), "crowd*", *options, "--script", "-", "--format", "json")
    done = fleetctl("shell", *words, stdin=b"ls /; exit 3\n")
    assert done.code == 1, done.err
    results = done.results()
    assert {result["exit_status"] for result in results.values()} == {3}
    assert len(results) == COUNT
    listing = {name for name in os.listdir("/") if not name.startswith(".")}
    for name, result in results.items():
        # On a terminal, fish switches modes of it, and has ls mark directories and links.
        text = re.sub(r"\x1b\[[?\d;]*[a-z]", " ", result["stdout"])
        shown = {word.rstrip("/@*") for word in text.split()}
        assert listing <= shown, name
