"""
What every driver is told and what it says: the command line, the hosts file, one JSON line a host.

No SSH here.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Errand:
    """One command to run on many hosts."""

    addresses: tuple[tuple[str, int], ...]
    user: str
    key: Path
    known_hosts: Path
    concurrency: int
    command: str
    loop: str
    hold_s: float


def parse_errand() -> Errand:
    """Read the command line and the hosts file (``address:port`` per line)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=Path, required=True, help="file of address:port lines")
    parser.add_argument("--user", required=True)
    parser.add_argument("--key", type=Path, required=True, help="ed25519 private key")
    parser.add_argument("--known-hosts", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    parser.add_argument("--hold", type=float, default=0.0, help="idle_*.py: seconds to stay idle")
    parser.add_argument("command", nargs="?", default="")
    chosen = parser.parse_args()
    pairs = (line.rsplit(":", 1) for line in chosen.hosts.read_text().split())
    return Errand(
        tuple((address, int(port)) for address, port in pairs),
        chosen.user,
        chosen.key,
        chosen.known_hosts,
        chosen.concurrency,
        chosen.command,
        chosen.loop,
        chosen.hold,
    )


def print_result(host: str, exit_status: int | None, stdout: str) -> None:
    """Print one host's result as a JSON line; for one thread only."""
    print(json.dumps({"host": host, "exit_status": exit_status, "stdout": stdout}))


def print_failure(host: str, error: BaseException) -> None:
    """Say on stderr why a host has no result."""
    print(f"{host}: {type(error).__name__}: {error}", file=sys.stderr)
