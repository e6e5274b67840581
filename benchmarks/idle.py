"""
Scenario ``idle``: what open connections cost while nothing happens.

One run per tool: a minute is long enough for a figure that a busy neighbour does not move.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet import Workspace, run_cheap_server
from measure import run_measured
from report import IdleRun
from tools import PEERS, PRODUCT

HERE = Path(__file__).resolve().parent
CONNECTIONS = 500
HOLD_S = 60.0
# Tool, its driver, the Python that has it.
DRIVERS = (
    ("fleetctl", "idle_fleetctl.py", PRODUCT.parent / "python"),
    ("asyncssh-uvloop", "idle_asyncssh.py", PEERS / "python"),
    ("paramiko-threads", "idle_paramiko.py", PEERS / "python"),
)


def measure_idle(
    workspace: Workspace, tools: Sequence[str], env: Mapping[str, str]
) -> list[IdleRun]:
    """Hold 500 connections to the cheap server, keepalive off, with each tool that can."""
    addresses, port = workspace.addresses(CONNECTIONS, 0), workspace.free_port()
    hosts = workspace.describe_hosts("idle", addresses, port)
    stdout, stderr = (workspace.directory / f"idle.{name}" for name in ("out", "err"))
    done = []
    with run_cheap_server(workspace, hosts):
        for tool, driver, python in DRIVERS:
            if tool not in tools:
                continue
            argv = (
                *(str(python), str(HERE / "peers" / driver), "--hold", str(HOLD_S)),
                *("--hosts", str(hosts.lines), "--user", hosts.user, "--key", str(hosts.key)),
                *("--known-hosts", str(hosts.known_hosts), "--concurrency", "100"),
            )
            print(f"--- idle, {tool}", file=sys.stderr, flush=True)
            run = run_measured(argv, env, stdout, stderr, HOLD_S + 60)
            if run.exit_code != 0:
                print(f"{tool}: WRONG: {stderr.read_text().strip()[-300:]}", file=sys.stderr)
                continue
            held = IdleRun(tool=tool, **json.loads(stdout.read_text()))
            if held.connections != CONNECTIONS:
                lost = CONNECTIONS - held.connections
                print(f"{tool}: WRONG: {lost} connections were lost", file=sys.stderr)
                continue
            done.append(held)
    return done
