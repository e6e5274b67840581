"""
What the store has of a run whose controller was killed, or whose disk was full; real processes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleetctl.store.types import StoreLocation
from tests.support.patience import PATIENCE_S
from tests.support.recorded import Place, run_async

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).resolve().parents[2]

#: A controller as small as can be: 60 hosts, 15 at a time; what runs on a host makes a file.
CONTROLLER = """
import asyncio, os, random, sys
from pathlib import Path
from fleetctl.model.events import HostFinished
from fleetctl.store.types import StoreLocation
from tests.support.recorded import FACTS, NOON, Place, make_run, over, web, wrote

state, marks, run_id = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

async def main():
    hosts = web(60)
    run = make_run(run_id, hosts)
    recorder = Place(StoreLocation(state)).recorder()
    await recorder.start(run, FACTS)
    os.write(1, b"started\\n")
    room = asyncio.Semaphore(15)

    async def one(host):
        async with room:
            await recorder.starting(host)
            os.close(os.open(marks / host.name, os.O_CREAT | os.O_EXCL))
            await asyncio.sleep(random.random() / 50)
            result = wrote(host, random.randbytes(300), exit_status=random.choice((0, 0, 1)))
            await recorder.record([HostFinished(result, NOON)])
            os.write(1, host.name.encode() + b"\\n")

    await asyncio.gather(*map(one, hosts))
    await recorder.record([over(run, [])])
    os.write(1, b"over\\n")
    await recorder.finish(0)

asyncio.run(main())
"""


def start(*words, **more):
    return subprocess.Popen([sys.executable, "-c", *map(str, words)], cwd=ROOT, **more)


def test_F73_F80_a_controller_that_is_killed_leaves_a_whole_store(tmp_path, is_full_size):
    """
    Killed at any moment: what was shown is stored, what may have run is never `no`, and the
    database with all runs before is whole.
    """
    place = Place(StoreLocation(tmp_path / "state"))
    dice = random.Random(73)
    states = []
    for number in range(200 if is_full_size else 8):
        run_id = f"20260701T120000-{number:04}"
        marks = tmp_path / run_id
        marks.mkdir()
        with start(
            CONTROLLER, place.location.folder, marks, run_id, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"started\n"
            time.sleep(dice.random() * dice.choice((0.02, 0.1, 0.4)))
            child.kill()
            shown = child.stdout.read().decode().split()
        found, state = run_async(lambda: look(place, run_id))  # noqa: B023 - called at once
        states.append(state)
        for name in shown:
            assert name == "over" or found[name].status is not None, name
        for name in os.listdir(marks):
            assert found[name].ran != "no", name
        assert state == "finished" or "over" not in shown
        assert state == "lost" or all(host.status for host in found.values())
    assert len(states) == len(set(os.listdir(tmp_path))) - 1

    async def check():
        async with place.history() as history:
            assert (await history.verify()).problems == ()
            assert [run.state for run in await history.runs(limit=1000)] == states[::-1]

    run_async(check)


async def look(place, run_id):
    """Return hosts and state of a run; those that have a result have its output."""
    async with place.history() as history:
        run = await history.find(run_id)
        hosts = await history.hosts(run_id)
        for host in hosts:
            if host.status is not None:
                assert len(await history.output(host.stdout)) == 300
        return {host.name: host for host in hosts}, run.state


FULL_DISK = """
import asyncio, json, random, sys
from pathlib import Path
from fleetctl.store import patience
from fleetctl.store.types import HostFilter, StoreLimits, StoreLocation
from tests.support.recorded import FACTS, Place, finished, make_run, over, web, wrote

patience.RETRY_PAUSE_S = 0.0
place = Place(StoreLocation(Path(sys.argv[1]) / "state"), StoreLimits(lock_s=5.0))

async def main():
    hosts = web(60)
    results = [wrote(host, random.randbytes(40_000)) for host in hosts]
    run = make_run("20260701T120000-aa", hosts)
    recorder = place.recorder()
    await recorder.start(run, FACTS)
    for result in results:
        await recorder.starting(result.host)
        await recorder.record(finished([result]))
    await recorder.record([over(run, results)])
    await recorder.finish(0)
    async with place.history() as history:
        there = await history.hosts("last", HostFilter(has_result=True))
        for host in there:
            assert await history.output(host.stdout)
        ran = sorted({host.ran for host in await history.hosts("last")})
        state = (await history.find("last")).state
    report = {"lost": recorder.lost, "warnings": place.warnings, "stored": len(there)}
    print(json.dumps(report | {"ran": ran, "state": state}))

asyncio.run(main())
"""


def test_F78_a_disk_that_is_full_does_not_end_the_run(tmp_path):
    """
    On a file system of 1 MiB: the run goes on, nothing is claimed stored that is not, and the
    store that is left can be read.
    """
    program = tmp_path / "program.py"
    program.write_text(FULL_DISK)
    script = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" "$3" "$1"'
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", disk, sys.executable, program],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert 0 < report["stored"] < 60
    assert f"the results of {60 - report['stored']} hosts are not in the history" in report["lost"]
    assert "the disk is full" in report["lost"]
    assert "the run goes on" in report["warnings"][0]
    assert (report["ran"], report["state"]) in ((["unknown", "yes"], "lost"), (["yes"], "lost"))
