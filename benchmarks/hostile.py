"""
What hostile peers cost: time beyond the deadline, CPU and memory of each; 500 tarpits beside 500.

    python benchmarks/hostile.py [--tries N] [--deadline S] [--count N] [--forks N]
        [--server cheap|sshd] [--skip peers|crowd]

By hand, on a machine that does nothing else: the promised numbers are 0.5 s beyond the deadline,
0.1 s of CPU and 1 MiB a peer; good hosts within 1.3 of their time alone. Peers and servers run as
child processes, so that CPU and memory are the client's alone. Prints two tables in Markdown.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from fleet import Hosts, Workspace, run_cheap_server, run_sshd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fleetctl.commands.command import Command  # noqa: E402
from fleetctl.engine.local import LocalEngine  # noqa: E402
from fleetctl.model.errors import FleetError  # noqa: E402
from fleetctl.model.events import HostFinished  # noqa: E402
from fleetctl.model.host import Host  # noqa: E402
from fleetctl.model.run import Assignment, Limits, Run  # noqa: E402
from fleetctl.model.settings import HostSettings  # noqa: E402
from fleetctl.model.trace import Trace  # noqa: E402
from fleetctl.ssh.connector import SshConnector  # noqa: E402
from fleetctl.ssh.loop import run_loop  # noqa: E402

PEERS = "tests.support.peer_process"


class NoSecrets:
    """Has none; nobody here gets as far as a password."""

    async def password(self, host: object, user: str) -> None:
        return None

    async def passphrase(self, path: str, attempt: int) -> None:
        return None

    async def answers(self, host: object, user: str, challenge: object) -> None:
        return None


@dataclass(frozen=True)
class Cost:
    """What one connect to one peer cost; ``peak_bytes`` is 0 where it was not measured."""

    kind: str
    wall_s: float
    cpu_s: float
    peak_bytes: int = 0


@contextmanager
def play(*arguments: str) -> Iterator[object]:
    """Run peers in a child process; yield the endpoints it prints."""
    with subprocess.Popen(
        [sys.executable, "-m", PEERS, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def peer_kinds() -> list[str]:
    """The names of all peers there are."""
    code = (
        "from tests.support.lies import LIES; from tests.support.peers import SCRIPTS;"
        "print(*SCRIPTS, *LIES)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def stranger(endpoint: Sequence[object], deadline_s: float) -> Host:
    address, port = endpoint
    assert isinstance(address, str)
    assert isinstance(port, int)
    return Host(
        "peer",
        settings=HostSettings(
            hostname=address,
            port=port,
            user="somebody",
            identity_agent="none",
            connect_timeout_s=deadline_s,
            user_known_hosts_files=(),
            global_known_hosts_files=(),
            strict_host_key_checking="yes",
        ),
    )


async def meet(connector: SshConnector, host: Host, *, trace_memory: bool = False) -> Cost:
    """Connect to a peer that lets nobody in."""
    gc.collect()
    before = 0
    if trace_memory:
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
    kind = "none"
    cpu_s, began = time.thread_time(), time.monotonic()
    try:
        await connector.connect(host, Trace(), open_session=True)
    except FleetError as error:
        kind = error.kind
    wall_s, cpu_s = time.monotonic() - began, time.thread_time() - cpu_s
    peak = 0
    if trace_memory:
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    return Cost(kind, wall_s, cpu_s, peak)


def measure_peers(tries: int, deadline_s: float) -> None:
    """Print a line for each peer: kind, worst lateness, CPU median and worst, peak memory."""
    kinds = peer_kinds()

    async def main(endpoints: dict[str, Sequence[object]]) -> None:
        connector = SshConnector(secrets=NoSecrets())
        await meet(connector, stranger(endpoints["http"], deadline_s))
        print("| peer | ends as | at most s | of deadline s | CPU ms: median | worst | peak KiB |")
        print("|---|---|---|---|---|---|---|")
        for kind in kinds:
            host = stranger(endpoints[kind], deadline_s)
            costs = [await meet(connector, host) for _ in range(tries)]
            peak = (await meet(connector, host, trace_memory=True)).peak_bytes
            cpu_ms = [1000 * cost.cpu_s for cost in costs]
            ends = "/".join(sorted({cost.kind for cost in costs}))
            print(
                f"| {kind} | {ends} | {max(cost.wall_s for cost in costs):.3f} | {deadline_s:g} |"
                f" {median(cpu_ms):.1f} | {max(cpu_ms):.1f} | {peak / 1024:.0f} |",
                flush=True,
            )
        await connector.aclose()

    with play("peers", *kinds) as endpoints:
        assert isinstance(endpoints, dict)
        run_loop(lambda: main(endpoints))


async def run_all(hosts: Sequence[Host], good: int, forks: int) -> tuple[float, float, int]:
    """Return when the good hosts were done, when all were, and how many good ones were ok."""
    connector = SshConnector(secrets=NoSecrets())
    engine = LocalEngine(connector, keep_connections=0)
    assignments = [Assignment(host, Command("echo done")) for host in hosts]
    done = ok = 0
    good_s = 0.0
    began = time.monotonic()
    async for event in engine.execute(Run("r1", "bench", assignments, Limits(forks=forks))):
        if isinstance(event, HostFinished) and event.result.host.name.startswith("good"):
            done += 1
            ok += event.result.outcome.status == "ok"
            if done == good:
                good_s = time.monotonic() - began
    total_s = time.monotonic() - began
    await engine.aclose()
    await connector.aclose()
    return good_s, total_s, ok


def good_hosts(hosts: Hosts, deadline_s: float) -> list[Host]:
    settings = HostSettings(
        hostname="",
        port=hosts.port,
        user=hosts.user,
        identity_files=(str(hosts.key),),
        identity_agent="none",
        connect_timeout_s=deadline_s,
        user_known_hosts_files=(str(hosts.known_hosts),),
        global_known_hosts_files=(),
        strict_host_key_checking="yes",
    )
    return [
        Host(f"good{number}", settings=replace(settings, hostname=address))
        for number, address in enumerate(hosts.addresses)
    ]


def measure_crowd(count: int, tries: int, deadline_s: float, forks: int, server: str) -> None:
    """Print the time good hosts need alone and beside as many tarpits."""
    print(f"\n| {count} good hosts, {server}, {forks} forks | done after s | all after s | ok |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        workspace = Workspace(Path(directory))
        workspace.create_keys()
        hosts = workspace.describe_hosts(
            "good", workspace.addresses(count, 0), workspace.free_port()
        )
        serve = run_cheap_server if server == "cheap" else run_sshd
        with serve(workspace, hosts), play("tarpits", "127.0.0.1", str(count)) as pits:
            assert isinstance(pits, list)
            good = good_hosts(hosts, deadline_s)
            bad = [
                replace(stranger(pit, deadline_s), name=f"tar{number}")
                for number, pit in enumerate(pits)
            ]
            mixed = [host for pair in zip(bad, good, strict=True) for host in pair]
            results: dict[str, list[tuple[float, float, int]]] = {"alone": [], "beside tarpits": []}
            for _ in range(tries):
                for label, chosen in (("alone", good), ("beside tarpits", mixed)):
                    results[label].append(
                        run_loop(lambda chosen=chosen: run_all(chosen, count, forks))
                    )
    for label, times in results.items():
        done, total, ok = (median(column) for column in zip(*times, strict=True))
        print(f"| {label} | {done:.2f} | {total:.2f} | {ok:.0f} |")
    ratio = median(t[0] for t in results["beside tarpits"]) / median(t[0] for t in results["alone"])
    print(f"\nratio: {ratio:.2f}", flush=True)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--deadline", type=float, default=5.0, help="seconds")
    parser.add_argument("--count", type=int, default=500, help="tarpits, and good hosts")
    parser.add_argument("--forks", type=int, default=100)
    parser.add_argument("--server", choices=("cheap", "sshd"), default="cheap", help="good hosts")
    parser.add_argument("--skip", choices=("peers", "crowd"))
    chosen = parser.parse_args()
    if chosen.skip != "peers":
        measure_peers(chosen.tries, chosen.deadline)
    if chosen.skip != "crowd":
        measure_crowd(chosen.count, chosen.tries, chosen.deadline, chosen.forks, chosen.server)


if __name__ == "__main__":
    main()
