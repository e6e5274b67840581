"""
What is different between two runs, host by host. Blocks.
"""

from __future__ import annotations

import difflib
from itertools import islice

from fleetctl.store.answers import MAX_DIFF_LINES, ClassChange, RunDiff
from fleetctl.store.reading import Reader
from fleetctl.store.types import MIB, HostFilter, HostRecord, StoredOutput

#: Outputs with more are not compared line by line, which takes time by the square of it.
MAX_COMPARED_BYTES = MIB
MAX_COMPARED_LINES = 10_000
#: Pairs of classes whose outputs are compared line by line; the others are only named.
MAX_COMPARED_PAIRS = 50

#: What makes two hosts alike, across runs.
_Likeness = tuple[object, ...]


def compare(reader: Reader, before: str, after: str) -> RunDiff:
    """
    Return the differences; the runs are named as `History` says.

    Raises:
        UsageError: There is no such run.
        StoreError: The store cannot be read.
    """
    run_before, run_after = reader.find(before), reader.find(after)
    old = {host.name: host for host in reader.hosts(run_before.id, HostFilter())}
    new = {host.name: host for host in reader.hosts(run_after.id, HostFilter())}
    same: list[str] = []
    pairs: dict[tuple[_Likeness, _Likeness], list[str]] = {}
    for name, host in new.items():
        if name not in old:
            continue
        pair = _likeness(old[name]), _likeness(host)
        if pair[0] == pair[1]:
            same.append(name)
        else:
            pairs.setdefault(pair, []).append(name)
    ordered = sorted(pairs.values(), key=len, reverse=True)
    changes = tuple(
        _change(reader, names, old[names[0]], new[names[0]], is_short=rank >= MAX_COMPARED_PAIRS)
        for rank, names in enumerate(ordered)
    )
    return RunDiff(
        before=run_before,
        after=run_after,
        changes=changes,
        same=tuple(same),
        only_before=tuple(name for name in old if name not in new),
        only_after=tuple(name for name in new if name not in old),
    )


def _likeness(host: HostRecord) -> _Likeness:
    failure = host.failure
    return (
        *(host.status, host.ran, host.exit_status, host.exit_signal),
        (failure.kind, failure.hop) if failure else None,
        *(host.stdout.sha256, host.stdout.sent_bytes),
        *(host.stderr.sha256, host.stderr.sent_bytes),
    )


def _change(
    reader: Reader, names: list[str], old: HostRecord, new: HostRecord, *, is_short: bool
) -> ClassChange:
    before = old if old.status is not None else None
    after = new if new.status is not None else None
    if is_short or before is None or after is None:
        return ClassChange(tuple(names), before, after)
    return ClassChange(
        tuple(names),
        before,
        after,
        stdout_diff=_diff(reader, before.stdout, after.stdout),
        stderr_diff=_diff(reader, before.stderr, after.stderr),
    )


def _diff(reader: Reader, old: StoredOutput, new: StoredOutput) -> tuple[str, ...]:
    if old.sha256 == new.sha256:
        return ()
    contents = reader.output(old), reader.output(new)
    if any(one is None or len(one) > MAX_COMPARED_BYTES for one in contents):
        return ()
    a, b = (_lines(one or b"") for one in contents)
    if max(len(a), len(b)) > MAX_COMPARED_LINES:
        return ()
    found = difflib.unified_diff(a, b, "before", "after", lineterm="")
    return tuple(islice(found, MAX_DIFF_LINES))


def _lines(content: bytes) -> list[str]:
    """Return the lines of an output; what follows the last newline is one only if it is there."""
    lines = content.decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines
