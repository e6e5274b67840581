"""
Measure fleetctl beside its peers, on the same hosts in the same minutes.

    python benchmarks/bench.py --scenario cheap --hosts 500 --runs 5 --json results.json

Scenarios:
  sshd   real OpenSSH sshd: what a user waits for; the servers' CPU dominates
  cheap  a server that costs next to nothing: what the client costs
  rtt    100 ms of round-trip time: one host on sshd (round trips), then 200 on the cheap server
  idle   500 open connections doing nothing for a minute

Tools take turns (A B C A B C ...), so that what else the machine does hits all. Every result of
every host is checked; a tool with a wrong one is marked WRONG. Tools that are not installed are
named and left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Protocol

from fleet import Hosts, Script, Workspace, run_cheap_server, run_relay, run_sshd
from idle import measure_idle
from install_peers import install_peers
from measure import busy_s, run_measured
from report import (
    IdleRun,
    Run,
    as_json,
    describe_machine,
    idle_table,
    latency_table,
    ratios,
    table,
)
from tools import Tool, all_tools, find_problem

RTT_S = 0.1
RTT_HOSTS = 200
TIMEOUT_S = 180.0
# A tool slower than this gets two runs and no more, or the whole would take too long.
SLOW_S = 20.0
SLOW_RUNS = 2
SCENARIOS = ("sshd", "cheap", "rtt", "idle")


class Servers(Protocol):
    """Whatever answers on the hosts."""

    def cpu_s(self) -> float:
        """CPU seconds used so far."""


@dataclass
class Bench:
    """One benchmark: the tools, the place to work in, everything measured so far."""

    workspace: Workspace
    tools: Sequence[Tool]
    runs: int
    measured: list[Run | IdleRun] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def show(self, title: str, *tables: str) -> None:
        """Print a section of the report now, and keep it for ``--update``."""
        self.shown.append("\n\n".join([f"### {title}", *filter(None, tables)]))
        print(f"\n{self.shown[-1]}", flush=True)

    def env(self) -> dict[str, str]:
        """The environment of every tool: nothing of the user's but PATH."""
        home = self.workspace.directory / "home"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
        }

    def run_once(
        self,
        scenario: str,
        tool: Tool,
        hosts: Hosts,
        servers: Servers,
        relay: Script | None = None,
        concurrency: int | None = None,
    ) -> Run:
        """Run one tool on all hosts, measure it and check what it brought back."""
        text = f"bench-{secrets.token_hex(8)}"
        stdout, stderr = (self.workspace.directory / f"tool.{name}" for name in ("out", "err"))
        argv = tool.argv(hosts, concurrency or tool.concurrency, f"echo {text}")
        if relay is not None:
            relay.report()
        others = (servers,) if relay is None else (servers, relay)
        before_s, busy_before_s = [other.cpu_s() for other in others], busy_s()
        done = run_measured(argv, self.env(), stdout, stderr, TIMEOUT_S)
        # Read first: waiting for sshd's last children would count as foreign.
        worked_s = busy_s() - busy_before_s
        used_s = [other.cpu_s() - b for other, b in zip(others, before_s, strict=True)]
        foreign_s = worked_s - done.cpu_s - sum(used_s)
        problem = self._judge(tool, done.exit_code, stdout, stderr, hosts, text)
        return Run(
            scenario=scenario,
            tool=tool.name,
            hosts=len(hosts.addresses),
            wall_s=done.wall_s,
            cpu_s=done.cpu_s,
            server_cpu_s=used_s[0],
            largest_rss_bytes=done.largest_rss_bytes,
            tree_rss_bytes=done.tree_rss_bytes,
            foreign_cpu=max(0.0, foreign_s / (done.wall_s * (os.cpu_count() or 1))),
            round_trips=_median_trips(relay) if relay is not None else 0.0,
            problem=f"no end after {TIMEOUT_S:.0f} s" if done.timed_out else problem,
        )

    def _judge(
        self, tool: Tool, exit_code: int, stdout: Path, stderr: Path, hosts: Hosts, text: str
    ) -> str:
        try:
            answers = tool.read(stdout.read_text(encoding="utf-8", errors="replace"), exit_code)
        except (ValueError, KeyError, TypeError) as error:
            return f"output cannot be read: {type(error).__name__}: {error}"
        problem = find_problem(answers, hosts, text)
        if not problem and exit_code != 0:
            problem = f"exit code {exit_code}"
        if problem:
            said = stderr.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            problem += f" ({said[-1][:200]})" if said else ""
        return problem

    def take_turns(self, tools: Sequence[Tool], run: Callable[[Tool], Run]) -> list[Run]:
        """Give every tool its runs in turn; one that was slow at first gets fewer."""
        done: list[Run] = []
        for turn in range(self.runs):
            for tool in tools:
                own = [r for r in done if r.tool == tool.name]
                too_slow = turn >= SLOW_RUNS and own and own[0].wall_s > SLOW_S
                if not too_slow and not any(r.problem for r in own):
                    done.append(run(tool))
                    _say(f"{done[-1].tool}: {done[-1].wall_s:.2f} s {done[-1].problem}")
        self.measured.extend(done)
        return done


def _median_trips(relay: Script) -> float:
    counts = relay.report()["round_trips"]
    assert isinstance(counts, dict)
    trips = [int(level) for level, times in counts.items() for _ in range(times)]
    return float(median(trips)) if trips else 0.0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure_cold(bench: Bench, scenario: str, counts: Sequence[int]) -> None:
    """Scenarios ``sshd`` and ``cheap``: connect, log in, run, end, on N hosts at once."""
    workspace = bench.workspace
    port = workspace.free_port()
    everybody = workspace.addresses(max(counts), 0)
    every = workspace.describe_hosts(scenario, everybody, port)
    start = run_sshd if scenario == "sshd" else run_cheap_server
    with start(workspace, every) as servers:
        one = workspace.describe_hosts(f"{scenario}-1", everybody[:1], port)
        for tool in bench.tools:  # warms up the page cache and the compiled modules
            bench.run_once(scenario, tool, one, servers)
        for count in counts:
            hosts = workspace.describe_hosts(f"{scenario}-{count}", everybody[:count], port)
            _say(f"--- {scenario}, {count} hosts")
            done = bench.take_turns(
                bench.tools,
                lambda tool, hosts=hosts: bench.run_once(scenario, tool, hosts, servers),  # type: ignore[misc]
            )
            server = "OpenSSH sshd" if scenario == "sshd" else "cheap server"
            bench.show(f"{count} hosts, {server}", table(done), ratios(done))


def measure_latency(bench: Bench) -> None:
    """Scenario ``rtt``: round trips of one cold command on sshd, then 200 hosts at once."""
    workspace = bench.workspace
    with ExitStack() as stack:
        port, far_port = workspace.free_port(), workspace.free_port()
        near = workspace.describe_hosts("near", workspace.addresses(1, 0), port)
        far = workspace.describe_hosts("far", workspace.addresses(1, 10), far_port)
        sshd = stack.enter_context(run_sshd(workspace, near))
        relay = stack.enter_context(run_relay(workspace, far, near, RTT_S * 500))
        _say("--- rtt, one host on sshd")
        direct = bench.take_turns(
            bench.tools, lambda tool: bench.run_once("rtt-direct", tool, near, sshd)
        )
        delayed = bench.take_turns(
            bench.tools, lambda tool: bench.run_once("rtt-one", tool, far, sshd, relay)
        )
        title = "One host, OpenSSH sshd, 100 ms round-trip time"
        bench.show(title, latency_table(direct, delayed, RTT_S))
    with ExitStack() as stack:
        port, far_port = workspace.free_port(), workspace.free_port()
        near = workspace.describe_hosts("near", workspace.addresses(RTT_HOSTS, 0), port)
        far = workspace.describe_hosts("far", workspace.addresses(RTT_HOSTS, 10), far_port)
        cheap = stack.enter_context(run_cheap_server(workspace, near))
        relay = stack.enter_context(run_relay(workspace, far, near, RTT_S * 500))
        _say(f"--- rtt, {RTT_HOSTS} hosts on the cheap server")
        done = bench.take_turns(
            bench.tools,
            lambda tool: bench.run_once("rtt-many", tool, far, cheap, relay, RTT_HOSTS),
        )
        title = f"{RTT_HOSTS} hosts at once, cheap server, 100 ms round-trip time"
        bench.show(title, table(done), ratios(done))


def measure(bench: Bench, scenarios: Sequence[str], counts: Sequence[int]) -> None:
    """Measure the chosen scenarios and print their tables."""
    for scenario in scenarios:
        if scenario == "rtt":
            measure_latency(bench)
        elif scenario == "idle":
            names = [tool.name for tool in bench.tools]
            held = measure_idle(bench.workspace, names, bench.env())
            bench.measured.extend(held)
            bench.show("Open connections doing nothing", idle_table(held))
        else:
            measure_cold(bench, scenario, counts)


def choose_tools(wanted: Sequence[str]) -> tuple[list[Tool], list[str]]:
    """The wanted tools that are installed, and a line about each: version, or why it is missing."""
    chosen, lines = [], []
    for tool in all_tools():
        if wanted and tool.name not in wanted:
            continue
        if why := tool.missing():
            lines.append(f"{tool.name}: not measured: {why}")
            continue
        note = "" if tool.checks_host_keys else ", has no check of host keys"
        lines.append(f"{tool.name}: {tool.distribution} {tool.version()}{note}")
        chosen.append(tool)
    return chosen, lines


def update_page(page: Path, results: str) -> None:
    """Replace what stands between the two marks; SystemExit if the page has none."""
    text = page.read_text(encoding="utf-8")
    begin, end = "<!-- results: begin -->", "<!-- results: end -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise SystemExit(f"{page}: has no {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{results}\n\n{end}{after}", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--hosts", nargs="+", type=int, default=[100, 500], metavar="N")
    parser.add_argument("--runs", type=int, default=5, help="turns of each tool (default 5)")
    parser.add_argument("--tools", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there")
    parser.add_argument("--update", type=Path, metavar="FILE", help="renew the results in there")
    parser.add_argument("--no-install", action="store_true", help="do not install missing peers")
    return parser.parse_args()


def main() -> None:
    """Install the peers, measure, print, clean up."""
    chosen = parse_arguments()
    for module in ("cryptography", "nacl", "uvloop"):
        if importlib.util.find_spec(module) is None:
            raise SystemExit(f"{sys.executable} lacks {module}: run this with .venv/bin/python")
    # sys.exit in the handler: servers are ended and the directory removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not chosen.no_install:
        install_peers()
    machine = describe_machine()
    tools, notes = choose_tools(chosen.tools)
    lines = [*(f"{name}: {value}" for name, value in machine.items()), *notes]
    about = "\n".join(f"- {line}" for line in lines)
    print(about, flush=True)
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as directory:
        bench = Bench(Workspace(Path(directory)), tools, chosen.runs)
        bench.workspace.create_keys()
        try:
            measure(bench, chosen.scenario, chosen.hosts)
        finally:
            if chosen.json:
                report = {"machine": machine, "runs": as_json(bench.measured)}
                chosen.json.write_text(json.dumps(report, indent=1) + "\n")
    if chosen.update:
        update_page(chosen.update, "\n\n".join([about, *bench.shown]))


if __name__ == "__main__":
    main()
