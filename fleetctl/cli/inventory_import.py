"""
``fleetctl inventory import``: an inventory from what is there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.inventory_output import write_output
from fleetctl.cli.inventory_source import (
    open_inventory,
    output_option,
    show_secrets_option,
    show_warnings,
    vault_options,
)
from fleetctl.cli.options import TargetOptions
from fleetctl.cli.own import make_trust
from fleetctl.model.errors import UsageError
from fleetctl.wiring.inventories import FileKind, import_files, import_ssh_config

EXAMPLES = """\b
Examples:
  fleetctl inventory import ssh_config > hosts.yml        # ~/.ssh/config
  fleetctl inventory import ansible inventory/ --output hosts.yml
  fleetctl inventory import etc_hosts                     # /etc/hosts
  fleetctl inventory import known_hosts --skip-hashed
  fleetctl inventory import clustershell /etc/clustershell/groups.d/local.cfg
"""

#: Kind -> the file that is meant if none is named.
USUAL_FILES: Mapping[str, str] = {
    "ssh_config": "~/.ssh/config",
    "etc_hosts": "/etc/hosts",
    "known_hosts": "~/.ssh/known_hosts",
}
#: Kind -> what to do if there is no host in a file.
_HINTS = {"ssh_config": "a Host line without wildcards names one"}
#: Other words for a kind.
_ALIASES = {"/etc/hosts": "etc_hosts", "hosts": "etc_hosts"}


class Kind(click.Choice[str]):
    """What a file is; ``/etc/hosts`` is understood as well."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the kind; raises `click.BadParameter` with those that there are."""
        return super().convert(_ALIASES.get(value, value), param, ctx)


@click.command("import", epilog=EXAMPLES)
@click.argument("kind", type=Kind(("ssh_config", "ansible", *get_args(FileKind))))
@click.argument("files", nargs=-1, metavar="[FILE]...", shell_complete=complete_path)
@click.option(
    "--source", metavar="NAME", help="Of ClusterShell's groups, the group source to take."
)
@click.option("--skip-hashed", is_flag=True, help="Leave out hashed names of known_hosts.")
@vault_options
@show_secrets_option
@output_option
def import_(
    kind: Literal["ssh_config", "ansible"] | FileKind,
    files: tuple[str, ...],
    source: str | None,
    skip_hashed: bool,
    targets: TargetOptions,
    show_secrets: bool,
    output: str | None,
) -> None:
    """
    Make an inventory of what is there.

    Prints YAML in our own form, to be looked through and kept, and a warning for every line that
    could not be taken over. Nobody is contacted.
    """
    paths = files or _usual_file(kind)
    if kind == "ansible":
        opened = open_inventory(replace(targets, inventory=paths))
        written = opened.as_yaml(reveal=show_secrets)
    elif kind == "ssh_config":
        trust = make_trust(os.environ, named=paths)
        try:
            written = import_ssh_config(paths, environ=os.environ, is_trusted=trust.is_trusted)
        except UsageError as error:
            raise trust.explain_all(error) from None
    else:
        written = import_files(kind, paths, skip_hashed=skip_hashed, source=source)
    show_warnings(written.notes)
    if not written.hosts:
        raise UsageError(f"there is no host in {' and '.join(paths)}", hint=_HINTS.get(kind))
    write_output(written.text, output, is_private=show_secrets)


def _usual_file(kind: str) -> tuple[str, ...]:
    if kind not in USUAL_FILES:
        raise UsageError("which file?", hint=f"fleetctl inventory import {kind} FILE")
    return (os.path.expanduser(USUAL_FILES[kind]),)
