"""
What it costs to keep known secrets out of what is shown: ``.venv/bin/python benchmarks/redact.py``.

    python benchmarks/redact.py --runs 5

Three tables. The first is the search alone, in milliseconds of CPU per MiB, on log lines, base64
and random bytes, as a whole and in pieces of 32 KiB. The second is a run of many hosts that follow
a script and write 100 bytes each: engine, events and sinks, no network. The third is
``fleetctl run`` over SSH, start-up included, on four hosts that write 16 MiB each; it needs sshd
and ssh-keygen. Runs with and without secrets take turns. Aim: at most a tenth more with five.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from fleet import Workspace, run_sshd
from measure import run_measured

from fleetctl import wiring
from fleetctl.cli.drive import Drive
from fleetctl.commands.command import Command
from fleetctl.engine.local import LocalEngine
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.model.secret import Secret
from fleetctl.sinks.redact import RedactedStream, Redactor
from fleetctl.testing import HostScript, ScriptedConnector

COUNTS = (1, 5, 50, 1000)
#: In the runs: on a command line there are rarely more.
RUN_COUNTS = (0, 1, 5, 50)
MIB = 1024 * 1024
PIECE_BYTES = 32 * 1024
SMALL_HOSTS, SMALL_BYTES = 10_000, 100
LARGE_HOSTS, LARGE_BYTES = 4, 16 * MIB
MOST_MORE = 0.10
TIMEOUT_S = 120.0

_ANY_COMMAND = re.compile(".*", re.DOTALL)
_PROGRAM = (sys.executable, "-m", "fleetctl")


def passwords(count: int) -> list[str]:
    """Return passwords as a manager of passwords makes them."""
    chance = random.Random(1)
    letters = string.ascii_letters + string.digits + "-_!"
    return ["".join(chance.choices(letters, k=14)) for _ in range(count)]


def log_lines(size: int) -> bytes:
    """Return lines as in a system's log."""
    chance = random.Random(2)
    words = ["".join(chance.choices(string.ascii_lowercase, k=k % 8 + 2)) for k in range(999)]
    lines: list[str] = []
    written = 0
    while written < size:
        text = " ".join(chance.choices(words, k=9))
        lines.append(
            f"Nov 21 20:{chance.randrange(60):02} web{chance.randrange(99)} sshd: {text}\n"
        )
        written += len(lines[-1])
    return "".join(lines).encode()[:size]


def redactor_of(count: int) -> Redactor:
    redactor = Redactor()
    redactor.add(*map(Secret, passwords(count)))
    redactor.data(b"x")  # the automata are made here
    return redactor


def cpu_ms(work: Callable[[], object], runs: int) -> float:
    """Return the CPU of the fastest run, in milliseconds."""
    found = []
    for _ in range(runs):
        before_s = time.process_time()
        work()
        found.append(time.process_time() - before_s)
    return 1000 * min(found)


def show_search(runs: int) -> None:
    """Print the search alone."""
    kinds = {
        "log lines": log_lines(MIB),
        "base64": base64.b64encode(random.Random(3).randbytes(MIB * 3 // 4)),
        "random bytes": random.Random(3).randbytes(MIB),
    }
    print(
        "| secrets | " + " | ".join(f"{kind}, whole / pieces" for kind in kinds) + " | 100 bytes |"
    )
    print("|---" * (len(kinds) + 2) + "|", flush=True)
    for count in COUNTS:
        redactor = redactor_of(count)
        cells = [_search_cell(redactor, data, runs) for data in kinds.values()]
        small = kinds["log lines"][:SMALL_BYTES]
        one = cpu_ms(partial(_repeat, redactor.data, [small] * 1000), runs)
        print(f"| {count} | {' | '.join(cells)} | {one:.1f} µs |", flush=True)


def _search_cell(redactor: Redactor, data: bytes, runs: int) -> str:
    pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
    whole = cpu_ms(partial(redactor.data, data), runs)
    cut = cpu_ms(partial(_repeat, RedactedStream(redactor).add, pieces), runs)
    return f"{whole:.2f} / {cut:.2f} ms"


def _repeat(work: Callable[[bytes], object], given: Sequence[bytes]) -> None:
    for data in given:
        work(data)


def measure_small(count: int) -> float:
    """Return the CPU of a run of many small outputs in this process, in milliseconds per host."""
    hosts = [Host(f"node{number:05}.example.com") for number in range(SMALL_HOSTS)]
    lines = log_lines(SMALL_BYTES * SMALL_HOSTS)
    scripts = {}
    for number, host in enumerate(hosts):
        text = lines[SMALL_BYTES * number : SMALL_BYTES * (number + 1)]
        result = ExecResult(exit_status=0, stdout=text, stdout_bytes=len(text))
        scripts[host.name] = HostScript(answers={_ANY_COMMAND: result}, delays_s={"command": 0.001})
    run = Run("bench", "bench", [Assignment(host, Command("x")) for host in hosts], Limits(100))
    redactor = Redactor()
    redactor.add(*map(Secret, passwords(count)))
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        before_s = time.process_time()
        screen = wiring.Screen(
            wiring.View(format="stream"),
            stdout=nothing,
            stderr=nothing,
            environ={},
            redactor=redactor,
        )

        async def main() -> None:
            engine = LocalEngine(ScriptedConnector(scripts), keep_connections=0, live_output=True)
            drive = Drive(engine, screen, fold=wiring.fold, writing=screen.outlets)
            await drive.execute(run)
            await engine.aclose()

        wiring.run_loop(main)
        return 1000 * (time.process_time() - before_s) / SMALL_HOSTS


def show_small(runs: int) -> list[float]:
    """Print the runs of many small outputs; return what five secrets add to the CPU."""

    def measure(count: int) -> float:
        argv = [sys.executable, __file__, "--child", str(count)]
        return float(json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout))

    return _show_runs(measure, runs, "ms", f"{SMALL_HOSTS} hosts, {SMALL_BYTES} bytes each, stream")


def show_large(runs: int) -> list[float]:
    """Print the runs of few large outputs over SSH; return what five secrets add to the CPU."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.create_keys()
        content = workspace.directory / "content"
        content.write_bytes(log_lines(LARGE_BYTES))
        for number, password in enumerate(passwords(max(RUN_COUNTS))):
            secret = workspace.directory / f"secret{number}"
            secret.write_text(password)
            secret.chmod(0o600)
        hosts = workspace.describe_hosts(
            "large", workspace.addresses(LARGE_HOSTS, 1), workspace.free_port()
        )
        with run_sshd(workspace, hosts):
            for form in ("gather", "stream", "ndjson"):

                def measure(count: int, form: str = form) -> float:
                    return _measure_large(workspace, hosts.inventory, content, form, count)

                title = f"{LARGE_HOSTS} hosts, {LARGE_BYTES // MIB} MiB each, {form}, over SSH"
                missed += _show_runs(measure, runs, "ms per MiB", title)
    return missed


def _measure_large(
    workspace: Workspace, inventory: Path, content: Path, form: str, count: int
) -> float:
    secrets = [f"--prompt=answer {n}=file:{workspace.directory}/secret{n}" for n in range(count)]
    argv = [*_PROGRAM, "run", "-i", str(inventory), "all", "--format", form, "--no-progress"]
    argv += ["--max-output", f"{LARGE_BYTES + 1}", *secrets, "--", f"cat {content}"]
    home = str(workspace.directory / "home")
    env = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8"}
    out, err = workspace.directory / "out", workspace.directory / "err"
    done = run_measured(argv, env, out, err, TIMEOUT_S)
    assert done.exit_code == 0, err.read_text()
    return 1000 * done.cpu_s / (LARGE_HOSTS * LARGE_BYTES / MIB)


def _show_runs(measure: Callable[[int], float], runs: int, unit: str, title: str) -> list[float]:
    found: dict[int, list[float]] = {count: [] for count in RUN_COUNTS}
    for _ in range(runs):
        for count in RUN_COUNTS:
            found[count].append(measure(count))
    best = {count: min(values) for count, values in found.items()}
    more = {count: best[count] / best[0] - 1 for count in RUN_COUNTS[1:]}
    cells = [f"{best[0]:.3f} {unit}", *(f"{best[c]:.3f} ({more[c]:+.0%})" for c in RUN_COUNTS[1:])]
    print(f"| {title} | {' | '.join(cells)} |", flush=True)
    return [more[5]]


def main(words: Sequence[str] | None = None) -> int:
    """Return 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.child is not None:
        print(json.dumps(measure_small(given.child)))
        return 0
    show_search(given.runs)
    print("\n| run | no secret | " + " | ".join(map(str, RUN_COUNTS[1:])) + " |")
    print("|---" * (len(RUN_COUNTS) + 1) + "|", flush=True)
    more = show_small(given.runs) + show_large(given.runs)
    return int(max(more) > MOST_MORE)


if __name__ == "__main__":
    sys.exit(main())
