"""
The settings files, as seen by a command: read when the first option asks, once per command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from fleetctl.cli.errors import say
from fleetctl.cli.state import config_directory
from fleetctl.config.find import find_files
from fleetctl.model.errors import UsageError

if TYPE_CHECKING:
    from fleetctl.config.load import Default

#: Where the context keeps them.
DEFAULTS = "fleetctl.defaults"


def defaults(ctx: click.Context | None = None) -> Mapping[str, Default]:
    """
    Return what options mean where the command line does not say, by name with underscores.

    Args:
        ctx: Of the command; None for the one that runs.

    Raises:
        UsageError: With all mistakes of the settings files.
    """
    meta = (ctx or click.get_current_context()).meta
    if DEFAULTS not in meta:
        meta[DEFAULTS] = _load()
    found: Mapping[str, Default] = meta[DEFAULTS]
    return found


def _load() -> Mapping[str, Default]:
    found = find_files(
        user_folder=config_directory(os.environ), named=os.environ.get("FLEETCTL_CONFIG")
    )
    for warning in found.warnings:
        say(f"warning: {warning.where}: {warning.message}", hint=warning.hint)
    if not found.files:
        return {}
    # A command without settings files does without YAML and without the records of trust.
    from fleetctl.cli.own import make_trust
    from fleetctl.config.load import load_settings

    trust = make_trust(os.environ)
    try:
        return load_settings(found.files, trust.is_trusted)
    except UsageError as error:
        raise trust.explain_all(error) from None
