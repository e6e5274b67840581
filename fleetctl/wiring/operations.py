"""
Operations, made of plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.operation import Operation

if TYPE_CHECKING:
    from fleetctl.commands.conditions import Conditions
    from fleetctl.commands.connect import Seat


def make_ping() -> Operation:
    """Return the operation that only logs in."""
    from fleetctl.commands.ping import Ping

    return Ping()


def make_connect(seat: Seat) -> Operation:
    """Return the operation that is an interactive login; see `fleetctl.commands.connect`."""
    from fleetctl.commands.connect import Connect

    return Connect(seat)


def make_doctor() -> Operation:
    """Return the operation that looks at everything up to a command; see `fleetctl.commands`."""
    from fleetctl.commands.doctor import Doctor

    return Doctor()


def make_command(
    words: Sequence[str],
    *,
    stdin: bytes,
    conditions: Conditions,
    timeout_s: float | None,
    max_output_bytes: int,
    pty: bool,
) -> Operation:
    """Return the operation that runs a command; see `fleetctl.commands.command`."""
    from fleetctl.commands.command import Command, command_of

    line, arguments = command_of(words)
    return Command(
        line=line,
        words=arguments,
        stdin=stdin,
        conditions=conditions,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
        pty=pty,
    )


def make_script(
    name: str,
    code: bytes,
    *,
    arguments: Sequence[str],
    stdin: bytes,
    conditions: Conditions,
    timeout_s: float | None,
    max_output_bytes: int,
    pty: bool,
) -> Operation:
    """
    Return the operation that runs a script; see `fleetctl.commands.script`.

    Args:
        name: What the script sees as ``$0``.
    """
    from fleetctl.commands.script import Script

    return Script(
        name=name,
        code=code,
        arguments=tuple(arguments),
        stdin=stdin,
        conditions=conditions,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
        pty=pty,
    )


def make_shell(  # noqa: PLR0913 - what the command line can say
    script: bytes,
    *,
    name: str,
    env: Mapping[str, str],
    timeout_s: float | None,
    max_output_bytes: int,
    pty: bool,
    waits_for_prompt: bool,
    prompt_regex: str | None,
    record: str | None,
) -> Operation:
    """
    Return the operation that feeds the login shell; see `fleetctl.commands.shell`.

    Args:
        name: What messages and transcripts call the script.

    Raises:
        UsageError: It cannot be typed on a terminal, or the regex describes no prompt.
    """
    from fleetctl.commands.prompts import problem_of_pattern
    from fleetctl.commands.shell import Shell, problems_of_typing

    problems = []
    if prompt_regex is not None and (problem := problem_of_pattern(prompt_regex)):
        problems.append(Problem(problem, "--prompt-regex"))
    if pty:
        problems += [replace(problem, file=name) for problem in problems_of_typing(script)]
    if problems:
        raise UsageError(problems=problems)
    return Shell(
        script,
        name=name,
        env=env,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
        pty=pty,
        waits_for_prompt=waits_for_prompt,
        prompt_regex=prompt_regex,
        record=record,
    )


def check_script(code: bytes, file: str) -> None:
    """
    See whether a file can be a script at all.

    Args:
        file: What messages call it.

    Raises:
        UsageError: It is empty, too large, no text, or written for another system.
    """
    from fleetctl.commands.script import problems_of

    if problems := problems_of(code):
        raise UsageError(problems=[replace(problem, file=file) for problem in problems])


def make_conditions(
    env: Mapping[str, str], *, cwd: str | None, umask: int | None, nice: int | None
) -> Conditions:
    """Return under which conditions a command runs; see `fleetctl.commands.conditions`."""
    from fleetctl.commands.conditions import Conditions

    return Conditions(env=env, cwd=cwd, umask=umask, nice=nice)
