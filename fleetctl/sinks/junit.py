"""
A JUnit report: one suite for the run, one test case per host.

Written when the run has finished, because the suite begins with its counts; until then cases lie in
a temporary file without a name. A failed command is a ``failure``, a host that could not be reached
an ``error``, and one that was not tried ``skipped``.

Source: the XSD of Jenkins' xUnit plugin (junit-10.xsd).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO

from fleetctl.model.events import Event, HostFinished, RunFinished, RunStarted
from fleetctl.model.failure import Status
from fleetctl.model.result import HostResult
from fleetctl.sinks.ci_commands import break_ci_commands
from fleetctl.sinks.escape import visible, visible_bytes, visible_line
from fleetctl.sinks.wording import render_ending, render_notes, split_kept

#: Bytes of each stream in a case, head and tail; reports are read whole by what shows them.
MAX_OUTPUT_BYTES = 64 * 1024
#: Bytes of cases kept in memory; more go to the temporary file.
MAX_IN_MEMORY = 4 * 1024 * 1024

_ELEMENTS: Mapping[Status, str] = {
    "failed": "failure",
    "timed_out": "failure",
    "unreachable": "error",
    "skipped": "skipped",
    "cancelled": "skipped",
}
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
#: What XML 1.0 has no way to write, besides what `visible` has escaped.
_NO_XML = re.compile("[\ufffe\uffff]")


class JunitSink:
    """Collects a case per host and writes the report at the end."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._started: RunStarted | None = None
        self._cases = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY)  # noqa: SIM115
        self._elements: Counter[str] = Counter()
        self._count = 0

    def handle(self, event: Event) -> None:
        """Keep a case; write the report when the run has finished."""
        match event:
            case RunStarted():
                self._started = event
            case HostFinished(result=result):
                self._count += 1
                self._elements[_ELEMENTS.get(result.outcome.status, "")] += 1
                suite = self._started.label if self._started is not None else ""
                self._cases.write("".join(_case(result, suite)).encode())
            case RunFinished():
                self._write(event.duration_s)

    def close(self) -> None:
        """Write what there is if the run never said it had finished."""
        self._write(0.0)
        self._cases.close()

    def _write(self, duration_s: float) -> None:
        started, self._started = self._started, None
        if started is None:
            return
        counts = (
            f'name="{attribute(started.label)}" tests="{self._count}"'
            f' failures="{self._elements["failure"]}" errors="{self._elements["error"]}"'
        )
        time = f'time="{duration_s:.3f}"'
        skipped = f'skipped="{self._elements["skipped"]}"'
        at = _timestamp(started.at)
        self._out.write(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts} {time}>\n'
            f'<testsuite {counts} {skipped} {time} timestamp="{at}" id="0">\n'
            f'<properties><property name="run" value="{attribute(started.run_id)}"/>'
            "</properties>\n".encode()
        )
        self._cases.seek(0)
        shutil.copyfileobj(self._cases, self._out)
        self._out.write(b"</testsuite>\n</testsuites>\n")
        self._out.flush()


def _case(result: HostResult, suite: str) -> Iterator[str]:
    outcome = result.outcome
    failure = outcome.failure
    yield (
        f'<testcase classname="{attribute(suite)}" name="{attribute(result.host.name)}"'
        f' time="{result.duration_s:.3f}">\n'
    )
    element = _ELEMENTS.get(outcome.status)
    if element is not None:
        kind = failure.kind if failure is not None else outcome.status
        details = render_notes(result)
        if failure is not None and failure.hint:
            details.append(f"hint: {visible_line(failure.hint)}")
        yield (
            f'<{element} type="{attribute(kind)}" message="{attribute(render_ending(result))}">'
            f"{content('; '.join(details))}</{element}>\n"
        )
    run = outcome.result
    if run is not None:
        yield from _stream("system-out", run.stdout, run.stdout_bytes)
        yield from _stream("system-err", run.stderr, run.stderr_bytes)
    yield "</testcase>\n"


def _stream(element: str, kept: bytes, total_bytes: int) -> Iterator[str]:
    if not kept:
        return
    head, tail = split_kept(kept, total_bytes)
    half = MAX_OUTPUT_BYTES // 2
    if len(head) + len(tail) > MAX_OUTPUT_BYTES:
        head, tail = head[:half], (tail or head)[-half:]
    text = visible_bytes(head)
    if tail:
        left_out = total_bytes - len(head) - len(tail)
        text += f"\n({left_out} bytes left out here)\n{visible_bytes(tail)}"
    yield f"<{element}>{content(text)}</{element}>\n"


def content(text: str) -> str:
    """
    Return text as the content of an element.

    Control characters, which XML 1.0 cannot hold, are shown as escapes; a command of a build server
    is broken by a character reference, so that readers of the XML get it as it was.

    Source: XML 1.0, 2.2 "Characters".
    """
    escaped = visible(text).translate(_ENTITIES)
    escaped = _NO_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped)
    return break_ci_commands(escaped, hash_sign="&#35;", colon="&#58;")


def attribute(text: str) -> str:
    """Return text as the value of an attribute in double quotes; newlines are shown as escapes."""
    return content(visible_line(text)).replace("\t", "&#9;")


def _timestamp(at: datetime) -> str:
    """Return the time as the schema wants it: without fractions or zone; UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S")
