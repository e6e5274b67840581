"""
The last look before many hosts are changed: whom it concerns, and whether that was meant.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import click

from fleetctl.cli.defaults import defaults
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.wiring import fold, names_in

DEFAULT_CONFIRM_ABOVE = 100

#: Variable of a host that must be named to be changed, and values that mean it.
PROTECTED = "protected"
_TRUE = frozenset({"true", "yes", "on", "1"})


def confirm(hosts: Sequence[Host], patterns: Sequence[str], *, yes: bool) -> None:
    """
    Refuse protected hosts that were not named, and ask about many hosts.

    Without a terminal nobody is asked: a script has decided already.

    Args:
        patterns: What the command line says about which hosts.
        yes: Do not ask.

    Raises:
        UsageError: A protected host was not named, or the answer is no; nobody was contacted.
    """
    if any(map(is_protected, hosts)):
        _refuse_unnamed(hosts, {name for pattern in patterns for name in names_in(pattern)})
    setting = defaults().get("confirm_above")
    above = DEFAULT_CONFIRM_ABOVE if setting is None else setting.value
    if yes or len(hosts) <= above or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    count = len(hosts)
    click.echo(f"{fold(host.name for host in hosts)} ({count})", err=True)
    question = f"These are more than {above} hosts. Type their number to go on"
    answer = click.prompt(question, default="", show_default=False, err=True)
    if str(answer).strip() != str(count):
        raise UsageError("not confirmed: nobody was contacted", hint="--yes skips the question")


def _refuse_unnamed(hosts: Sequence[Host], named: Collection[str]) -> None:
    unnamed = [host.name for host in hosts if is_protected(host) and host.name not in named]
    if unnamed:
        folded = fold(unnamed)
        are = "is protected and was" if len(unnamed) == 1 else "are protected and were"
        hint = f"add '{folded}' to the pattern to include, or -x '{folded}' to leave out"
        raise UsageError(problems=[Problem(f"{folded} {are} not named", hint=hint)])


def is_protected(host: Host) -> bool:
    """Tell whether a host's variable ``protected`` says so."""
    value = host.vars.get(PROTECTED)
    return value is True or str(value).strip().lower() in _TRUE
