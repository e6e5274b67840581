"""
``fleetctl hosts``: which hosts a pattern means.
"""

from __future__ import annotations

import click

from fleetctl.cli.complete import complete_pattern
from fleetctl.cli.options import TargetOptions, target_options
from fleetctl.cli.targets import targets_of
from fleetctl.wiring import fold

EXAMPLES = """\b
Examples:
  fleetctl hosts 'web*:&eu'                # one per line
  fleetctl hosts all --exclude web --fold
  fleetctl hosts 'rack[1-3]-n[01-20]' --count
"""


@click.command(epilog=EXAMPLES)
@click.argument("pattern", shell_complete=complete_pattern)
@target_options
@click.option(
    "--expand", "form", flag_value="expand", default=True, help="One host per line (the default)."
)
@click.option("--fold", "form", flag_value="fold", help="All in one word, such as web[01-20].")
@click.option("--count", "form", flag_value="count", help="How many they are.")
def hosts(pattern: str, targets: TargetOptions, form: str) -> None:
    """Show which hosts a pattern means. Nobody is contacted."""
    names = [host.name for host in targets_of(pattern, targets)]
    match form:
        case "fold":
            click.echo(fold(names))
        case "count":
            click.echo(len(names))
        case _:
            click.echo("\n".join(names))
