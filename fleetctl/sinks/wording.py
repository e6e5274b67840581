"""
How results are said in words, the same in every human view.

Pure functions from model values to one-line, escaped texts; layout and colour are the views' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fleetctl.model.failure import Failure, Status
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.sinks.escape import visible_line

#: Makes ``web[01-18,20]`` of host names: `fleetctl.model.nodeset.fold`.
Fold = Callable[[Iterable[str]], str]

#: Best first, so that what needs attention comes last and stays on the screen.
STATUS_ORDER: Sequence[Status] = (
    "ok",
    "skipped",
    "cancelled",
    "unreachable",
    "timed_out",
    "failed",
)


def render_status(status: Status) -> str:
    """Return the status as people write it: ``timed out``."""
    return status.replace("_", " ")


def render_ending(result: HostResult) -> str:
    """
    Return how it ended on the host, in one line without the host's name.

    ``ok``, ``exit status 3``, ``killed by signal KILL``, ``timed out: …`` or ``kind: message``.
    """
    outcome = result.outcome
    failure = outcome.failure
    if failure is None:
        return render_status(outcome.status)
    run = outcome.result
    if failure.kind == "exec.nonzero" and run and run.exit_status is not None:
        return f"exit status {run.exit_status}"
    if failure.kind == "exec.signal" and run and run.exit_signal:
        return f"killed by signal {visible_line(run.exit_signal)}"
    message = render_message(failure)
    if failure.kind == "exec.timeout":
        return message if message.startswith("timed out") else f"timed out: {message}"
    return f"{failure.kind}: {message}"


def render_message(failure: Failure) -> str:
    """Return the message in one line, with the gateway if it happened there."""
    message = visible_line(failure.message)
    return f"at gateway {visible_line(failure.hop)}: {message}" if failure.hop else message


def render_notes(result: HostResult, *, shown_whole: bool = False) -> list[str]:
    """
    Return what a reader must know besides the ending: doubts about the run and its output.

    With ``shown_whole`` the reader has seen all output as it came; that less of it was kept is then
    not worth a word.
    """
    notes = []
    if result.ran == "unknown":
        notes.append("it is not known whether the command ran")
    run = result.outcome.result
    if run is None:
        return notes
    if run.truncated and not shown_whole:
        kept = [
            f"{stream} has {total} bytes, {len(content)} kept"
            for stream, content, total in (
                ("stdout", run.stdout, run.stdout_bytes),
                ("stderr", run.stderr, run.stderr_bytes),
            )
            if total > len(content)
        ]
        notes.append(f"output truncated: {'; '.join(kept)}")
    if not run.output_complete:
        notes.append(f"output may be incomplete: {_why_incomplete(result)}")
    return notes


def _why_incomplete(result: HostResult) -> str:
    failure = result.outcome.failure
    if failure is None or failure.kind in ("exec.nonzero", "exec.signal"):
        return "a process in the background still holds it open"
    if failure.kind == "exec.timeout":
        return "the command was still running"
    if failure.kind in ("session.lost", "gateway.lost"):
        return "the connection was lost"
    return "the session ended early"


def split_kept(content: bytes, total_bytes: int) -> tuple[bytes, bytes]:
    """
    Return the head and the tail of truncated output; the tail is empty if nothing was dropped.

    Half of what is kept is head, half is tail, an odd byte is head (`fleetctl.model.operation`).
    """
    if total_bytes <= len(content):
        return content, b""
    middle = len(content) - len(content) // 2
    return content[:middle], content[middle:]


def first_line(result: HostResult) -> tuple[str, int]:
    """
    Return the first line that is not blank, and how many lines follow it.

    Of stdout if the host is ok, of stderr if not; of the other stream if that one is empty.
    """
    run = result.outcome.result or ExecResult(exit_status=None)
    streams = [run.stdout, run.stderr]
    if result.outcome.status != "ok":
        streams.reverse()
    content = streams[0].strip() or streams[1].strip()
    line, _, rest = content.partition(b"\n")
    return line.decode("utf-8", "surrogateescape").rstrip("\r"), rest.count(b"\n") + bool(rest)


def shorten(text: str, width: int) -> str:
    """Return the text in at most that many characters, ending with an ellipsis if cut."""
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"


def render_names(names: Iterable[str], fold: Fold) -> str:
    """Return ``web[01-18,20] (19)``; the count is left out for a single host."""
    listed = list(names)
    folded = visible_line(fold(listed))
    return folded if len(listed) == 1 else f"{folded} ({len(listed)})"


def render_duration(seconds: float) -> str:
    """Return ``0.42 s``, ``4.2 s``, ``12 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def render_count(count: int, noun: str) -> str:
    """Return ``1 host`` or ``20 hosts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
