"""
``fleetctl inventory``: what is in the inventory. Nobody is contacted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from fleetctl.cli.complete import complete_host
from fleetctl.cli.inventory_export import describe, export
from fleetctl.cli.inventory_import import import_
from fleetctl.cli.inventory_source import (
    complete_group,
    note_hidden,
    open_inventory,
    show_secrets_option,
    source_options,
)
from fleetctl.cli.options import TargetOptions, form_option
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.wiring import fold, one_visible_line
from fleetctl.wiring.inventories import OpenInventory

EXAMPLES = """\b
Examples:
  fleetctl inventory list
  fleetctl inventory graph web --vars
  fleetctl inventory show web01
  fleetctl inventory check -i hosts.yml && echo fine
  fleetctl inventory import ssh_config > hosts.yml
  fleetctl inventory export --format ansible
"""


@click.group(epilog=EXAMPLES)
def inventory() -> None:
    """What is in the inventory. Nobody is contacted."""


inventory.add_command(export)
inventory.add_command(import_)


@inventory.command(
    "list", epilog="\b\nExamples:\n  fleetctl inventory list\n  fleetctl inventory list -i web.yml"
)
@source_options
@form_option
def list_(targets: TargetOptions, form: str) -> None:
    """Show the groups and their hosts, folded."""
    groups = open_inventory(targets).groups()
    if form == "json":
        click.echo(json.dumps({name: list(hosts) for name, hosts in groups.items()}, indent=1))
        return
    width = max(map(len, groups), default=0)
    for name, names in groups.items():
        click.echo(f"{name:<{width}}  {len(names):>5}  {fold(names)}")


@inventory.command(
    epilog="\b\nExamples:\n  fleetctl inventory graph\n  fleetctl inventory graph web --vars"
)
@click.argument("group", default="all", shell_complete=complete_group)
@source_options
@click.option("--vars", "with_variables", is_flag=True, help="Show the variables too.")
@show_secrets_option
def graph(group: str, targets: TargetOptions, with_variables: bool, show_secrets: bool) -> None:
    """
    Draw the groups, those inside them, and their hosts.

    Without GROUP, all of them. The drawing is that of `ansible-inventory --graph`.
    """
    opened = open_inventory(targets)
    lines = opened.graph(
        group.removeprefix("@"), with_variables=with_variables, reveal=show_secrets
    )
    for line in lines:
        click.echo(one_visible_line(line))
    note_hidden(sum("[secret]" in line for line in lines) if not show_secrets else 0)


@inventory.command(
    epilog="\b\nExamples:\n  fleetctl inventory show db1\n"
    "  fleetctl inventory show db1 --format json"
)
@click.argument("host", shell_complete=complete_host)
@source_options
@form_option
@show_secrets_option
def show(host: str, targets: TargetOptions, form: str, show_secrets: bool) -> None:
    """
    Show the groups and variables of one host, and the settings that the inventory makes.

    What counts in the end, together with ssh_config and defaults: `fleetctl config HOST`.
    """
    opened = open_inventory(targets)
    found = opened.select(host)
    if len(found) > 1:
        names = fold(each.name for each in found)
        raise UsageError(f"show is for one host, not {len(found)}: {names}")
    if form == "json":
        shown = describe(opened, found[0], reveal=show_secrets)
        click.echo(json.dumps(shown, indent=1))
    else:
        for line in _describe_lines(opened, found[0], reveal=show_secrets):
            click.echo(one_visible_line(line))


@inventory.command(epilog="\b\nExample:\n  fleetctl inventory check -i hosts.yml")
@source_options
def check(targets: TargetOptions) -> None:
    """
    Look for mistakes: exit 0 if there is none.

    All mistakes are shown, each with file, line and what to write instead; warnings too.
    """
    opened = open_inventory(targets)
    click.echo(f"no mistakes: {len(opened.hosts)} hosts in {len(opened.groups())} groups")


def _describe_lines(opened: OpenInventory, host: Host, *, reveal: bool) -> Iterator[str]:
    yield f"{host.name}: {host.hostname}"
    yield f"groups: {', '.join(host.groups)}"
    for name, value in opened.variables(host, reveal=reveal).items():
        yield f"var: {name} = {json.dumps(value, ensure_ascii=False)}"
    for each in opened.settings(host):
        yield f"setting: {each.name} {each.text}  ({each.origin})"
