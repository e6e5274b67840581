"""
``fleetctl expect``: try expect scripts on recorded dialogues. Nobody is contacted.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.errors import say
from fleetctl.cli.options import form_option
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.operation import Operation
from fleetctl.wiring.expect import Replay, SecretUse, make_expect, replay_expect

EXAMPLES = """\b
Examples:
  fleetctl shell web01 --expect menu.yml --record casts    # play it, and record
  fleetctl expect test menu.yml --transcript casts/web01.cast
  asciinema play casts/web01.cast                          # watch it
"""


@click.group(epilog=EXAMPLES)
def expect() -> None:
    """Try expect scripts on recorded dialogues. Nobody is contacted."""


@expect.command(
    epilog="\b\nExamples:\n"
    "  fleetctl expect test menu.yml --transcript casts/web01.cast\n"
    "  fleetctl expect test menu.yml --transcript web01.cast --var port=8080"
)
@click.argument("file", shell_complete=complete_path)
@click.option(
    "--transcript",
    "transcripts",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_path,
    help="A dialogue as recorded with --record, or any asciicast; repeatable.",
)
@click.option(
    "--var",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable that the host had; repeatable.",
)
@form_option
def test(file: str, transcripts: tuple[str, ...], assignments: tuple[str, ...], form: str) -> int:
    """
    Play a script against transcripts: exit 0 if it does what was recorded.

    What the program wrote comes from the transcript, and time as well, so that it takes none. What
    the script sends must be what was sent. The first difference is shown, with its line. No secret
    is read.
    """
    if not transcripts:
        raise UsageError(
            "there is no transcript to play it against",
            hint=f"record one: fleetctl shell HOST --expect {shlex.quote(file)} --record casts",
        )
    replays = replay_expect(file, transcripts, _variables(assignments))
    if form == "json":
        click.echo(json.dumps([_as_json(each) for each in replays], indent=1))
    else:
        for each in replays:
            _show(each)
    return 1 if any(each.problem for each in replays) else 0


def expect_operation(
    path: str,
    *,
    env: Mapping[str, str],
    timeout_s: float | None,
    max_output_bytes: int,
    record: str | None,
) -> tuple[Operation, Sequence[SecretUse]]:
    """
    Return the operation that plays a script which the user named, and the secrets it asks for.

    Raises:
        UsageError: All mistakes in the script; it names secrets and others can write to it.
    """
    from fleetctl.cli.own import make_trust

    judge = make_trust(os.environ, named=[path])
    try:
        return make_expect(
            path,
            is_trusted=judge.is_trusted,
            env=env,
            timeout_s=timeout_s,
            max_output_bytes=max_output_bytes,
            record=record,
        )
    except UsageError as error:
        raise judge.explain_all(error) from None


def _variables(assignments: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in assignments]
    problems = [
        Problem(f'NAME=VALUE is expected, not "{name}"', "--var", hint="--var port=8080")
        for name, equals, _ in pairs
        if not equals or not name
    ]
    if problems:
        raise UsageError(problems=problems)
    return {name: value for name, _, value in pairs}


def _show(replay: Replay) -> None:
    from fleetctl.wiring import one_visible_line

    if replay.problem is not None:
        say(replay.problem)
        return
    replayed = replay.replayed
    parts = [f"{replayed.sent} sent as recorded", f"{replayed.took_s:.1f} s of dialogue"]
    if not replayed.compares_input:
        parts[0] = f"{replayed.sent} sent, and nothing to compare it with"
    parts += [f"{name}={value}" for name, value in replayed.captured.items()]
    click.echo(one_visible_line(f"{replay.transcript}: ok, {', '.join(parts)}"))


def _as_json(replay: Replay) -> dict[str, object]:
    replayed = replay.replayed
    return {
        "transcript": replay.transcript,
        "ok": replay.problem is None,
        "problem": replay.problem,
        "captured": dict(replayed.captured),
        "sent": replayed.sent,
        "dialogue_s": round(replayed.took_s, 6),
        "input_compared": replayed.compares_input,
    }
