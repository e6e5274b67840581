"""
``fleetctl history rerun`` and ``resume``: a recorded command line, given again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from fleetctl.cli.again import reads_stdin, with_hosts
from fleetctl.cli.errors import say
from fleetctl.cli.facts import RESUME_OF
from fleetctl.cli.history_source import ask_or_end, complete_run
from fleetctl.cli.history_text import render_names, render_time, what_ran
from fleetctl.cli.invocation import Invocation, Repeat
from fleetctl.model.errors import UsageError

if TYPE_CHECKING:
    from fleetctl.wiring.recorded import History, RunRecord

EXIT_NOT_ALL = 1
_OF_OTHERS = re.compile(r"(?:rerun|rest) of \S+: ")
#: Runs among which those are looked for that did the rest of another.
_LOOKED_AT = 2000

_yes_option = click.option(
    "--yes", is_flag=True, help="Go on if the inventory has changed, and do not ask."
)


@dataclass(frozen=True, slots=True)
class Left:
    """
    What is left of a run, after all that was done of its rest since.

    Attributes:
        waiting: Nothing ran on them.
        unknown: It may have run on them, and nobody knows how it ended.
        done: How many are done.
    """

    run: RunRecord
    waiting: Sequence[str]
    unknown: Sequence[str]
    done: int


@click.command(
    epilog="\b\nExamples:\n  fleetctl history rerun last\n"
    "  fleetctl history rerun last --only failed,unreachable\n"
    "  fleetctl history rerun 20261121T18 --only class2 --yes"
)
@click.argument("run", default="last", shell_complete=complete_run)
@click.option(
    "--only", metavar="GROUP,…",
    help="Only hosts that were failed (or timed out), unreachable, skipped (or never started), "
    "unknown, changed, ok, or in class2.",
)  # fmt: skip
@_yes_option
@click.pass_context
def rerun(ctx: click.Context, run: str, only: str | None, yes: bool) -> int:
    """
    Do a recorded run again, on the same hosts or some of them.

    The command line is that of the run, in the folder where it was given; files that it names are
    read anew. Without --only it is done on all hosts of the run.
    """

    async def question(history: History) -> tuple[RunRecord, Sequence[str]]:
        record = await history.find(run)
        return record, await _chosen(history, record, only)

    record, names = ask_or_end(question)
    if not names:
        say(f"run {record.id} has no host to do again: none is {only}")
        return 0
    return _again(ctx, record, names, "rerun", yes=yes)


@click.command(
    short_help="Do the rest of a run that was cut short.",
    epilog="\b\nExamples:\n  fleetctl history resume last\n"
    "  fleetctl history resume last --include-unknown   # it may run twice there",
)
@click.argument("run", default="last", shell_complete=complete_run)
@click.option(
    "--include-unknown", is_flag=True,
    help="Also on hosts where it may have run already, and nobody knows how it ended.",
)  # fmt: skip
@_yes_option
@click.pass_context
def resume(ctx: click.Context, run: str, include_unknown: bool, yes: bool) -> int:
    """
    Do the rest of a run that was cut short, by a crash of this machine or by Ctrl-C.

    Hosts that have a result are left alone. So are hosts on which it may have run without a word
    of how it ended, unless --include-unknown is given; then the exit code is 1 at least, for
    nobody knows that all is done.
    """
    left = ask_or_end(lambda history: what_is_left(history, run))
    record = left.run
    names = [*left.waiting, *(left.unknown if include_unknown else ())]
    code = 0
    if names:
        order = {name: n for n, name in enumerate(ask_or_end(lambda h: _order(h, record)))}
        names.sort(key=lambda name: order.get(name, 0))
        code = _again(ctx, record, names, "resume", yes=yes)
    elif not left.unknown:
        done = f"{left.done} host{'s are' if left.done != 1 else ' is'} done"
        say(f"nothing is left of run {record.id}: {done}")
    if left.unknown and not include_unknown:
        say(
            f"left out, because it may have run there: {render_names(left.unknown)}",
            hint=f"look at them, then: fleetctl history resume {record.id} --include-unknown",
        )
        return code or EXIT_NOT_ALL
    return code


async def what_is_left(history: History, name: str) -> Left:
    """
    Return what is left of a run.

    Raises:
        UsageError: It goes on, or somebody does its rest right now.
        StoreError: The history cannot be read.
    """
    found = await history.resumption(name)
    run = found.run
    if run.state == "running":
        raise UsageError(
            f"run {run.id} is not over",
            hint=f"process {run.facts.pid} on {run.facts.controller} has it",
        )
    states = {
        **dict.fromkeys(found.done, "done"),
        **dict.fromkeys(found.waiting, "waiting"),
        **dict.fromkeys(found.unknown, "unknown"),
    }
    for later in await _family(history, run):
        if later.state == "running":
            raise UsageError(f"run {later.id} does the rest of {run.id} right now")
        part = await history.resumption(later.id)
        states |= {each: "done" for each in part.done if each in states}
        states |= {each: "unknown" for each in part.unknown if each in states}
    by_state = {
        state: tuple(each for each, its in states.items() if its == state)
        for state in ("done", "waiting", "unknown")
    }
    return Left(run, by_state["waiting"], by_state["unknown"], len(by_state["done"]))


async def _family(history: History, run: RunRecord) -> list[RunRecord]:
    """Return the runs that did of the rest what this one did not, oldest first."""
    runs = await history.runs(limit=_LOOKED_AT)
    parents = {each.id: each.facts.policy.get(RESUME_OF) for each in runs}
    root: object = run.id
    while parents.get(str(root)) is not None:
        root = parents[str(root)]
    members = {root}
    family = []
    is_later = run.id not in parents
    for each in reversed(runs):
        if parents[each.id] in members:
            members.add(each.id)
            if is_later:
                family.append(each)
        is_later = is_later or each.id == run.id
    return family


async def _order(history: History, run: RunRecord) -> list[str]:
    return [host.name for host in await history.hosts(run.id)]


async def _chosen(history: History, run: RunRecord, only: str | None) -> Sequence[str]:
    hosts = await history.hosts(run.id)
    if only is None:
        return [host.name for host in hosts]
    wanted: set[str] = set()
    for word in only.split(","):
        group = word.strip()
        wanted.update(await history.names(run.id, group))
        if group == "skipped":
            # To whoever asks, what was cancelled or never started was skipped as well.
            wanted.update(await history.names(run.id, "cancelled"))
            wanted.update(host.name for host in hosts if host.status is None and host.ran == "no")
    return [host.name for host in hosts if host.name in wanted]


def _again(
    ctx: click.Context,
    run: RunRecord,
    names: Sequence[str],
    how: Literal["rerun", "resume"],
    *,
    yes: bool,
) -> int:
    """Give the command line of the run for these hosts; return its exit code."""
    facts = run.facts
    root = ctx.find_root().command
    invocation = ctx.find_object(Invocation)
    assert isinstance(root, click.Group)
    assert invocation is not None
    command, depth = _command_of(ctx, root, facts.argv)
    if command is None:
        raise UsageError(f"run {run.id} is not one that can be done again")
    words = with_hosts(facts.argv, command, names, pattern=facts.pattern, depth=depth, yes=yes)
    _go_to(facts.cwd)
    _check_files(run, yes=yes)
    said = "again" if how == "rerun" else "the rest"
    which = f"run {run.id} ({render_time(run.started_at)}, {what_ran(run)})"
    say(f"{said} on {render_names(names)}: {which}")
    if reads_stdin(facts.argv):
        say("warning: what it had on standard input is not recorded; it is read again")
    word = "rerun" if how == "rerun" else "rest"
    repeat = Repeat(
        how=how,
        run_id=run.id,
        label=f"{word} of {run.id}: {_OF_OTHERS.sub('', run.label)}",
        check_sources=_source_check(run, yes=yes),
    )
    again = Invocation(
        argv=("fleetctl", *words),
        open_engine=invocation.open_engine,
        repeat=repeat,
        known_secrets=invocation.known_secrets,
    )
    with root.make_context("fleetctl", list(words), obj=again) as context:
        code = root.invoke(context)
    return code if isinstance(code, int) else 0


def _command_of(
    ctx: click.Context, root: click.Group, argv: Sequence[str]
) -> tuple[click.Command | None, int]:
    """Return the command that a command line names, and how many words its name has."""
    command: click.Command | None = root
    depth = 0
    while isinstance(command, click.Group):
        depth += 1
        command = command.get_command(ctx, argv[depth]) if depth < len(argv) else None
    return command, depth


def _go_to(folder: str) -> None:
    """
    Change to the folder where the command line was given: paths in it count from there.

    Raises:
        UsageError: It is not there any more.
    """
    try:
        if os.path.samefile(folder, os.curdir):
            return
        os.chdir(folder)
    except OSError as error:
        raise UsageError(
            f"the run was started in {folder}, which cannot be used: {error.strerror}"
        ) from None
    say(f"in {folder}")


def _source_check(run: RunRecord, *, yes: bool) -> Callable[[Sequence[str]], None]:
    """Return what compares inventories with those of the run."""

    def check(sources: Sequence[str]) -> None:
        from fleetctl.wiring.inputs import changes_between, hash_of_inputs, inventory_inputs

        now = inventory_inputs(sources)
        before = [one for one in run.facts.inputs if one.role in ("inventory", "vars")]
        if not run.facts.inventory_hash:
            say("warning: it is not known whether the inventory is what it was")
        elif hash_of_inputs(now) != run.facts.inventory_hash:
            changes = changes_between(before, now) or ["it is another one"]
            _need_consent("the inventory", run, changes, yes=yes)

    return check


def _check_files(run: RunRecord, *, yes: bool) -> None:
    """Compare scripts and the like with what they were."""
    from fleetctl.wiring.inputs import file_input

    changes = []
    for one in run.facts.inputs:
        if one.role not in ("inventory", "vars"):
            now = file_input(one.role, one.path)
            if now is None or now.sha256 != one.sha256:
                changes.append(f"{one.path} {'is gone' if now is None else 'has changed'}")
    if changes:
        _need_consent("what it runs", run, changes, yes=yes)


def _need_consent(what: str, run: RunRecord, changes: Sequence[str], *, yes: bool) -> None:
    """
    Go on with something that is not what it was only if somebody agrees.

    Raises:
        UsageError: Nobody does; no host was contacted.
    """
    message = f"{what} is not what it was in run {run.id}: {', '.join(changes)}"
    if yes:
        say(f"warning: {message}")
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        say(message)
        if click.confirm("Go on?", err=True):
            return
        raise UsageError("not confirmed: nobody was contacted")
    raise UsageError(message, hint="look at what is different, then add --yes")
