"""
Questions to the store and its answers, beyond the records themselves: plain data.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleetctl.store.types import HostRecord, RunRecord, StreamName


@dataclass(frozen=True, slots=True)
class GrepQuery:
    """
    What to look for in outputs.

    Attributes:
        pattern: A regular expression, looked for line by line in bytes read as UTF-8.
        runs: Ids; empty for the newest `max_runs`.
        ignore_case: Letters match in either case.
        streams: Which to search.
        names: Only these hosts; empty for all.
        max_runs: Newest runs searched when none is named.
        max_hits: Most hits returned.
        limit_s: Most seconds spent.
    """

    pattern: str
    runs: tuple[str, ...] = ()
    ignore_case: bool = False
    streams: tuple[StreamName, ...] = ("stdout", "stderr")
    names: tuple[str, ...] = ()
    max_runs: int = 100
    max_hits: int = 1000
    limit_s: float = 30.0


@dataclass(frozen=True, slots=True)
class GrepHit:
    """
    A line that matches, once for all hosts of a run that wrote the same output.

    Attributes:
        line_number: From 1, in what is kept of the output.
        line: At most `MAX_LINE_CHARACTERS`; not escaped.
    """

    run_id: str
    names: tuple[str, ...]
    stream: StreamName
    line_number: int
    line: str


#: Longer lines of a hit are cut.
MAX_LINE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class GrepResult:
    """
    What was found.

    Attributes:
        hits: Newest run first.
        stopped: Why not everything was searched (``1000 hits``, ``30 s``), or None.
    """

    hits: tuple[GrepHit, ...]
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class ClassChange:
    """
    Hosts that went from one output class to another between two runs.

    Attributes:
        names: The hosts, in the order of the later run.
        before: In the earlier run; None if the hosts have no result there.
        after: In the later run; None likewise.
        stdout_diff: Unified diff, a line each without newline; not escaped, cut at
            `MAX_DIFF_LINES`.
        stderr_diff: The same for the other stream.
    """

    names: tuple[str, ...]
    before: HostRecord | None
    after: HostRecord | None
    stdout_diff: tuple[str, ...] = ()
    stderr_diff: tuple[str, ...] = ()


#: Longer diffs are cut.
MAX_DIFF_LINES = 500


@dataclass(frozen=True, slots=True)
class RunDiff:
    """
    What is different in a later run.

    Attributes:
        before: The earlier run.
        after: The later one.
        changes: Biggest first; hosts that are in both runs.
        same: Hosts that ended alike and wrote the same.
        only_before: Hosts that only the earlier run has.
        only_after: Hosts that only the later one has.
    """

    before: RunRecord
    after: RunRecord
    changes: tuple[ClassChange, ...]
    same: tuple[str, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resumption:
    """
    What is left of a run. Every host is in exactly one of the three.

    Attributes:
        run: With the command line, the pattern and the inventory's hash.
        done: Hosts on which nothing is left to do: they have a result, and it is not one of a host
            that was never started.
        waiting: Hosts on which nothing ran.
        unknown: Hosts on which it may have run, and nobody knows how it ended.
    """

    run: RunRecord
    done: tuple[str, ...]
    waiting: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was forgotten: ids of runs, how many outputs and bytes went with them."""

    runs: tuple[str, ...]
    outputs: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    One line of the audit log.

    Attributes:
        number: From 1, without gaps.
        line: The entry as one JSON object with ``n at who event run details``.
        hash: SHA-256 of the hash before it and the line, in hexadecimal digits.
    """

    number: int
    line: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """
    Whether the audit log and the runs are what was written.

    Attributes:
        entries: Number of entries looked at.
        head: Hash of the last one; whoever keeps it elsewhere notices a log that was rewritten as a
            whole.
        runs: Number of runs whose results were compared with the log.
        outputs: Number of outputs compared with their hashes.
        problems: What is wrong, one line each; empty if all is well.
    """

    entries: int
    head: str
    runs: int
    outputs: int
    problems: tuple[str, ...]
