"""
How the idle drivers measure: CPU of this process between all connections open and the end.

No SSH here.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

# Left to the last login's stragglers: window adjusts, timers, threads that end.
SETTLE_S = 2.0


@dataclass(frozen=True)
class IdleClock:
    """Started once all connections are open and settled."""

    started_cpu_s: float
    started_s: float

    def print_report(self, connections: int) -> None:
        """
        Print one JSON line: connections, seconds held, CPU seconds used, threads.

        Args:
            connections: How many are still open; one that died is cheap to hold.
        """
        report = {
            "connections": connections,
            "held_s": time.monotonic() - self.started_s,
            "cpu_s": time.process_time() - self.started_cpu_s,
            "threads": len(list(Path("/proc/self/task").iterdir())),
        }
        print(json.dumps(report), flush=True)


def start_clock() -> IdleClock:
    """Start counting now."""
    return IdleClock(time.process_time(), time.monotonic())
