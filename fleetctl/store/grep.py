"""
Searching what hosts wrote: each different output once, whoever wrote it. Blocks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING

from fleetctl.model.errors import UsageError
from fleetctl.store.answers import MAX_LINE_CHARACTERS, GrepHit, GrepQuery, GrepResult
from fleetctl.store.outputs import CHUNK
from fleetctl.store.reading import Reader
from fleetctl.store.types import StreamName

if TYPE_CHECKING:
    import regex


def grep(reader: Reader, query: GrepQuery) -> GrepResult:
    """
    Return the lines that match.

    Raises:
        UsageError: The pattern is not a regular expression, or there is no such run.
        StoreError: The store cannot be read.
    """
    pattern = _compile(query)
    until = monotonic() + query.limit_s
    hits: list[GrepHit] = []
    runs = query.runs or [run.id for run in reader.runs(query.max_runs, "")]
    try:
        for run in runs:
            for hit in _hits_in(reader, run, query, pattern, until):
                if len(hits) == query.max_hits:
                    return GrepResult(tuple(hits), f"{query.max_hits} hits")
                hits.append(hit)
    except TimeoutError:
        return GrepResult(tuple(hits), f"{query.limit_s:g} s")
    return GrepResult(tuple(hits))


def _compile(query: GrepQuery) -> regex.Pattern[str]:
    import regex

    try:
        return regex.compile(query.pattern, regex.IGNORECASE if query.ignore_case else 0)
    except regex.error as error:
        raise UsageError(f'"{query.pattern}" is no regular expression: {error}') from None


def _hits_in(
    reader: Reader, run: str, query: GrepQuery, pattern: regex.Pattern[str], until: float
) -> Iterator[GrepHit]:
    record, hosts = reader.output_users(run)
    names = set(query.names)
    writers: dict[tuple[StreamName, bytes], list[str]] = {}
    for name, stdout_hash, stderr_hash in hosts:
        if names and name not in names:
            continue
        for stream in query.streams:
            key = stdout_hash if stream == "stdout" else stderr_hash
            if key is not None:
                writers.setdefault((stream, key), []).append(name)
    outputs = list(writers.items())
    for at in range(0, len(outputs), CHUNK):
        some = outputs[at : at + CHUNK]
        lines, is_late = _search(
            reader, {key for (_, key), _ in some}, pattern, until, query.max_hits
        )
        for (stream, key), wrote in some:
            for number, line in lines.get(key, ()):
                yield GrepHit(record.id, tuple(wrote), stream, number, line)
        if is_late:
            raise TimeoutError


def _search(
    reader: Reader, keys: Collection[bytes], pattern: regex.Pattern[str], until: float, most: int
) -> tuple[dict[bytes, list[tuple[int, str]]], bool]:
    """Return matching lines by output, not many more than `most`, and whether time was up."""
    lines: dict[bytes, list[tuple[int, str]]] = {}
    count = 0
    with closing(reader.each_output(keys)) as outputs:
        for key, content in outputs:
            for number, line in enumerate(content.split(b"\n"), 1):
                left_s = until - monotonic()
                text = line.decode("utf-8", "replace")
                try:
                    match = pattern.search(text, timeout=left_s) if left_s > 0 else None
                except TimeoutError:
                    left_s = 0.0
                if left_s <= 0:
                    return lines, True
                if match is not None and count <= most:
                    lines.setdefault(key, []).append((number, _cut(text, match.start())))
                    count += 1
    return lines, False


def _cut(line: str, at: int) -> str:
    """Return a line, or of a long one the part where the match is."""
    line = line.removesuffix("\r")
    if len(line) <= MAX_LINE_CHARACTERS:
        return line
    start = max(0, min(at - MAX_LINE_CHARACTERS // 2, len(line) - MAX_LINE_CHARACTERS))
    return line[start : start + MAX_LINE_CHARACTERS]
