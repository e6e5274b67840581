"""
``host: line`` for every line as it comes: remote stdout on our stdout, remote stderr on our stderr.

What we say about a host goes to stderr as ``fleetctl: host: exit status 3``. A host's own text
always stands behind its own name, so it cannot imitate another host or fleetctl.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetctl.model.events import Event, HostFinished, Output, Stream
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.sinks.color import Style
from fleetctl.sinks.escape import prefix_lines, visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.wording import render_ending, render_notes, split_kept

#: Bytes of an unfinished line kept before it is shown in pieces (S04: a line may never end).
MAX_PENDING_BYTES = 64 * 1024

_STREAM_STYLES: Mapping[Stream, Style] = {"stdout": "name", "stderr": "failed"}


class StreamSink:
    """
    Shows output live if the run sends it, else when the host has finished.

    Lines of different hosts interleave, bytes of a line never do.
    """

    def __init__(self, out: Printer, err: Printer) -> None:
        self._out = out
        self._err = err
        self._pending: dict[str, dict[Stream, bytearray]] = {}
        self._hints: set[str] = set()

    def handle(self, event: Event) -> None:
        """Show output and endings; other events are not for this view."""
        match event:
            case Output():
                self._receive(event)
            case HostFinished():
                self._finish(event.result)

    def close(self) -> None:
        """Show what hosts that never finished left unfinished."""
        for name in list(self._pending):
            self._show_pending(name)
        self._out.flush()
        self._err.flush()

    def _receive(self, output: Output) -> None:
        name = output.host.name
        pending = self._pending.setdefault(name, {})
        buffer = pending.setdefault(output.stream, bytearray())
        start = len(buffer)
        buffer += output.data
        end = buffer.rfind(b"\n", start) + 1
        if not end and len(buffer) > MAX_PENDING_BYTES:
            end = _character_boundary(buffer)
        if end:
            self._show(name, output.stream, bytes(buffer[:end]))
            del buffer[:end]

    def _finish(self, result: HostResult) -> None:
        name = result.host.name
        is_live = name in self._pending
        self._show_pending(name)
        run = result.outcome.result
        if run is not None and not is_live:
            self._show_kept(name, run)
        status = result.outcome.status
        if status == "cancelled" and result.started_at is None:
            return  # never started: hundreds of such lines would say less than the summary's one
        if status != "ok":
            self._say(name, self._err.paint(status, render_ending(result)))
        for note in render_notes(result, shown_whole=is_live):
            self._say(name, note)
        failure = result.outcome.failure
        if failure and failure.hint and failure.hint not in self._hints:
            self._hints.add(failure.hint)
            self._say(name, f"hint: {visible_line(failure.hint)}")

    def _show_pending(self, name: str) -> None:
        for stream, buffer in self._pending.pop(name, {}).items():
            self._show(name, stream, bytes(buffer))

    def _show_kept(self, name: str, run: ExecResult) -> None:
        for content in split_kept(run.stdout, run.stdout_bytes):
            self._show(name, "stdout", content)
        for content in split_kept(run.stderr, run.stderr_bytes):
            self._show(name, "stderr", content)

    def _show(self, name: str, stream: Stream, content: bytes) -> None:
        printer = self._out if stream == "stdout" else self._err
        prefix = printer.paint(_STREAM_STYLES[stream], f"{visible_line(name)}:") + " "
        printer.write(prefix_lines(prefix, content))
        printer.flush()

    def _say(self, name: str, text: str) -> None:
        self._err.write(f"fleetctl: {visible_line(name)}: {text}\n")
        self._err.flush()


def _character_boundary(buffer: bytearray) -> int:
    """Return where to cut so that neither a UTF-8 character nor a CRLF is torn."""
    end = len(buffer)
    if buffer[-1] == 0x0D:
        return end - 1
    for back in range(1, 4):
        byte = buffer[-back]
        if byte >= 0xC0:
            return end - back
        if byte < 0x80:
            break
    return end
