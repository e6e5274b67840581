"""
What the hostkeys commands print: keys, fingerprints, pictures, verdicts. Text of hosts is escaped.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import click

from fleetctl.model.failure import Failure
from fleetctl.model.result import HostResult
from fleetctl.wiring import one_visible_line
from fleetctl.wiring.hostkeys import ScannedHost, ScannedKey, read_scan

#: Columns kept for names, so that verdicts stand below each other.
MAX_NAME_COLUMNS = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One host's line: what became of it, and details."""

    host: str
    word: str
    detail: str = ""


def show_lines(lines: Sequence[Line]) -> None:
    """Print ``host | word | detail``, hosts padded to the longest."""
    columns = min(max((len(line.host) for line in lines), default=0), MAX_NAME_COLUMNS)
    for line in lines:
        parts = (one_visible_line(line.host).ljust(columns), line.word, line.detail)
        click.echo(" | ".join(one_visible_line(part) for part in parts if part))


def key_line(scanned: ScannedHost, key: ScannedKey) -> str:
    """Return a known_hosts line, as ssh-keyscan prints it."""
    return f"{one_visible_line(scanned.name)} {key.key_type} {key.key}"


def fingerprint_line(scanned: ScannedHost, key: ScannedKey, *, md5: bool) -> str:
    """Return a line as ``ssh-keygen -l`` prints it."""
    shown = key.md5 if md5 else key.sha256
    return f"{key.bits} {shown} {one_visible_line(scanned.name)} ({key.label})"


def brief(keys: Sequence[ScannedKey]) -> str:
    """Return types and fingerprints in one line."""
    return ", ".join(f"{key.label} {key.sha256}" for key in keys)


def show_json(results: Sequence[HostResult], failures: dict[str, Failure | None]) -> None:
    """
    Print one object: ``hosts`` with their keys, ``counts`` by verdict.

    Args:
        failures: What a host failed of after it was scanned.
    """
    hosts = []
    counts: dict[str, int] = {}
    for result in results:
        failure = result.outcome.failure or failures.get(result.host.name)
        entry: dict[str, object] = {"host": result.host.name, "address": result.address}
        if result.outcome.failure is None:
            scanned = read_scan(result)
            entry |= {
                "name": scanned.name,
                "verdict": scanned.verdict,
                "keys": [dataclasses.asdict(key) for key in scanned.keys],
            }
        entry["failure"] = None if failure is None else render_failure(failure)
        word = str(entry.get("verdict", "failed"))
        counts[word] = counts.get(word, 0) + 1
        hosts.append(entry)
    click.echo(json.dumps({"hosts": hosts, "counts": counts}))


def render_failure(failure: Failure) -> dict[str, object]:
    """Return a failure as results show it."""
    return {**dataclasses.asdict(failure), "phase": failure.phase}
