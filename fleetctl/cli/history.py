"""
``fleetctl history``: the recorded runs. Listing, forgetting and verifying them is here; the other
commands have files of their own.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from fleetctl.cli.errors import say
from fleetctl.cli.facts import who
from fleetctl.cli.history_again import rerun, resume
from fleetctl.cli.history_compare import diff, grep
from fleetctl.cli.history_show import show
from fleetctl.cli.history_source import ask_or_end
from fleetctl.cli.history_text import (
    render_bytes,
    render_time,
    render_verdict,
    verdict_style,
    what_ran,
)
from fleetctl.cli.options import form_option, parse_bytes, parse_seconds
from fleetctl.model.errors import UsageError
from fleetctl.wiring.recorded import render_duration

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import History, Pruned, Retention, RunRecord, Verification

EXIT_NOT_WHOLE = 6

EXAMPLES = """\b
Examples:
  fleetctl history list
  fleetctl history show last
  fleetctl history show last --format html --output run.html
  fleetctl history diff last~1 last
  fleetctl history grep 'error|warning' --run last
  fleetctl history rerun last --only failed,unreachable
  fleetctl history resume last             # after a crash of this machine
  fleetctl run @failed -- uptime           # the hosts that failed in the last run
"""


@click.group(epilog=EXAMPLES)
def history() -> None:
    """
    The recorded runs: look at them, compare them, do them again.

    RUN is the id of a run, the beginning of it, last, or last~1 for the one before.
    """


for _command in (show, grep, diff, rerun, resume):
    history.add_command(_command)


@history.command(
    "list",
    epilog="\b\nExamples:\n  fleetctl history list -n 100\n"
    "  fleetctl history list --label nightly --format json",
)
@click.option(
    "-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N",
    help="Most runs shown.",
)  # fmt: skip
@click.option("--label", default="", metavar="TEXT", help="Only runs whose label has this in it.")
@form_option
def list_(limit: int, label: str, form: str) -> None:
    """Show runs, newest first."""
    runs = ask_or_end(lambda history: history.runs(limit=limit, label=label))
    if form == "json":
        from fleetctl.wiring.recorded import describe_run

        click.echo(json.dumps([describe_run(run) for run in runs], indent=1))
        return
    if not runs:
        click.echo("no run is recorded" if not label else f'no run has "{label}" in its label')
        return
    from fleetctl.wiring.recorded import open_printer

    out = open_printer(sys.stdout, os.environ)
    for line in _table(runs, out.width, out.paint):
        out.write(line + "\n")
    out.flush()


def _table(runs: tuple[RunRecord, ...], width: int | None, paint: Any) -> Iterator[str]:
    rows = [
        (
            run.id,
            render_time(run.started_at),
            str(run.host_count),
            render_verdict(run),
            render_duration(run.duration_s) if run.duration_s is not None else "",
        )
        for run in runs
    ]
    head = ("RUN", "STARTED", "HOSTS", "HOW IT ENDED", "TOOK")
    columns = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    yield paint("faint", _row(head, columns, "WHAT"))
    for run, row in zip(runs, rows, strict=True):
        room = None if width is None else width - sum(columns) - 2 * len(columns)
        what = _cut(what_ran(run), room)
        line = _row(row, columns, what)
        yield line.replace(row[3], paint(verdict_style(run), row[3]), 1)


def _row(cells: tuple[str, ...], columns: list[int], last: str) -> str:
    run, started, hosts, ended, took = cells
    return (
        f"{run:<{columns[0]}}  {started:<{columns[1]}}  {hosts:>{columns[2]}}  "
        f"{ended:<{columns[3]}}  {took:>{columns[4]}}  {last}"
    ).rstrip()


def _cut(text: str, room: int | None) -> str:
    if room is None or len(text) <= room:
        return text
    return text[: max(room - 1, 8)] + "…"


@history.command(
    epilog="\b\nExamples:\n  fleetctl history prune                   # the usual limits\n"
    "  fleetctl history prune --older-than 30d --dry-run\n"
    "  fleetctl history prune --keep 100 --yes"
)
@click.option(
    "--older-than", callback=parse_seconds, metavar="S", help="Forget older runs, such as 30d."
)
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Keep only so many runs.")
@click.option(
    "--max-size", callback=parse_bytes, metavar="BYTES",
    help="Forget the oldest while all take more than this.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only show what would be forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(
    older_than: float | None, keep: int | None, max_size: int | None, dry_run: bool, yes: bool
) -> None:
    """
    Forget old runs, and the outputs that no other run needs.

    Without a limit the usual ones count: 90 days, 1000 runs, 1 GiB. They are applied after each
    run as well. Runs that go on are kept, and so is the audit log.
    """
    retention = _retention(older_than, keep, max_size)
    user = who(os.environ)
    chosen = ask_or_end(lambda history: history.prune(retention, who=user, dry_run=True))
    count = len(chosen.runs)
    if not count:
        click.echo("there is nothing to forget")
        return
    runs = f"{count} run{'s' if count != 1 else ''}"
    if dry_run:
        for run_id in chosen.runs:
            click.echo(run_id)
        say(f"{runs} would be forgotten")
        return
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        question = f"Forget {runs}, {chosen.runs[0]} to {chosen.runs[-1]}?"
        if not click.confirm(question, err=True):
            raise UsageError("not confirmed: nothing was forgotten", hint="--yes does not ask")
    done: Pruned = ask_or_end(lambda history: history.prune(retention, who=user))
    click.echo(
        f"forgotten: {len(done.runs)} run{'s' if len(done.runs) != 1 else ''}, "
        f"{done.outputs} output{'s' if done.outputs != 1 else ''} "
        f"({render_bytes(done.output_bytes)})"
    )


def _retention(older_than: float | None, keep: int | None, max_size: int | None) -> Retention:
    from fleetctl.wiring.recorded import Retention

    if (older_than, keep, max_size) == (None, None, None):
        return Retention()
    age = None if older_than is None else timedelta(seconds=older_than)
    return Retention(max_age=age, max_runs=keep, max_bytes=max_size)


@history.command(
    epilog="\b\nExamples:\n  fleetctl history verify\n"
    "  fleetctl history verify --head 9f86d081884c7d65…   # one that you kept elsewhere"
)
@click.option(
    "--head", metavar="HASH", help="Check that the log has this entry, whose hash you kept."
)
@form_option
def verify(head: str | None, form: str) -> int:
    """
    Check that nobody changed the history.

    Compares the audit log with its own chain of hashes, the runs with the log, and the outputs with
    their hashes. Who rewrites all of it goes unnoticed, unless you keep the head of the log
    elsewhere, and give it with --head.
    """
    if head is not None and not re.fullmatch(r"[0-9a-f]{8,64}", head.lower()):
        raise UsageError("8 to 64 hexadecimal digits are expected", file="--head")

    async def question(history: History) -> tuple[Verification, bool]:
        found: Verification = await history.verify()
        if head is None:
            return found, True
        entries = await history.audit(limit=max(found.entries, 1))
        return found, any(entry.hash.startswith(head.lower()) for entry in entries)

    found, has_head = ask_or_end(question)
    problems = list(found.problems)
    if not has_head:
        problems.append(f"the log has no entry {head}: it was cut short or written anew")
    if form == "json":
        fields = {
            "ok": not problems,
            "entries": found.entries,
            "head": found.head,
            "runs": found.runs,
            "outputs": found.outputs,
            "problems": problems,
        }
        click.echo(json.dumps(fields, indent=1))
    else:
        for problem in problems:
            say(problem)
        state = "nothing was changed" if not problems else f"{len(problems)} wrong"
        click.echo(
            f"{state}: {found.entries} entries of the log, {found.runs} runs, "
            f"{found.outputs} outputs\nhead of the log: {found.head}"
        )
    return EXIT_NOT_WHOLE if problems else 0
