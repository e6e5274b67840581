"""
From a selection to hosts, their settings resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetctl.model.errors import Problem
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which hosts, and what the command line says about reaching them.

    Attributes:
        sources: Files, or lists of hosts with a comma.
        pattern: What to select.
        limit: A pattern; only hosts it means as well are left.
        exclude: A pattern; the hosts it means are left out.
        overrides: (ssh_config keyword, words, option it came from), strongest first.
        vault_secrets: (vault id or None, password) of vaulted values.
    """

    sources: Sequence[str]
    pattern: str
    limit: str | None = None
    exclude: str | None = None
    overrides: Sequence[tuple[str, Sequence[str], str]] = ()
    vault_secrets: Sequence[tuple[str | None, Secret]] = ()


def find_hosts(
    selection: Selection,
    warn: Callable[[Problem], None],
    is_trusted: Callable[[Path, bytes], bool] | None = None,
) -> tuple[Host, ...]:
    """
    Return the hosts of the selection, in the order of the pattern.

    Args:
        warn: Told what was read but has no effect.
        is_trusted: Asked of a file, with its content, that wants to do what only a trusted one may.

    Raises:
        UsageError: All mistakes in the inventory or on the command line.
        NothingMatched: No host is left.
    """
    from fleetctl.inventory.load import load_inventory
    from fleetctl.inventory.pattern import select

    inventory = load_inventory(
        selection.sources,
        overrides=selection.overrides,
        is_trusted=is_trusted,
        vault_secrets=selection.vault_secrets,
    )
    for warning in inventory.warnings:
        warn(warning)
    return select(inventory, selection.pattern, limit=selection.limit, exclude=selection.exclude)


def split_words(text: str) -> tuple[str, ...]:
    """Split as a line of ssh_config is; see `fleetctl.inventory.assign.split_words`."""
    from fleetctl.inventory.assign import split_words as split

    return split(text)


def is_safe_user(name: str) -> bool:
    """Would ssh accept the name of a user; see `fleetctl.sshconfig.names.is_safe_user`."""
    from fleetctl.sshconfig.names import is_safe_user as is_safe

    return is_safe(name)
