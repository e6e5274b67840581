"""
What could stand where the cursor is: hosts, groups, settings, files.

Used by options and arguments while a shell completes; nobody is contacted, and what is wrong with
an inventory is not said here, but when the command is run.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from fleetctl.model.errors import UsageError
from fleetctl.model.settings import OPTIONS, find_option

Items = list[CompletionItem[str]]

#: A pattern up to the last name in it: what comes before, and the name so far.
_LAST_NAME = re.compile(r"(.*[:,&!@])?([^:,&!@]*)", re.DOTALL)


def complete_path(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Leave it to the shell to find files."""
    return [CompletionItem(incomplete, type="file")]


def complete_inventory(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Files, unless a list of hosts is being written."""
    return [] if "," in incomplete else complete_path(ctx, param, incomplete)


def complete_pattern(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Groups and hosts of the inventory, for the last name of a pattern."""
    match = _LAST_NAME.fullmatch(incomplete)
    assert match is not None
    before, begun = match[1] or "", match[2]
    hosts, groups = _names(ctx)
    items = [
        CompletionItem(f"{before}{name}", help=f"group, {_count(size)}")
        for name, size in sorted(groups.items())
        if name.startswith(begun)
    ]
    if not before.endswith("@"):
        items += [CompletionItem(f"{before}{name}") for name in hosts if name.startswith(begun)]
    return items


def complete_limit(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """A pattern, or ``@`` and a file."""
    items = complete_pattern(ctx, param, incomplete)
    if incomplete.startswith("@") and not items:
        return [CompletionItem(incomplete, type="file")]
    return items


def complete_host(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Hosts of the inventory."""
    return [CompletionItem(name) for name in _names(ctx)[0] if name.startswith(incomplete)]


def complete_setting(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """``Keyword=`` of the honoured options, and their values where these are known."""
    keyword, equals, begun = incomplete.partition("=")
    if equals:
        option = find_option(keyword)
        values = option.values if option is not None else ()
        return [CompletionItem(f"{keyword}={each}") for each in values if each.startswith(begun)]
    return [
        CompletionItem(f"{option.name}=", help=option.help)
        for option in OPTIONS
        if option.treatment in ("honoured", "resolving")
        and option.name.lower().startswith(keyword.lower())
    ]


def _names(ctx: click.Context) -> tuple[list[str], Counter[str]]:
    """Return the hosts of the chosen inventory, and how many each group has."""
    from fleetctl.cli.defaults import defaults
    from fleetctl.cli.targets import choose_inventory
    from fleetctl.wiring import Selection, find_hosts

    try:
        sources = choose_inventory(
            ctx.params.get("inventory") or (),
            os.environ,
            lambda _: None,
            configured=defaults(ctx).get("inventory"),
        )
        hosts = find_hosts(Selection(sources, "all"), lambda _: None, _runs_nothing)
    except (UsageError, OSError):
        return [], Counter()
    return [host.name for host in hosts], Counter(group for host in hosts for group in host.groups)


def _runs_nothing(path: Path, data: bytes) -> bool:
    """No key press may start a program or weaken anything."""
    return False


def _count(number: int) -> str:
    return f"{number} host{'' if number == 1 else 's'}"
