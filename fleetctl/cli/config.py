"""
``fleetctl config``: how a host would be reached and logged in to, and which line says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

import click

from fleetctl.cli.complete import complete_host
from fleetctl.cli.effective import Effective, effective_settings
from fleetctl.cli.options import (
    LoginOptions,
    TargetOptions,
    inventory_option,
    login_options,
)
from fleetctl.cli.targets import ssh_settings_of, targets_of
from fleetctl.model.errors import UsageError
from fleetctl.wiring import fold, one_visible_line

EXAMPLES = """\b
Examples:
  fleetctl config web01
  fleetctl config web01 -o Port=2222 --format json
  fleetctl config -i 'deploy@10.0.0.5:2222,' 10.0.0.5
"""


@click.command(epilog=EXAMPLES)
@click.argument("host", shell_complete=complete_host)
@inventory_option
@login_options
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "ssh")),
    default="text",
    show_default=True,
    help="For people, one JSON object, or what `ssh -G` prints.",
)
def config(host: str, inventory: tuple[str, ...], login: LoginOptions, form: str) -> None:
    """
    Show every effective setting of a host, with the file and line that set it.

    Nobody is contacted.
    """
    targets = TargetOptions(inventory)
    if form == "ssh":
        texts = ssh_settings_of(host, targets, login)
        _refuse_several(text.partition("\n")[0].removeprefix("host ") for text in texts)
        click.echo(texts[0], nl=False)
        return
    found = targets_of(host, targets, login)
    _refuse_several(each.name for each in found)
    settings = list(effective_settings(found[0]))
    if form == "json":
        named = {each.name: {"value": each.value, "origin": each.origin} for each in settings}
        click.echo(json.dumps(named, indent=1))
    else:
        _print_table(settings)


def _refuse_several(names: Iterable[str]) -> None:
    found = list(names)
    if len(found) > 1:
        raise UsageError(f"config shows one host, not {len(found)}: {fold(found)}")


def _print_table(settings: Sequence[Effective]) -> None:
    names = max(len(each.name) for each in settings)
    texts = [one_visible_line(each.text) for each in settings]
    # A long list of algorithms must not push the origins of all others off the screen.
    values = max(len(text) for text in texts if len(text) <= 40)
    color = False if os.environ.get("NO_COLOR") else None
    for each, text in zip(settings, texts, strict=True):
        line = f"{each.name:<{names}}  {text:<{values}}  {one_visible_line(each.where)}"
        click.echo(click.style(line, dim=True) if each.is_default else line, color=color)
