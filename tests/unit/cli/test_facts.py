"""
What is recorded about a run besides its hosts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest

from fleetctl.cli.facts import make_facts, who
from fleetctl.cli.inputs import use_sources
from fleetctl.cli.invocation import Invocation, Repeat
from fleetctl.model.rollout import Rollout, Size
from fleetctl.model.run import Limits, Run
from fleetctl.wiring.inputs import hash_of_inputs

ARGV = ("fleetctl", "run", "web*", "--", "uptime")


def facts(run=None, *, repeat=None, sources=("web1,",), **given):
    invocation = Invocation(ARGV, repeat=repeat)
    with click.Context(click.Command("run"), obj=invocation):
        use_sources(sources)
        return make_facts(
            invocation,
            run or Run("id", "label", []),
            pattern="web*",
            operation_kind="command",
            environ={},
            **given,
        )


def test_who_where_and_with_which_files(tmp_path, monkeypatch):
    """
    All that is needed to give the command line again, and to notice that a file has changed.
    """
    monkeypatch.chdir(tmp_path)
    Path("job.sh").write_text("uptime\n")
    found = facts(files=[("script", "job.sh"), ("script", "missing")])
    assert (found.argv, found.pattern, found.cwd) == (ARGV, "web*", str(tmp_path))
    assert found.pid == os.getpid()
    assert found.operation == {"kind": "command"}
    assert [(one.role, one.path) for one in found.inputs] == [
        ("inventory", "web1,"),
        ("script", "job.sh"),
    ]
    assert found.inventory_hash == hash_of_inputs(found.inputs[:1])
    assert facts(sources=("web2,",)).inventory_hash != found.inventory_hash


def test_the_policy_is_what_is_not_as_usual():
    """
    Limits and rollout in words of JSON; what was not asked for is left out.
    """
    assert facts().policy == {"forks": 100, "retries": 0}
    rollout = Rollout(serial=(Size(10, is_percent=True),), canary=(Size(1),), max_fail=Size(3))
    limits = Limits(forks=5, max_down={"rack": 1}, total_timeout_s=60.0)
    policy = facts(Run("id", "label", [], limits=limits, rollout=rollout), gate="./ok").policy
    assert json.loads(json.dumps(policy)) == {
        "forks": 5,
        "retries": 0,
        "total_timeout_s": 60.0,
        "max_down": {"rack": 1},
        "canary": ["1"],
        "serial": ["10%"],
        "max_fail": "3",
        "gate": "./ok",
    }


@pytest.mark.parametrize(("how", "key"), [("rerun", "rerun_of"), ("resume", "resume_of")])
def test_a_run_that_is_done_again_names_the_other(how, key):
    """
    By that, what was done of the rest of a run is found later, and not done twice.
    """
    told: list = []
    repeat = Repeat(how, "20261121T012233-7f3a", "label", told.append)
    assert facts(repeat=repeat).policy[key] == "20261121T012233-7f3a"
    assert told == [("web1,",)]


def test_whoever_used_sudo_is_named():
    """
    Root is who it was done as, not who did it.
    """
    user = who({})
    assert who({"SUDO_USER": "alice"}) == f"alice ({user})"
    assert who({"SUDO_USER": user}) == user
