"""
``fleetctl history grep`` and ``diff``: what was written, and what is different now.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from fleetctl.cli.errors import say
from fleetctl.cli.history_source import ask_or_end, complete_run
from fleetctl.cli.history_text import render_names, render_time, what_ran
from fleetctl.cli.options import form_option
from fleetctl.wiring import fold, one_visible_line
from fleetctl.wiring.recorded import ClassChange, GrepQuery, HostRecord, RunDiff, open_printer

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import GrepHit, GrepResult, History, RunRecord

#: As grep(1) and diff(1) have it.
EXIT_NOTHING = 1
EXIT_DIFFERENT = 1
#: Lines of a diff shown for one change.
_MAX_DIFF_LINES = 60


@click.command(
    epilog="\b\nExamples:\n  fleetctl history grep 'out of memory'\n"
    "  fleetctl history grep -i '^ERROR' --run last --run last~1\n"
    "  fleetctl history grep '5\\.15' --host 'web[01-20]' --format json"
)
@click.argument("pattern")
@click.option(
    "--run", "runs", multiple=True, metavar="RUN", shell_complete=complete_run,
    help="Look in this run; repeatable.  [default: the last 100]",
)  # fmt: skip
@click.option("-i", "--ignore-case", is_flag=True, help="Upper and lower case are the same.")
@click.option("--host", metavar="NAME,…", help="Only what these hosts wrote.")
@click.option(
    "--stream", type=click.Choice(("stdout", "stderr")), help="Only this stream.  [default: both]"
)
@click.option(
    "--max-hits", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
    help="Stop after so many lines.",
)  # fmt: skip
@form_option
def grep(
    pattern: str,
    runs: tuple[str, ...],
    ignore_case: bool,
    host: str | None,
    stream: Any,
    max_hits: int,
    form: str,
) -> int:
    """
    Search what hosts wrote, with a regular expression, line by line.

    A line is shown once for all hosts of a run that wrote the same. Exit code 1: no line matches.
    """
    from fleetctl.cli.history_show import names_of

    query = GrepQuery(
        pattern,
        runs=runs,
        ignore_case=ignore_case,
        streams=("stdout", "stderr") if stream is None else (stream,),
        names=() if host is None else tuple(sorted(names_of(host))),
        max_hits=max_hits,
    )

    async def question(history: History) -> tuple[GrepResult, dict[str, RunRecord]]:
        found = await history.grep(query)
        ids = dict.fromkeys(hit.run_id for hit in found.hits)
        return found, {run_id: await history.find(run_id) for run_id in ids}

    found, by_id = ask_or_end(question)
    if form == "json":
        click.echo(json.dumps([_hit_to_json(hit) for hit in found.hits], indent=1))
    else:
        out = open_printer(sys.stdout, os.environ)
        for line in _hit_lines(found.hits, by_id, out.paint):
            out.write(line + "\n")
        out.flush()
    if found.stopped is not None:
        say(f"not everything was searched: stopped after {found.stopped}", hint="name --run RUN")
    elif not found.hits:
        say("no line matches")
    return 0 if found.hits else EXIT_NOTHING


def _hit_lines(hits: Sequence[GrepHit], runs: dict[str, RunRecord], paint: Any) -> Iterator[str]:
    is_first = True
    for run_id, of_run in groupby(hits, key=lambda hit: hit.run_id):
        if not is_first:
            yield ""
        is_first = False
        run = runs[run_id]
        yield f"{paint('strong', run_id)}  {render_time(run.started_at)}  {what_ran(run)}"
        for names, of_hosts in groupby(of_run, key=lambda hit: hit.names):
            yield f"{paint('name', render_names(names))}:"
            for hit in of_hosts:
                gutter = "! " if hit.stream == "stderr" else "  "
                number = paint("faint", f"{hit.line_number}:")
                yield f"{gutter}{number} {one_visible_line(hit.line)}"


def _hit_to_json(hit: GrepHit) -> dict[str, object]:
    return {
        "run": hit.run_id,
        "hosts": list(hit.names),
        "stream": hit.stream,
        "line_number": hit.line_number,
        "line": hit.line,
    }


@click.command(
    epilog="\b\nExamples:\n  fleetctl history diff                    # the last run and the one "
    "before\n  fleetctl history diff last~3 last\n"
    "  fleetctl history diff 20261120T18 20261121T18 --format json"
)
@click.argument("before", default="last~1", metavar="[RUN1]", shell_complete=complete_run)
@click.argument("after", default="last", metavar="[RUN2]", shell_complete=complete_run)
@form_option
def diff(before: str, after: str, form: str) -> int:
    """
    Show what is different in the later of two runs, host by host.

    Hosts that changed alike are shown once. Exit code 1: something is different.
    """
    found = ask_or_end(lambda history: history.diff(before, after))
    if form == "json":
        click.echo(json.dumps(_diff_to_json(found), indent=1))
    else:
        out = open_printer(sys.stdout, os.environ)
        for line in _diff_lines(found, out.paint):
            out.write(line + "\n")
        out.flush()
    is_different = found.changes or found.only_before or found.only_after
    return EXIT_DIFFERENT if is_different else 0


def _diff_lines(found: RunDiff, paint: Any) -> Iterator[str]:
    for mark, style, run in (("-", "failed", found.before), ("+", "ok", found.after)):
        what = what_ran(run)
        yield f"{paint(style, f'{mark} {run.id}')}  {render_time(run.started_at)}  {what}"
    for change in found.changes:
        yield ""
        yield f"{paint('strong', render_names(change.names))}: {_change(change)}"
        for gutter, lines in (("  ", change.stdout_diff), ("! ", change.stderr_diff)):
            yield from _diff_body(gutter, lines, paint)
    if found.changes:
        yield ""
    if found.same:
        yield f"the same: {render_names(found.same)}"
    if found.only_before:
        yield f"only in the first: {render_names(found.only_before)}"
    if found.only_after:
        yield f"only in the second: {render_names(found.only_after)}"


def _diff_body(gutter: str, lines: Sequence[str], paint: Any) -> Iterator[str]:
    # The first two name the sides, which the header has said. What stands behind the last newline
    # is no line, if both sides have that newline.
    body = lines[2:-1] if lines[-1:] == (" ",) else lines[2:]
    styles = {"+": "ok", "-": "failed", "@": "name"}
    for line in body[:_MAX_DIFF_LINES]:
        shown = one_visible_line(line)
        style = styles.get(line[:1])
        yield gutter + (paint(style, shown) if style else shown)
    if len(body) > _MAX_DIFF_LINES:
        yield f"(and {len(body) - _MAX_DIFF_LINES} more lines; --format json has them)"


def _change(change: ClassChange) -> str:
    was, now = _ending(change.before), _ending(change.after)
    if was != now:
        return f"{was} -> {now}"
    if change.stdout_diff or change.stderr_diff:
        return f"{now}, other output"
    return f"{now}, other output (too much to compare line by line)"


def _ending(host: HostRecord | None) -> str:
    if host is None:
        return "no result"
    failure = host.failure
    doubt = ", may have run" if host.ran == "unknown" else ""
    if failure is None:
        return (host.status or "no result").replace("_", " ") + doubt
    if failure.kind == "exec.nonzero" and host.exit_status is not None:
        return f"exit status {host.exit_status}{doubt}"
    return one_visible_line(f"{failure.kind}: {failure.message}") + doubt


def _diff_to_json(found: RunDiff) -> dict[str, object]:
    return {
        "before": found.before.id,
        "after": found.after.id,
        "changes": [
            {
                "hosts": list(change.names),
                "folded": fold(change.names),
                "before": _side_to_json(change.before),
                "after": _side_to_json(change.after),
                "stdout_diff": list(change.stdout_diff),
                "stderr_diff": list(change.stderr_diff),
            }
            for change in found.changes
        ],
        "same": list(found.same),
        "only_before": list(found.only_before),
        "only_after": list(found.only_after),
    }


def _side_to_json(host: HostRecord | None) -> dict[str, object] | None:
    if host is None:
        return None
    return {
        "status": host.status,
        "ran": host.ran,
        "exit_status": host.exit_status,
        "exit_signal": host.exit_signal,
        "failure": host.failure.kind if host.failure else None,
        "class": host.class_number,
    }
