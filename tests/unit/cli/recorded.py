"""
Runs in the history, put there through the store's own recorder.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta

from fleetctl.cli.perform import render_label
from fleetctl.cli.state import state_directory
from fleetctl.model.events import HostFinished, Notice, RunFinished, RunStarted
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult, HostResult, Outcome, PhaseTimes, Ran
from fleetctl.model.run import Assignment, Run
from fleetctl.ssh.loop import run_loop
from fleetctl.store.types import RunFacts
from fleetctl.wiring.history import make_recorder
from fleetctl.wiring.inputs import hash_of_inputs, inventory_inputs
from tests.unit.cli.fakes import failure, nonzero, ok

HOSTS = "web[1-4],"
#: Its command may have left, and there is no result.
STARTED = "started"
#: It was not even started.
WAITING = "waiting"

MIXED = {"web1": ok(), "web2": nonzero(3), "web3": failure("auth.denied"), "web4": ok(b"down\n")}

__all__ = ["HOSTS", "MIXED", "STARTED", "WAITING", "evil", "record", "run_id"]


def run_id(number=1):
    return f"20261121T0122{32 + number:02}-000{number}"


def record(
    outcomes,
    *,
    number=1,
    argv=None,
    pattern="web*",
    sources=(HOSTS,),
    policy=None,
    label=None,
    notices=(),
    inputs=(),
    ends=True,
):
    """
    Record one run: host -> outcome, `STARTED` or `WAITING`; return its id.

    Without an end it is as after kill -9 of whoever ran it.
    """
    argv = argv or ("fleetctl", "run", "-i", sources[0], pattern, "--", "uptime")
    found = (*inventory_inputs(sources), *inputs)
    facts = RunFacts(
        argv=tuple(argv),
        pattern=pattern,
        cwd=os.getcwd(),
        user="alice",
        controller="ctl",
        pid=4711,
        version="0.1.0",
        inputs=found,
        inventory_hash=hash_of_inputs(found),
        policy=policy or {"forks": 100, "retries": 0},
        operation={"kind": "command", "words": ["uptime"]},
    )
    hosts = {name: Host(name) for name in outcomes}
    at = datetime.now(UTC) + timedelta(seconds=0.1)
    run = Run(
        run_id(number),
        label or render_label(argv),
        [Assignment(host, None) for host in hosts.values()],  # type: ignore[arg-type]
    )

    async def main():
        recorder = make_recorder(state_directory(os.environ))
        await recorder.start(run, facts)
        await recorder.record([RunStarted(run.id, run.label, tuple(hosts.values()), at)])
        for name, outcome in outcomes.items():
            if outcome != WAITING:
                await recorder.starting(hosts[name])
        results = [
            HostFinished(_result(hosts[name], outcome, at), at + timedelta(seconds=0.2))
            for name, outcome in outcomes.items()
            if isinstance(outcome, Outcome)
        ]
        told = [Notice("retry", text, at, host=next(iter(hosts.values()))) for text in notices]
        counts = Counter[str](each.result.outcome.status for each in results)
        end = [RunFinished(run.id, at + timedelta(seconds=1), 1.0, counts)] if ends else []
        await recorder.record([*told, *results, *end])
        await recorder.finish(exit_code=0 if ends else None)
        assert recorder.lost is None

    run_loop(main)
    return run.id


def _result(host, outcome, at):
    ran: Ran = "yes" if outcome.result is not None else "no"
    phases = PhaseTimes(0.001, 0.002, 0.03, 0.04, 0.005, 0.1 if ran == "yes" else None)
    return HostResult(
        host,
        outcome,
        ran=ran,
        started_at=None if outcome.status == "cancelled" else at,
        duration_s=0.2,
        phases=phases,
        attempts=1,
        address="127.0.0.2",
    )


def evil(text):
    """An outcome with the text wherever a host can put one."""
    run = ExecResult(
        1,
        stdout=text.encode(errors="surrogateescape"),
        stderr=text.encode(errors="surrogateescape"),
        stdout_bytes=len(text.encode(errors="surrogateescape")),
        stderr_bytes=len(text.encode(errors="surrogateescape")),
    )
    return Outcome("failed", result=run, failure=Failure("exec.nonzero", text, hint=text))
