"""
The closing summary on stderr: counts, time, hosts whose output is unlike that of most, failures by
kind, and how to rerun the failed hosts.

Made from results only, never from text that hosts sent.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from fleetctl.model.events import Event, RunFinished
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.color import Style
from fleetctl.sinks.escape import visible, visible_line
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.tally import Tally, Trouble
from fleetctl.sinks.width import columns_of
from fleetctl.sinks.wording import (
    STATUS_ORDER,
    Fold,
    render_count,
    render_duration,
    render_names,
    render_status,
    shorten,
)

#: Different endings of one kind shown on lines of their own; more are shown as one example.
MAX_ENDINGS = 3
#: Classes of unlike output that are named.
MAX_OUTLIERS = 5
#: Columns of a list of names, when the output is not a terminal.
MAX_NAME_COLUMNS = 100

_INTERRUPTIONS = {"INT": "interrupted", "TERM": "terminated", "HUP": "hung up"}


class SummarySink:
    """Writes the summary when the run has finished; comes after the sinks of results."""

    def __init__(
        self,
        err: Printer,
        *,
        fold: Fold,
        argv: Sequence[str] | None = None,
        pattern: str | None = None,
        classes: OutputClasses | None = None,
    ) -> None:
        """
        Summarise on stderr.

        Args:
            err: Usually stderr.
            fold: How names are folded.
            argv: The command line as given, its first word included; None if it cannot be rerun.
            pattern: The word of it that named the hosts.
            classes: Told each event before this sink; None if outputs are not compared.
        """
        self._err = err
        self._fold = fold
        self._argv = argv
        self._pattern = pattern
        self._classes = classes
        self._tally = Tally()

    def handle(self, event: Event) -> None:
        """Count; write the summary when the run has finished."""
        self._tally.handle(event)
        if isinstance(event, RunFinished):
            self._err.write("".join(f"{line}\n" for line in self._render(event.duration_s)))
            self._err.flush()

    def close(self) -> None:
        """Hand the rest to the operating system."""
        self._err.flush()

    def _render(self, duration_s: float) -> Iterator[str]:
        if self._err.width is not None:
            yield ""  # sets it off from the results on the same terminal
        yield from self._render_counts(duration_s)
        if self._tally.is_check:
            would = self._tally.changed or "none"
            yield f"  check only: nothing was changed; {would} would be different"
        yield from self._render_outliers()
        troubles = self._tally.troubles
        by_kind: dict[str, list[Trouble]] = {}
        for trouble in troubles:
            by_kind.setdefault(trouble.kind, []).append(trouble)
        columns = max(map(len, by_kind), default=0)
        for kind, alike in sorted(by_kind.items(), key=_severity):
            lead = self._err.paint(alike[0].status, kind) + " " * (columns - len(kind))
            for line in self._render_kind(kind, alike, columns):
                # A hint is not wrapped, so that a command in it can be copied whole; it moves.
                is_hint = line.startswith("hint: ") and lead.isspace()
                wide = self._err.width is not None and columns + 4 + len(line) > self._err.width
                yield f"    {line}" if is_hint and wide else f"  {lead}  {line}"
                lead = " " * columns
        for variables, names in self._tally.refused_env.items():
            refused = visible_line(", ".join(variables))
            yield f"not set on {self._names(names)}: {refused}; see AcceptEnv there, or use --env"
        doubtful = [trouble.host for trouble in troubles if trouble.ran == "unknown"]
        if doubtful:
            yield f"may already have run on: {render_names(doubtful, self._fold)}"
        if troubles and self._argv and self._pattern:
            failed = self._fold([trouble.host for trouble in troubles])
            again = render_rerun(self._argv, pattern=self._pattern, replacement=failed)
            if again:
                yield from self._render_rerun(again)

    def _render_counts(self, duration_s: float) -> Iterator[str]:
        counts = self._tally.counts
        total = render_count(self._tally.total, "host")
        took = render_duration(duration_s)
        interruption = ""
        if self._tally.interrupted_by is not None:
            interruption = _INTERRUPTIONS.get(self._tally.interrupted_by, "interrupted") + ": "
        if counts.keys() == {"ok"} and not self._tally.missing:
            yield f"{interruption}{total} {self._err.paint('ok', 'ok')} in {took}"
            return
        parts: list[tuple[Style, str]] = [
            (status, f"{counts[status]} {render_status(status)}")
            for status in STATUS_ORDER
            if counts[status]
        ]
        if self._tally.missing:
            parts.append(("failed", f"{self._tally.missing} without a result"))
        plain = line = f"{interruption}{total} in {took}:"
        for number, (style, part) in enumerate(parts, 1):
            comma = "," if number < len(parts) else ""
            if self._err.width is not None and len(f"{plain} {part}{comma}") > self._err.width:
                yield line
                plain = line = " "
            plain += f" {part}{comma}"
            line += f" {self._err.paint(style, part)}{comma}"
        yield line

    def _render_outliers(self) -> Iterator[str]:
        """Name the hosts that are ok but whose output is unlike that of most."""
        typical = self._classes.typical() if self._classes is not None else None
        if self._classes is None or typical is None:
            return
        outliers = self._classes.outliers()
        lead = "unlike the other " + str(len(typical.names))
        for one in outliers[:MAX_OUTLIERS]:
            text = f"{self._names(one.names)}: class {one.number}"
            for line in self._wrap(text, len(lead) + 4):
                yield f"  {self._err.paint('changed', lead) if lead.strip() else lead}  {line}"
                lead = " " * len(lead)
        rest = outliers[MAX_OUTLIERS:]
        if rest:
            hosts = render_count(sum(len(one.names) for one in rest), "host")
            yield f"  {lead}  and {len(rest)} more classes of {hosts}"

    def _render_rerun(self, again: str) -> Iterator[str]:
        """Yield the command as it can be pasted, in several lines if the terminal is narrow."""
        line = f"rerun the failed: {again}"
        if self._err.width is None or columns_of(line) <= self._err.width:
            yield line
            return
        yield "rerun the failed:"
        yield from shell_lines(again, self._err.width)

    def _render_kind(self, kind: str, alike: Sequence[Trouble], columns: int) -> Iterator[str]:
        endings: dict[str, list[str]] = {}
        for trouble in alike:
            text = trouble.text.removeprefix(f"{kind}: ")
            endings.setdefault(text, []).append(trouble.host)
        if len(endings) > MAX_ENDINGS:
            example = f"e.g. {next(iter(endings))}"
            endings = {example: [trouble.host for trouble in alike]}
        for text, names in endings.items():
            yield from self._wrap(f"{self._names(names)}: {text}", columns + 4)
        hint = next((trouble.hint for trouble in alike if trouble.hint), None)
        if hint:
            yield f"hint: {visible_line(hint)}"

    def _wrap(self, text: str, indent: int) -> list[str]:
        if self._err.width is None:
            return [text]
        return textwrap.wrap(
            text,
            max(self._err.width - indent, 40),
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _names(self, names: Sequence[str]) -> str:
        """Return the names, cut to leave room for the message; the rerun line has them all."""
        room = self._err.width // 2 if self._err.width else MAX_NAME_COLUMNS
        folded = visible_line(self._fold(names))
        if len(folded) > room:
            return f"{shorten(folded, room)} ({len(names)})"
        return render_names(names, self._fold)


def shell_lines(command: str, columns: int) -> Iterator[str]:
    """
    Yield a command line in lines of at most that many columns, joined by backslashes.

    It means the same when pasted: it is broken between words only, so a long word makes a long
    line.

    Args:
        command: As `shlex.join` writes it.
    """
    line = " "
    for word in map(shlex.quote, shlex.split(command)):
        # Two columns are for the backslash.
        if line.strip() and columns_of(f"{line} {word}") > columns - 2:
            yield f"{line} \\"
            line = "   "
        line += f" {word}"
    yield line


def _severity(item: tuple[str, Sequence[Trouble]]) -> tuple[int, int]:
    """Sort key of a kind and its hosts: worst status last, within one the most hosts first."""
    _, alike = item
    return STATUS_ORDER.index(alike[0].status), -len(alike)


def render_rerun(argv: Sequence[str], *, pattern: str, replacement: str) -> str | None:
    """
    Return the command line with other hosts, quoted for POSIX sh.

    The pattern's word is replaced: the first equal word before ``--`` that does not follow an
    option, else the last one. None if there is no such word, or if the line cannot be shown as it
    must be typed.
    """
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    places = [place for place in range(1, end) if words[place] == pattern]
    if not places:
        return None
    free = [place for place in places if not words[place - 1].startswith("-")]
    words[free[0] if free else places[-1]] = replacement
    line = shlex.join(words)
    return line if visible(line) == line else None
