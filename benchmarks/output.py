"""
Measure what a host costs between the network and the screen, in a small run and in a large one.

    python benchmarks/output.py --hosts 10000 --base 1000 --runs 3

Hosts follow a script, so what is left is ours: engine, events, sinks. A half percent of them print
something else, one in a hundred fails. Each measurement is a process of its own, whose output goes
to a file, in memory where there is /dev/shm: what a disk costs is not ours. Printed is the CPU per
host in milliseconds, best of the runs, without start-up, and the peak of resident memory. Aims: in
the large run at most 1.25 times the CPU per host of the small one, and less than 400 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from fleetctl import wiring
from fleetctl.cli.drive import Drive
from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.testing import HostScript, ScriptedConnector

MOST_RATIO = 1.25
MOST_MIB = 400
#: Where files lie.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
#: What is measured: formats, and gather with more to do.
SCENARIOS = {
    "gather": {"format": "gather"},
    "gather --compare": {"format": "gather", "compare": True},
    "gather, live view": {"format": "gather", "terminal": True},
    "gather, every output different": {"format": "gather", "distinct": True},
    "gather --compare, terminal, every output different": {
        "format": "gather",
        "compare": True,
        "terminal": True,
        "distinct": True,
    },
    "gather --output-dir": {"format": "gather", "folder": True},
    "stream": {"format": "stream"},
    "oneline": {"format": "oneline"},
    "table": {"format": "table"},
    "csv": {"format": "csv"},
    "junit": {"format": "junit"},
    "json": {"format": "json"},
    "ndjson": {"format": "ndjson"},
}

_ANY_COMMAND = re.compile(".*", re.DOTALL)
_LINES = b"".join(b"line %d of what an ordinary host prints\n" % n for n in range(20))


class Terminal:
    """A text stream that says it is a terminal, and is a file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding
        self.buffer = stream.buffer

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


def script_of(number: int, *, distinct: bool) -> HostScript:
    """Return what a host does: most agree, some differ, some fail."""
    text = _LINES
    if distinct or number % 200 == 7:
        text += b"host %d\n" % number
    failing = number % 100 == 3
    errors = b"no such file\n" if failing else b""
    result = ExecResult(
        exit_status=3 if failing else 0,
        stdout=text,
        stderr=errors,
        stdout_bytes=len(text),
        stderr_bytes=len(errors),
    )
    return HostScript(answers={_ANY_COMMAND: result}, delays_s={"command": 0.001})


def measure_here(scenario: str, hosts: int, folder: str) -> dict[str, float]:
    """Run the scenario in this process; return seconds of CPU and MiB at the peak."""
    what = SCENARIOS[scenario]
    all_hosts = [Host(f"node{number:05}.example.com") for number in range(hosts)]
    distinct = bool(what.get("distinct"))
    scripts = {
        host.name: script_of(number, distinct=distinct) for number, host in enumerate(all_hosts)
    }
    view = wiring.View(
        format=what["format"],
        argv=("fleetctl", "run", "all", "--", "x"),
        pattern="all",
        compare=bool(what.get("compare")),
        output_dir=os.path.join(folder, "out") if what.get("folder") else None,
    )
    run = Run(
        "20261121T012233-7f3a",
        "benchmark",
        [Assignment(host, Command("x")) for host in all_hosts],
        Limits(forks=100),
    )
    with open(os.devnull, "w", encoding="utf-8") as errors:
        stderr = Terminal(errors) if what.get("terminal") else errors
        before_s = time.process_time()
        stdout = Terminal(sys.stdout) if what.get("terminal") else sys.stdout
        screen = wiring.Screen(view, stdout=stdout, stderr=stderr, environ={"TERM": "xterm"})

        async def main() -> None:
            engine = LocalEngine(
                ScriptedConnector(scripts),
                keep_connections=0,
                live_output=screen.wants_live_output,
            )
            drive = Drive(engine, screen, fold=wiring.fold, writing=screen.outlets)
            await drive.execute(run)
            await engine.aclose()

        wiring.run_loop(main)
        cpu_s = time.process_time() - before_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": cpu_s, "peak_mib": peak_mib}


def measure(scenario: str, hosts: int, runs: int) -> tuple[float, float]:
    """Return milliseconds of CPU per host, best of the runs, and MiB at the highest peak."""
    costs, peaks = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            shown, said = Path(folder, "shown"), Path(folder, "said")
            argv = [sys.executable, __file__, "--child", scenario, "--hosts", str(hosts)]
            argv += ["--folder", folder, "--said", str(said)]
            with shown.open("wb") as out:
                subprocess.run(argv, stdout=out, check=True)
            found = json.loads(said.read_text())
        costs.append(1000 * found["cpu_s"] / hosts)
        peaks.append(found["peak_mib"])
    return min(costs), max(peaks)


def main() -> int:
    """Return 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--base", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=SCENARIOS, action="append")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--said", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        Path(given.said).write_text(
            json.dumps(measure_here(given.child, given.hosts, given.folder))
        )
        return 0
    print(f"| view | {given.base} hosts | {given.hosts} hosts | ratio | peak |")
    print("|---|---|---|---|---|", flush=True)
    missed = 0
    for scenario in given.only or SCENARIOS:
        small, _ = measure(scenario, given.base, given.runs)
        large, peak = measure(scenario, given.hosts, given.runs)
        is_missed = large / small > MOST_RATIO or peak > MOST_MIB
        missed += is_missed
        print(
            f"| {scenario} | {small:.3f} ms | {large:.3f} ms | {large / small:.2f} "
            f"| {peak:.0f} MiB |{' missed' if is_missed else ''}",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
