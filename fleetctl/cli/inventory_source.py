"""
What the ``inventory`` commands have in common: opening an inventory, and saying what was left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from fleetctl.cli.complete import Items, complete_path, complete_pattern
from fleetctl.cli.errors import say
from fleetctl.cli.options import TargetOptions, inventory_option
from fleetctl.cli.targets import look_up
from fleetctl.model.errors import Problem
from fleetctl.wiring import Selection
from fleetctl.wiring.inventories import IsTrusted, OpenInventory
from fleetctl.wiring.inventories import open_inventory as read_inventory

Command = TypeVar("Command", bound=Callable[..., Any])

_VAULT_OPTIONS = (
    click.option(
        "--vault-password-file",
        metavar="FILE",
        shell_complete=complete_path,
        help="Read the password of vaulted values from the first line of a file.",
    ),
    click.option(
        "--vault-id",
        multiple=True,
        metavar="LABEL@FILE",
        help="The same for values vaulted under a label; may be given several times.",
    ),
)

#: Whether to print what is not to be seen over somebody's shoulder.
show_secrets_option = click.option(
    "--show-secrets",
    is_flag=True,
    help="Print passwords that are not vaulted by themselves; without it they are [secret].",
)

#: Where to write, instead of standard output.
output_option = click.option(
    "--output",
    metavar="FILE",
    shell_complete=complete_path,
    help="Write to a file, which is replaced as a whole; default: standard output.",
)


def source_options(command: Command) -> Command:
    """Add the options that choose an inventory; the command gets them as ``targets``."""
    return vault_options(inventory_option(command), names=("inventory",))


def vault_options(command: Command, *, names: tuple[str, ...] = ()) -> Command:
    """Add the options for vaulted values; the command gets them as ``targets``."""

    @functools.wraps(command)
    def with_targets(**values: Any) -> Any:
        given = {name: values.pop(name) for name in (*names, "vault_password_file", "vault_id")}
        return command(targets=TargetOptions(**{"inventory": (), **given}), **values)

    for option in reversed(_VAULT_OPTIONS):
        with_targets = option(with_targets)
    return with_targets  # type: ignore[return-value]  # click passes options by keyword, whatever they are


def open_inventory(targets: TargetOptions) -> OpenInventory:
    """
    Read the inventories of a command line, and say what they warn of.

    Raises:
        UsageError: All mistakes in them.
    """

    def ask(selection: Selection, is_trusted: IsTrusted) -> OpenInventory:
        return read_inventory(
            selection.sources, is_trusted=is_trusted, vault_secrets=selection.vault_secrets
        )

    opened = look_up("all", targets, None, ask)
    show_warnings(opened.warnings)
    return opened


def show_warnings(warnings: Iterable[Problem]) -> None:
    """Say every warning; a hint that several share is given once, after the first."""
    given: set[str | None] = set()
    for warning in warnings:
        where = f"{warning.where}: " if warning.where else ""
        hint = None if warning.hint in given else warning.hint
        given.add(warning.hint)
        say(f"warning: {where}{warning.message}", hint=hint)


def note_hidden(number: int) -> None:
    """Say that so many secrets were masked."""
    if number:
        what = "secret is" if number == 1 else "secrets are"
        say(f"{number} {what} shown as [secret]; --show-secrets prints them")


def complete_group(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Groups of the inventory."""
    bare = incomplete.removeprefix("@")
    at = incomplete[: len(incomplete) - len(bare)]
    items = complete_pattern(ctx, param, f"@{bare}")
    for item in items:
        item.value = f"{at}{item.value.removeprefix('@')}"
    return items
