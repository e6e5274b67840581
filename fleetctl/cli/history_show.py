"""
``fleetctl history show``: a recorded run, for people, for programs, or as a page to pass on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click

from fleetctl import wiring
from fleetctl.cli.history_source import ask_or_end, complete_run
from fleetctl.cli.history_text import (
    describe,
    render_names,
    render_verdict,
    verdict_style,
    without_result,
)
from fleetctl.cli.inventory_output import write_output
from fleetctl.model.errors import UsageError
from fleetctl.wiring.recorded import open_printer, replay, report_pages, run_to_json

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import History, HostRecord, RunRecord

#: Groups of hosts of a run, by the words of ``@failed`` and the like.
GROUPS = ("ok", "changed", "failed", "unreachable", "cancelled", "skipped", "unknown")
#: Things said during a run that are shown; the page and JSON have all.
_MAX_NOTICES = 20

EXAMPLES = """\b
Examples:
  fleetctl history show                    # the last run
  fleetctl history show last~1 --only failed,unreachable
  fleetctl history show 20261121T18 --host 'web[01-03]'
  fleetctl history show last --format json | jq '.hosts[].status'
  fleetctl history show last --format html --output run.html
"""


@click.command(epilog=EXAMPLES)
@click.argument("run", default="last", shell_complete=complete_run)
@click.option(
    "--format", "form", type=click.Choice(("text", "json", "html")), default="text",
    show_default=True, help="For people, one JSON object, or a page that needs nothing beside it.",
)  # fmt: skip
@click.option(
    "--only", metavar="GROUP,…", help=f"Only some hosts: {', '.join(GROUPS)}, class1, class2 …"
)
@click.option("--host", "host", metavar="NAME,…", help="Only these hosts, such as web[01-03].")
@click.option("--output", metavar="FILE", help="Write to this file, readable by you alone.")
def show(
    run: str,
    form: Literal["text", "json", "html"],
    only: str | None,
    host: str | None,
    output: str | None,
) -> None:
    """
    Show a recorded run: who did what, where, and what came of it.
    """
    if output is not None and form == "text":
        raise UsageError("it is for --format html and json", file="--output")
    if form == "html" and output is None and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", hint="--output run.html")
    text = ask_or_end(lambda history: _show(history, run, form, only, host, is_kept=bool(output)))
    if output is not None:
        write_output(text, output, is_private=True)
    elif form == "html":
        write_output(text, None)


async def _show(
    history: History, name: str, form: str, only: str | None, host: str | None, *, is_kept: bool
) -> str:
    """Write the run to standard output; return what is to be kept, or is a page."""
    run = await history.find(name)
    hosts = await choose_hosts(history, run, only=only, host=host)
    if form == "text":
        await _write_text(history, run, hosts)
    elif form == "html":
        verdict = f"{render_verdict(run)}, of {run.host_count} hosts"
        return await report_pages(history, run, hosts, list(describe(run)), verdict)
    else:
        pieces = run_to_json(history, run, hosts, await history.notices(run.id))
        if is_kept:
            return b"".join([piece async for piece in pieces]).decode()
        async for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return ""


async def choose_hosts(
    history: History, run: RunRecord, *, only: str | None, host: str | None = None
) -> Sequence[HostRecord]:
    """
    Return hosts of a run, in its order.

    Args:
        only: Groups as in `GROUPS`, with commas between; None for all.
        host: Names, ranges of numbers included; None for all.

    Raises:
        UsageError: There is no such group or host in the run.
    """
    wanted: set[str] | None = None
    if only is not None:
        wanted = set()
        for group in only.split(","):
            wanted.update(await history.names(run.id, group.strip()))
    hosts = await history.hosts(run.id)
    if host is not None:
        named = names_of(host)
        missing = named - {each.name for each in hosts}
        if missing:
            folded = wiring.fold(sorted(missing))
            raise UsageError(f"{folded} was not in run {run.id}", file="--host")
        wanted = named if wanted is None else wanted & named
    return hosts if wanted is None else [each for each in hosts if each.name in wanted]


def names_of(text: str) -> set[str]:
    """
    Return the names of ``--host``, ranges expanded.

    Raises:
        UsageError: It cannot be read.
    """
    from fleetctl.model.nodeset import expand

    try:
        return set(expand(text))
    except ValueError as error:
        raise UsageError(str(error), file="--host", hint="--host 'web[01-03],db1'") from None


async def _write_text(history: History, run: RunRecord, hosts: Sequence[HostRecord]) -> None:
    out = open_printer(sys.stdout, os.environ)
    verdict = out.paint(verdict_style(run), render_verdict(run))
    out.write(f"{out.paint('strong', run.id)}  {verdict}\n")
    facts = list(describe(run))
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        out.write(f"  {out.paint('faint', f'{name:<{width}}')}  {text}\n")
    notices = await history.notices(run.id)
    if notices:
        out.write("\n")
    for notice in notices[:_MAX_NOTICES]:
        subject = f"{notice.host}: " if notice.host else ""
        said = wiring.one_visible_line(f"{subject}{notice.message}")
        out.write(f"  {out.paint('faint', f'{notice.at.astimezone():%H:%M:%S}')}  {said}\n")
    if len(notices) > _MAX_NOTICES:
        out.write(f"  (and {len(notices) - _MAX_NOTICES} more; --format json has them all)\n")
    out.write("\n")
    out.flush()
    screen = wiring.Screen(
        wiring.View(format="gather", progress=False),
        stdout=sys.stdout,
        stderr=sys.stdout,
        environ=os.environ,
    )
    async for event in replay(history, run, hosts):
        screen.handle(event)
    screen.close()
    if screen.is_closed:
        raise BrokenPipeError
    for line in without_result(hosts):
        out.write(line + "\n")
    for line in _what_next(run, hosts):
        out.write(line + "\n")
    out.flush()


def _what_next(run: RunRecord, hosts: Sequence[HostRecord]) -> Sequence[str]:
    """Return the commands one may want now."""
    if run.state == "lost" or any(each.status == "cancelled" for each in hosts):
        return [f"do the rest: fleetctl history resume {run.id}"]
    bad = [name for name in ("failed", "unreachable") if _has(hosts, name)]
    if bad and run.state == "finished":
        return [f"do them again: fleetctl history rerun {run.id} --only {','.join(bad)}"]
    doubtful = [each.name for each in hosts if each.ran == "unknown"]
    if doubtful:
        return [f"nobody knows how it ended on {render_names(doubtful)}"]
    return []


def _has(hosts: Sequence[HostRecord], group: str) -> bool:
    statuses = ("failed", "timed_out") if group == "failed" else (group,)
    return any(each.status in statuses for each in hosts)
