"""
What the benchmark has measured, as Markdown tables and as JSON.

Only sums up and prints; see `bench` for what is measured and how.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

PRODUCT_NAME = "fleetctl"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """
    One run of one tool.

    Attributes:
        problem: Why the run does not count; empty if every result was right.
        foreign_cpu: Share of all cores that was neither the tool's nor the servers'.
        round_trips: As the relay counted them, the median of all connections; 0 without relay.
    """

    scenario: str
    tool: str
    hosts: int
    wall_s: float
    cpu_s: float
    server_cpu_s: float
    largest_rss_bytes: int
    tree_rss_bytes: int
    foreign_cpu: float
    round_trips: float
    problem: str


@dataclass(frozen=True)
class IdleRun:
    """500 connections doing nothing, once; ``cpu_s`` is the client's over ``held_s`` seconds."""

    tool: str
    connections: int
    held_s: float
    cpu_s: float
    threads: int


def _spread(values: Sequence[float], form: str) -> str:
    middle, low, high = (format(f(values), form) for f in (median, min, max))
    return f"{middle} ({low}-{high})" if len(values) > 1 else middle


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_tool(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each tool, in the order the tools first ran."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run.tool, []).append(run)
    return grouped


def table(runs: Sequence[Run]) -> str:
    """One table: all tools on the same hosts."""
    rows = []
    for tool, all_runs in by_tool(runs).items():
        right = [run for run in all_runs if not run.problem]
        if len(right) < len(all_runs):
            problem = next(run.problem for run in all_runs if run.problem)
            rows.append([tool, f"WRONG: {problem}", *[""] * 7])
            continue
        ms_per_host = [1000 / run.hosts for run in right]
        client = [run.cpu_s * ms for run, ms in zip(right, ms_per_host, strict=True)]
        server = [run.server_cpu_s * ms for run, ms in zip(right, ms_per_host, strict=True)]
        trips = median(run.round_trips for run in right)
        rows.append(
            [
                tool,
                _spread([run.wall_s for run in right], ".2f"),
                _spread(client, ".2f"),
                f"{median(run.largest_rss_bytes / MIB for run in right):.0f}",
                f"{median(run.tree_rss_bytes / MIB for run in right):.0f}",
                f"{median(server):.2f}",
                f"{trips:.0f}" if trips else "-",
                f"{median(run.foreign_cpu for run in right):.0%}",
                str(len(right)),
            ]
        )
    head = [
        "tool",
        "wall s",
        "client CPU ms/host",
        "largest RSS MiB",
        "tree RSS MiB",
        "server CPU ms/host",
        "round trips",
        "foreign CPU",
        "runs",
    ]
    return _markdown(head, rows)


def ratios(runs: Sequence[Run]) -> str:
    """The product's median divided by each peer's; empty if it was not measured."""
    medians = {
        tool: (median(r.cpu_s for r in some), median(r.wall_s for r in some))
        for tool, some in by_tool(runs).items()
        if not any(r.problem for r in some)
    }
    if PRODUCT_NAME not in medians:
        return ""
    cpu, wall = medians.pop(PRODUCT_NAME)
    rows = [[tool, f"{cpu / c:.2f}", f"{wall / w:.2f}"] for tool, (c, w) in medians.items()]
    return _markdown([f"{PRODUCT_NAME} divided by", "client CPU", "wall"], rows)


def latency_table(direct: Sequence[Run], delayed: Sequence[Run], rtt_s: float) -> str:
    """One host with and without delay: round trips by the clock and by the relay."""
    near = by_tool([run for run in direct if not run.problem])
    rows = []
    for tool, far in by_tool(delayed).items():
        problem = next((run.problem for run in far if run.problem), "")
        if problem or tool not in near:
            rows.append([tool, f"WRONG: {problem}", "", "", ""])
            continue
        # The quickest of each: noise only ever adds.
        near_s, far_s = (min(run.wall_s for run in some) for some in (near[tool], far))
        counted = median(run.round_trips for run in far)
        clock = f"{(far_s - near_s) / rtt_s:.1f}"
        rows.append([tool, f"{near_s:.2f}", f"{far_s:.2f}", clock, f"{counted:.0f}"])
    far_head = f"wall s, {rtt_s * 1000:.0f} ms RTT"
    head = ["tool", "wall s, no delay", far_head, "round trips by the clock", "by the relay"]
    return _markdown(head, rows)


def idle_table(runs: Sequence[IdleRun]) -> str:
    """CPU of connections that do nothing."""
    rows = [
        [r.tool, str(r.connections), f"{r.cpu_s / r.held_s:.2%}", str(r.threads), f"{r.held_s:.0f}"]
        for r in runs
    ]
    return _markdown(["tool", "idle connections", "of one core", "threads", "seconds"], rows)


def describe_machine() -> dict[str, str]:
    """What the figures depend on, apart from the tools."""
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssh": ssh.stderr.strip(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
            return next(names, platform.machine())
    except OSError:
        return platform.machine()


def as_json(runs: Sequence[Run | IdleRun]) -> list[dict[str, object]]:
    """Every run as plain data."""
    to_dict: Callable[[Run | IdleRun], dict[str, object]] = asdict
    return [to_dict(run) for run in runs]
