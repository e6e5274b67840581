"""
``fleetctl inventory``: what is in the inventory. Nobody is contacted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from fleetctl.cli.complete import complete_host
from fleetctl.cli.effective import Effective, effective_settings
from fleetctl.cli.options import TargetOptions, form_option, inventory_option
from fleetctl.cli.targets import targets_of
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.wiring import fold, one_visible_line

EXAMPLES = """\b
Examples:
  fleetctl inventory list
  fleetctl inventory show web01
  fleetctl inventory check -i hosts.yml && echo fine
"""


@click.group(epilog=EXAMPLES)
def inventory() -> None:
    """What is in the inventory. Nobody is contacted."""


@inventory.command(
    "list", epilog="\b\nExamples:\n  fleetctl inventory list\n  fleetctl inventory list -i web.yml"
)
@inventory_option
@form_option
def list_(inventory: tuple[str, ...], form: str) -> None:
    """Show the groups and their hosts, folded."""
    groups = hosts_by_group(_hosts(inventory))
    if form == "json":
        click.echo(json.dumps(groups, indent=1))
        return
    width = max(len(name) for name in groups)
    for name, names in groups.items():
        click.echo(f"{name:<{width}}  {len(names):>5}  {fold(names)}")


@inventory.command(
    epilog="\b\nExamples:\n  fleetctl inventory show db1\n"
    "  fleetctl inventory show db1 --format json"
)
@click.argument("host", shell_complete=complete_host)
@inventory_option
@form_option
def show(host: str, inventory: tuple[str, ...], form: str) -> None:
    """Show the groups, variables and settings of one host."""
    found = _hosts(inventory, host)
    if len(found) > 1:
        names = fold(each.name for each in found)
        raise UsageError(f"show is for one host, not {len(found)}: {names}")
    host_ = found[0]
    if form == "json":
        click.echo(json.dumps(describe(host_), indent=1, default=str))
    else:
        for line in _describe_lines(host_):
            click.echo(one_visible_line(line))


@inventory.command(epilog="\b\nExample:\n  fleetctl inventory check -i hosts.yml")
@inventory_option
def check(inventory: tuple[str, ...]) -> None:
    """
    Look for mistakes: exit 0 if there is none.

    All mistakes are shown, each with file, line and what to write instead; warnings too.
    """
    hosts = _hosts(inventory)
    groups = hosts_by_group(hosts)
    click.echo(f"no mistakes: {len(hosts)} hosts in {len(groups)} groups")


def _hosts(inventory: tuple[str, ...], pattern: str = "all") -> tuple[Host, ...]:
    return targets_of(pattern, TargetOptions(inventory))


def hosts_by_group(hosts: Sequence[Host]) -> dict[str, list[str]]:
    """Return the hosts of each group; ``all`` first, then by name."""
    groups: dict[str, list[str]] = {}
    for host in hosts:
        for group in host.groups:
            groups.setdefault(group, []).append(host.name)
    return dict(sorted(groups.items(), key=lambda pair: (pair[0] != "all", pair[0])))


def describe(host: Host) -> dict[str, object]:
    """Return groups, variables, and those settings that something sets, each with its origin."""
    return {
        "name": host.name,
        "address": host.hostname,
        "groups": list(host.groups),
        "vars": dict(host.vars),
        "settings": {
            each.name: {"value": each.value, "origin": each.origin} for each in _set_by_files(host)
        },
    }


def _describe_lines(host: Host) -> Iterator[str]:
    yield f"{host.name}: {host.hostname}"
    yield f"groups: {', '.join(host.groups)}"
    for name, value in host.vars.items():
        yield f"var: {name} = {json.dumps(value, default=str, ensure_ascii=False)}"
    for each in _set_by_files(host):
        yield f"setting: {each.name} {each.text}  ({each.origin})"


def _set_by_files(host: Host) -> list[Effective]:
    return [each for each in effective_settings(host) if not each.is_default]
