"""
The tools that are measured: how each is called and how its output is read and checked.

Every tool gets the same hosts, key, known_hosts file and command, and must bring back exactly one
result for each host. Running and measuring is done by `bench`.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import Hosts

HERE = Path(__file__).resolve().parent
PRODUCT = HERE.parent / ".venv" / "bin" / "fleetctl"
PEERS = HERE.parent / ".venv-bench" / "bin"
DEFAULT_FORKS = 100


@dataclass(frozen=True)
class Answer:
    """What a tool says about one host; ``exit_status`` None if it gave none."""

    host: str
    exit_status: int | None
    stdout: str


@dataclass(frozen=True)
class Tool:
    """
    One measured program.

    Attributes:
        concurrency: Connections at once where it is best on a local network; for the 100 ms
            scenario all hosts at once are asked for instead.
        requires: The module of `.venv-bench` that must import, empty for the product.
        checks_host_keys: False where the tool cannot.
        distribution: The package whose version is reported.
    """

    name: str
    concurrency: int
    requires: str
    distribution: str
    argv: Callable[[Hosts, int, str], Sequence[str]]
    read: Callable[[str, int], list[Answer]]
    checks_host_keys: bool = True

    def missing(self) -> str:
        """Why the tool cannot be measured here; empty if it can."""
        if not self.requires:
            return "" if PRODUCT.exists() else f"{PRODUCT} does not exist"
        python = PEERS / "python"
        if not python.exists():
            return "not installed: run `python benchmarks/install_peers.py`"
        probe = [str(python), "-c", f"import {self.requires}"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        return done.stderr.strip().splitlines()[-1] if done.returncode else ""

    def version(self) -> str:
        """The installed version of its package."""
        python = PEERS / "python" if self.requires else PRODUCT.parent / "python"
        script = f"from importlib.metadata import version; print(version({self.distribution!r}))"
        done = subprocess.run(
            [str(python), "-c", script], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or "unknown"


def find_problem(answers: Sequence[Answer], hosts: Hosts, text: str) -> str:
    """What is wrong with a tool's results; empty if every host answered once and rightly."""
    counts = Counter(answer.host for answer in answers)
    wanted = set(hosts.addresses)
    wrong = [a for a in answers if a.exit_status != 0 or a.stdout != f"{text}\n"]
    if missing := wanted - set(counts):
        return f"{len(missing)} of {len(wanted)} hosts have no result"
    if set(counts) - wanted or max(counts.values()) > 1:
        return "results of hosts that were not asked, or more than one of a host"
    if wrong:
        return f"{len(wrong)} wrong results, such as {wrong[0]}"
    return ""


def _driver(script: str, *options: str) -> Callable[[Hosts, int, str], Sequence[str]]:
    def argv(hosts: Hosts, concurrency: int, command: str) -> Sequence[str]:
        return (
            *(str(PEERS / "python"), str(HERE / "peers" / script)),
            *("--hosts", str(hosts.lines), "--user", hosts.user, "--key", str(hosts.key)),
            *("--known-hosts", str(hosts.known_hosts), "--concurrency", str(concurrency)),
            *(*options, command),
        )

    return argv


def _read_driver(stdout: str, exit_code: int) -> list[Answer]:
    rows = (json.loads(line) for line in stdout.splitlines())
    return [Answer(row["host"], row["exit_status"], row["stdout"]) for row in rows]


def _clush_argv(hosts: Hosts, concurrency: int, command: str) -> Sequence[str]:
    options = {
        "BatchMode": "yes",
        "IdentityFile": hosts.key,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": hosts.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "Port": hosts.port,
    }
    ssh = "-F /dev/null " + " ".join(f"-o {key}={value}" for key, value in options.items())
    return (
        *(str(PEERS / "clush"), "--hostfile", str(hosts.names), "-l", hosts.user, "-o", ssh),
        *("-f", str(concurrency), "-t", "60", "-L", "-q", "-S", command),
    )


def _read_clush(stdout: str, exit_code: int) -> list[Answer]:
    # With -S clush ends with the largest status of all, so 0 is the status of each.
    pairs = (line.split(": ", 1) for line in stdout.splitlines())
    return [Answer(host, exit_code, f"{text}\n") for host, text in pairs]


def _product(*options: str) -> Callable[[Hosts, int, str], Sequence[str]]:
    def argv(hosts: Hosts, concurrency: int, command: str) -> Sequence[str]:
        forks = () if concurrency == DEFAULT_FORKS else ("-f", str(concurrency))
        words = ("run", "--format", "ndjson", "-i", str(hosts.inventory), *forks, *options)
        return (str(PRODUCT), *words, "all", "--", command)

    return argv


def _read_product(stdout: str, exit_code: int) -> list[Answer]:
    events = (json.loads(line) for line in stdout.splitlines())
    return [
        Answer(event["host"], event["exit_status"], event["stdout"])
        for event in events
        if event["event"] == "host.finished"
    ]


def all_tools() -> tuple[Tool, ...]:
    """The product first, then its peers."""
    return (
        Tool("fleetctl", DEFAULT_FORKS, "", "fleetctl", _product(), _read_product),
        # No peer keeps a record of what it did.
        Tool(
            *("fleetctl-no-history", DEFAULT_FORKS, "", "fleetctl"),
            argv=_product("--no-history"),
            read=_read_product,
        ),
        Tool(
            *("asyncssh-uvloop", 100, "asyncssh, uvloop", "asyncssh"),
            argv=_driver("asyncssh_peer.py", "--loop", "uvloop"),
            read=_read_driver,
        ),
        Tool(
            *("asyncssh", 500, "asyncssh", "asyncssh"),
            argv=_driver("asyncssh_peer.py", "--loop", "asyncio"),
            read=_read_driver,
        ),
        Tool(
            *("parallel-ssh", 100, "pssh.clients", "parallel-ssh"),
            argv=_driver("parallel_ssh.py"),
            read=_read_driver,
            checks_host_keys=False,
        ),
        Tool(
            *("paramiko-threads", 50, "paramiko", "paramiko"),
            argv=_driver("threads_paramiko.py"),
            read=_read_driver,
        ),
        Tool("clush", 100, "ClusterShell", "clustershell", _clush_argv, _read_clush),
    )
