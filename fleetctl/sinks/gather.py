"""
Equal output shown once, under the folded names of the hosts that gave it, as ``clush -b`` does.

Our lines begin in the first column. A host's lines are set in by a two-column gutter, blank for
stdout and ``!`` for stderr, so no output can imitate a header. Nothing is shown before the run has
finished, so a class is complete when it is shown.

On a terminal lines of hosts are broken to its width behind that gutter, and of many different
outputs only the beginnings are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleetctl.model.events import Event, RunFinished
from fleetctl.sinks.classes import OutputClass, OutputClasses
from fleetctl.sinks.escape import visible_line
from fleetctl.sinks.gutter import Limit, count_lines, render_difference, render_output
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.width import columns_of, cut, words
from fleetctl.sinks.wording import (
    STATUS_ORDER,
    Fold,
    render_ending,
    render_names,
    render_notes,
    render_status,
)

RULE = "-" * 15

#: Most different messages shown for hosts that failed alike; the rest are counted.
MAX_MESSAGES = 8
#: The same in a run that is summed up in one screen of lines.
FEW_MESSAGES = 2
#: Lines a list of names may take.
MAX_NAME_LINES = 4
#: Columns of our own lines, when the output is not a terminal.
COLUMNS = 80
#: Most classes shown on a terminal, of hosts that are ok and of others.
MAX_SHOWN = 40
#: Lines of all classes together on a terminal, if there are several.
MAX_BODY_LINES = 400
#: Hosts from which on a run whose hosts mostly agree is summed up in one screen of lines.
MANY_HOSTS = 100
SCREEN_LINES = 31
#: Rows of the terminal that one line may take where output is shortened.
MAX_ROWS = 3

_HEADER_LINES = 3
#: Lines that a difference has besides those of the outputs, more or less.
_HUNK_LINES = 10


class GatherSink:
    """
    Shows the output classes of a run when it has finished: failures last.

    Args:
        classes: What to show; it is told each event before this sink.
        compare: Show one class whole, and how each of the others differs from it.
    """

    def __init__(
        self, out: Printer, *, fold: Fold, classes: OutputClasses, compare: bool = False
    ) -> None:
        self._out = out
        self._fold = fold
        self._classes = classes
        self._compare = compare
        self._is_shown = False
        self._is_digest = False
        self._columns = out.width or COLUMNS

    def handle(self, event: Event) -> None:
        """Show everything when the run has finished."""
        if isinstance(event, RunFinished):
            self._show()

    def close(self) -> None:
        """Show what was collected if the run never said it had finished."""
        self._show()

    def _show(self) -> None:
        if self._is_shown:
            return
        self._is_shown = True
        numbered = self._classes.numbered()
        self._is_digest = self._sums_up(numbered)
        ordered = sorted(numbered, key=_place)
        reference = _reference(ordered) if self._compare else None
        left_out = self._left_out(ordered)
        hidden = {one.number for one in left_out}
        shown = [one for one in ordered if one.number not in hidden]
        limits = self._limits(shown, reference)
        for one, limit in zip(shown, limits, strict=True):
            self._out.write(self._header(one, is_numbered=len(ordered) > 1))
            for line in self._body(one, reference, limit):
                self._out.write(line)
        if left_out:
            names = self._names([name for one in left_out for name in one.names])
            text = cut(f"(and {len(left_out)} more classes: {names}", self._columns - 1)
            self._out.write(f"{text})\n")
        if not self._compare and (left_out or _are_cut(shown, limits)):
            self._out.write("hint: --compare shows what differs, --output-dir DIR keeps all\n")
        self._out.flush()

    def _left_out(self, ordered: Sequence[OutputClass]) -> Sequence[OutputClass]:
        """Return the smallest of too many classes, of those that are ok and of the others."""
        if self._out.width is None:
            return ()
        good = [one for one in ordered if one.sample.outcome.status == "ok"]
        return [*good[MAX_SHOWN:], *ordered[len(good) :][MAX_SHOWN:]]

    def _limits(
        self, shown: Sequence[OutputClass], reference: OutputClass | None
    ) -> Sequence[Limit | None]:
        """Return how much of each class is shown; who needs less leaves more to the others."""
        if self._out.width is None or len(shown) <= 1:
            return [None for _ in shown]
        room = SCREEN_LINES if self._is_digest else MAX_BODY_LINES
        room -= _HEADER_LINES * len(shown)
        more = 0
        if reference is not None:
            room -= _need(reference)
            # A difference may have the lines of both, and those between them.
            more = _need(reference) + _HUNK_LINES
        limits: list[Limit | None] = [None for _ in shown]
        needs = sorted(
            (_need(one) + more, place) for place, one in enumerate(shown) if one is not reference
        )
        for left, (need, place) in zip(range(len(needs), 0, -1), needs, strict=True):
            lines = max(min(need, room // left), 2)
            room -= min(need, lines)
            limits[place] = Limit(lines, rows=1 if self._is_digest else MAX_ROWS)
        return limits

    def _sums_up(self, numbered: Sequence[OutputClass]) -> bool:
        """Tell whether the hosts are many, most of them agree, and somebody looks at it."""
        hosts = sum(len(one.names) for one in numbered)
        is_large = self._out.width is not None and hosts >= MANY_HOSTS
        return is_large and self._classes.typical() is not None

    def _header(self, one: OutputClass, *, is_numbered: bool) -> str:
        names = self._wrapped(self._names(one.names), separator=",")
        if len(names) > MAX_NAME_LINES:
            rest = f" ({len(one.names)})"
            last = cut(names[MAX_NAME_LINES - 1] + "…", self._columns - len(rest)) + rest
            names = [*names[: MAX_NAME_LINES - 1], last]
        ending = cut(_ending(one), max(self._columns - 20, 20))
        has_number = is_numbered and one.sample.outcome.result is not None
        number = f"[class {one.number}]" if has_number else ""
        tail = " ".join(part for part in (ending, number) if part)
        painted = tail.replace(ending, self._out.paint(one.sample.outcome.status, ending), 1)
        lines = [self._out.paint("strong", line) for line in names]
        separator = ": " if ending else " "
        if tail and columns_of(names[-1] + separator + tail) <= self._columns:
            lines[-1] += separator + painted
        elif tail:
            lines[-1] += separator.rstrip()
            lines.append(f"  {painted}")
        rule = self._out.paint("faint", RULE)
        return "\n".join([rule, *lines, rule, ""])

    def _body(
        self, one: OutputClass, reference: OutputClass | None, limit: Limit | None
    ) -> Iterator[str]:
        result = one.sample
        run = result.outcome.result
        if run is not None:
            known = reference.sample.outcome.result if reference is not None else None
            if known is None or reference is one:
                yield from render_output(run, columns=self._out.width, limit=limit)
            elif reference is not None:
                yield from render_difference(
                    known, run, f"class {reference.number}", out=self._out, limit=limit
                )
        yield from self._render_messages(one)
        yield from (f"({note})\n" for note in render_notes(result))
        failure = result.outcome.failure
        if failure is not None and failure.hint:
            yield f"hint: {visible_line(failure.hint)}\n"

    def _render_messages(self, one: OutputClass) -> Iterator[str]:
        # The kind comes first, so that text a host sent cannot pass for a hint or a note of ours.
        failure = one.sample.outcome.failure
        kind = failure.kind if failure else ""
        most = FEW_MESSAGES if self._is_digest else MAX_MESSAGES
        for message, names in list(one.messages.items())[:most]:
            subject = f"{self._names(names)}: " if len(one.messages) > 1 else ""
            text = f"{kind}: {subject}{message}"
            # In a log each message stays on the line that can be searched for.
            lines = [text] if self._out.width is None else self._wrapped(text)
            yield from (f"{line}\n" for line in lines)
        more = len(one.messages) - most
        if more > 0:
            yield f"(and {more} more such messages)\n"

    def _wrapped(self, text: str, *, separator: str = " ") -> list[str]:
        return words(text, self._columns, separator=separator)

    def _names(self, names: Iterable[str]) -> str:
        return render_names(names, self._fold)


def _place(one: OutputClass) -> tuple[int, int]:
    """Sort key: what needs attention comes last and stays on the screen."""
    return STATUS_ORDER.index(one.sample.outcome.status), one.number


def _need(one: OutputClass) -> int:
    run = one.sample.outcome.result
    return count_lines(run) if run is not None else 0


def _are_cut(shown: Sequence[OutputClass], limits: Sequence[Limit | None]) -> bool:
    return any(
        limit is not None and _need(one) > limit.lines
        for one, limit in zip(shown, limits, strict=True)
    )


def _reference(ordered: Sequence[OutputClass]) -> OutputClass | None:
    """Return the class that the others are compared with: the biggest that went well."""
    return next((one for one in ordered if one.sample.outcome.result is not None), None)


def _ending(one: OutputClass) -> str:
    """Return how the hosts of the class ended, as far as their output does not say it."""
    outcome = one.sample.outcome
    if outcome.failure is not None and not one.messages:
        return render_ending(one.sample)
    if outcome.status == "ok" and outcome.result is not None:
        run = outcome.result
        has_output = run.stdout or run.stderr or run.stdout_bytes or run.stderr_bytes
        return "" if has_output else "ok, no output"
    if outcome.status == "ok" and outcome.changed:
        return "ok, changed"
    return render_status(outcome.status)
