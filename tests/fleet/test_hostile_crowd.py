"""
Tarpits beside good hosts: the good ones finish about as if they were alone (S05).

The promised ratio, 1.3 with 500 of each, is measured by ``benchmarks/hostile.py``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import free_endpoints, write_private
from fleetctl.model.events import HostFinished
from fleetctl.model.host import Host
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.testing import EventRecorder
from tests.support.drive import connecting, run_async
from tests.support.patience import PATIENCE_S, SLACK_S
from tests.support.peer_process import tarpits

pytestmark = pytest.mark.fleet

COUNT = 60
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@contextmanager
def cheap_hosts(fleet, folder: Path, count: int) -> Iterator[list[Host]]:
    """Serve so many hosts by the cheap server, in a process of its own."""
    pair = generate_key()
    write_private(folder / "host_key", pair.private)
    # Far above those of the fleet itself, which counts from the first.
    endpoints = free_endpoints(count, block=99, first=10_000)
    (folder / "listen").write_text("".join(f"{a}:{port}\n" for a, port in endpoints))
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"[{a}]:{port} {pair.public}\n" for a, port in endpoints))
    settings = fleet.settings(fleet.host("web01"), user_known_hosts_files=(str(known_hosts),))
    with subprocess.Popen(
        [
            *(sys.executable, str(BENCHMARKS / "cheap_server.py")),
            *("--listen", str(folder / "listen"), "--host-key", str(folder / "host_key")),
            *("--authorized-key", str(fleet.identity.with_suffix(".pub"))),
        ],
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield [
                Host(f"good{number}", settings=replace(settings, hostname=address, port=port))
                for number, (address, port) in enumerate(endpoints)
            ]
        finally:
            process.terminate()


def execute(hosts: list[Host], good: int, *, forks: int) -> tuple[EventRecorder, float]:
    """Run a command until so many hosts have ended; return the events and how long that took."""

    async def main():
        recorder = EventRecorder()
        took_s = 0.0
        async with connecting() as connector:
            engine = LocalEngine(connector, keep_connections=0)
            run = Run(
                "r1",
                "test",
                [Assignment(host, Command("echo done")) for host in hosts],
                Limits(forks=forks),
            )
            started = monotonic()
            async for event in engine.execute(run):
                recorder.handle(event)
                if len(recorder.of(HostFinished)) == good and not took_s:
                    took_s = monotonic() - started
                    engine.cancel()
            await engine.aclose()
        return recorder, took_s

    return run_async(main)


@pytest.mark.parametrize("forks", [10, 100])
def test_S05_tarpits_do_not_slow_down_good_hosts(fleet, tmp_path, forks):
    """
    Sixty hosts beside sixty tarpits of five kinds all finish before the first tarpit is given up,
    and need a small multiple of the time that they need alone.
    """
    with cheap_hosts(fleet, tmp_path, COUNT) as good, tarpits(COUNT) as endpoints:
        bad = [
            replace(
                good[0],
                name=f"tar{number}",
                settings=replace(
                    good[0].settings, hostname=address, port=port, connect_timeout_s=PATIENCE_S
                ),
            )
            for number, (address, port) in enumerate(endpoints)
        ]
        execute(good, COUNT, forks=forks)
        alone, alone_s = execute(good, COUNT, forks=forks)
        mixed = [host for pair in zip(bad, good, strict=True) for host in pair]
        together, together_s = execute(mixed, COUNT, forks=forks)
    assert {result.outcome.status for result in alone.results.values()} == {"ok"}
    first = [event.result for event in together.of(HostFinished)][:COUNT]
    assert {result.host.name for result in first} == {host.name for host in good}
    assert {result.outcome.status for result in first} == {"ok"}
    assert len(together.results) == 2 * COUNT
    assert together_s < 10 * alone_s + SLACK_S / 4
