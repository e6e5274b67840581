"""
What is said on stderr when something cannot be done: a line per problem, then what to do about it.

Only messages; who catches what, and the exit code, is `fleetctl.cli.main`'s business.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress

import click

from fleetctl.cli.invocation import known_secrets
from fleetctl.model.errors import Problem

#: Said one by one; beyond that only their number.
MOST_PROBLEMS = 200


def say(
    message: str, *, hint: str | None = None, redact: Callable[[str], str] | None = None
) -> None:
    """
    Write ``fleetctl: message`` and its hint to stderr, control characters escaped.

    Args:
        redact: Takes secrets out; None for those that the command knows.
    """
    from fleetctl.wiring import one_visible_line

    redact = redact or known_secrets().redact
    message, hint = redact(message), redact(hint) if hint else hint
    text = f"fleetctl: {one_visible_line(message)}\n"
    if hint:
        text += f"hint: {one_visible_line(hint)}\n"
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return  # stderr is closed: there is nobody left to tell


def show_problems(
    problems: Iterable[Problem], *, redact: Callable[[str], str] | None = None
) -> None:
    """
    Say the problems; a hint that several share is given once, after the first.

    Of more than `MOST_PROBLEMS` the rest is counted: nobody reads ten thousand lines.
    """
    given: set[str] = set()
    for number, problem in enumerate(problems := list(problems)):
        if number == MOST_PROBLEMS:
            say(f"and {len(problems) - number} more problems like these")
            break
        where = f"{problem.where}: " if problem.where else ""
        hint = None if problem.hint in given else problem.hint
        given.add(problem.hint or "")
        say(f"{where}{problem.message}", hint=hint, redact=redact)


def show_internal_error(
    error: BaseException, *, debug: bool, redact: Callable[[str], str] = lambda text: text
) -> None:
    """Say that fleetctl itself failed; the traceback only if asked for."""
    if debug:
        with suppress(OSError, ValueError, AttributeError):  # as in `say`
            sys.stderr.write(redact("".join(traceback.format_exception(error))))
    cause = " ".join(redact(f"{type(error).__name__}: {error}").split())
    hint = None if debug else "run the same command with --debug to see where it happened"
    say(f"internal error: {cause}", hint=hint)


def problem_of_click(error: click.ClickException) -> Problem:
    """Say in our words what click found wrong with the command line."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "fleetctl"
    problem = _what_is_wrong(error, context)
    if problem.startswith("got unexpected extra argument"):
        return Problem(problem, hint="quote a pattern, so that the shell leaves it alone: 'web*'")
    return Problem(problem, hint=f"{command} --help")


def _what_is_wrong(error: click.ClickException, context: click.Context | None) -> str:
    match error:
        case click.NoSuchOption():
            return f"no such option {error.option_name}{_did_you_mean(error.possibilities)}"
        case click.exceptions.NoSuchCommand():
            return f"no such command {error.command_name}{_did_you_mean(error.possibilities)}"
        case click.MissingParameter() if error.param is not None and context is not None:
            return f"{error.param.make_metavar(context)} is missing"
        case click.BadParameter() if error.param is not None:
            return f"{_name(error.param)}: {error.message.rstrip('.')}"
        case _:
            text = error.format_message().rstrip(".")
            return text[:1].lower() + text[1:]


def _name(param: click.Parameter) -> str:
    """Return the name as the documentation writes it: ``--forks``, ``PATTERN``."""
    return (
        max(param.opts, key=len) if isinstance(param, click.Option) else param.human_readable_name
    )


def _did_you_mean(possibilities: Iterable[str] | None) -> str:
    near = list(possibilities or ())  # the nearest comes first
    return f"; did you mean {near[0]}?" if near else ""
