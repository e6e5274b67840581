"""
Secrets that operations name by their source, made ready before anybody is contacted.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.secret import Secret
from fleetctl.wiring import one_visible_line

if TYPE_CHECKING:
    from fleetctl.secrets.source import SecretSource
    from fleetctl.wiring.expect import SecretUse

_PROMPT = "prompt"
#: Variables of hosts are looked up host by host.
_VARIABLE = "var:"


def read_secret_uses(
    uses: Sequence[SecretUse],
    terminal: Terminal,
    *,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
) -> dict[str, SecretSource]:
    """
    Return what the sources are, by their text; files and variables are read, a person is asked.

    Programs run when their secret is needed.

    Args:
        environ: Where ``env:NAME`` is looked up.
        warn: Told about files that others can read.

    Raises:
        UsageError: With all secrets that cannot be had; the person was not asked then.
    """
    if not uses:
        return {}
    from fleetctl.secrets.source import parse_source

    found: dict[str, SecretSource] = {}
    problems: list[Problem] = []
    questions: list[SecretUse] = []
    for use in uses:
        if use.source.startswith(_VARIABLE):
            continue
        if use.source.partition(":")[0] == _PROMPT:
            questions.append(use)
            if not terminal.is_there:
                problems.append(_problem(use, "there is no terminal to ask on", "env: or file:"))
            continue
        try:
            found[use.source] = parse_source(
                use.source, where="send_secret", environ=environ, warn=warn
            )
        except UsageError as error:
            problems += [_problem(use, each.message, each.hint) for each in error.problems]
    if problems:
        raise UsageError(problems=problems)
    for use in questions:
        found[use.source] = _ask(use)
    return found


def _ask(use: SecretUse) -> Secret:
    text = use.source.partition(":")[2].strip() or f"secret for {use.file}:{use.line}"
    try:
        answer = getpass.getpass(f"{one_visible_line(text.rstrip(':'))}: ")
    except EOFError:
        answer = ""
    if not answer:
        raise UsageError(problems=[_problem(use, "nothing was given", None)])
    return Secret(answer)


def _problem(use: SecretUse, message: str, hint: str | None) -> Problem:
    return Problem(message, use.file, use.line, use.column, hint)
