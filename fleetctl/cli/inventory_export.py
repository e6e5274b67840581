"""
``fleetctl inventory export``: the whole inventory, for other tools or as one file.
"""

from __future__ import annotations

import json

import click

from fleetctl.cli.inventory_output import write_output
from fleetctl.cli.inventory_source import (
    note_hidden,
    open_inventory,
    output_option,
    show_secrets_option,
    show_warnings,
    source_options,
)
from fleetctl.cli.options import TargetOptions
from fleetctl.model.host import Host
from fleetctl.wiring.inventories import OpenInventory

EXAMPLES = """\b
Examples:
  fleetctl inventory export -i hosts.ini -i more/ --output fleet.yml
  fleetctl inventory export --format ansible | jq ._meta.hostvars
  fleetctl inventory export --format json
"""


@click.command(epilog=EXAMPLES)
@source_options
@click.option(
    "--format",
    "form",
    type=click.Choice(("yaml", "ansible", "json")),
    default="yaml",
    show_default=True,
    help="Our own form in one file, the JSON that `ansible-inventory --list` prints, or all hosts "
    "as `show --format json` has them.",
)
@show_secrets_option
@output_option
def export(targets: TargetOptions, form: str, show_secrets: bool, output: str | None) -> None:
    """
    Write the whole inventory out.

    What all sources together say, in one file. Values that were vaulted one by one stay vaulted.
    Other passwords are masked or, in YAML, left out.
    """
    opened = open_inventory(targets)
    if form == "yaml":
        written = opened.as_yaml(reveal=show_secrets)
        write_output(written.text, output, is_private=show_secrets)
        show_warnings(written.notes)
        return
    if form == "ansible":
        data = opened.ansible_listing(reveal=show_secrets)
    else:
        data = _everything(opened, reveal=show_secrets)
    # As ansible-inventory prints it, byte by byte.
    text = json.dumps(data, sort_keys=form == "ansible", indent=4)
    write_output(f"{text}\n", output, is_private=show_secrets)
    note_hidden(0 if show_secrets else opened.hidden_secrets())


def _everything(opened: OpenInventory, *, reveal: bool) -> dict[str, object]:
    return {
        "groups": {name: list(hosts) for name, hosts in opened.groups().items()},
        "hosts": {host.name: describe(opened, host, reveal=reveal) for host in opened.hosts},
    }


def describe(opened: OpenInventory, host: Host, *, reveal: bool) -> dict[str, object]:
    """Return groups, variables, and the settings that the inventory makes, each with its origin."""
    return {
        "name": host.name,
        "address": host.hostname,
        "groups": list(host.groups),
        "vars": opened.variables(host, reveal=reveal),
        "settings": {
            each.name: {"value": each.value, "origin": each.origin}
            for each in opened.settings(host)
        },
    }
