"""
``fleetctl help COMMAND``: the same text as ``fleetctl COMMAND --help``.
"""

from __future__ import annotations

import click


@click.command(epilog="\b\nExamples:\n  fleetctl help run\n  fleetctl help lab start")
@click.argument("command", nargs=-1)
@click.pass_context
def help(ctx: click.Context, command: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Show the help of a command."""
    context = ctx.find_root()
    for name in command:
        group = context.command
        found = group.get_command(context, name) if isinstance(group, click.Group) else None
        if found is None:
            raise click.exceptions.NoSuchCommand(name, ctx=context)
        context = click.Context(found, info_name=name, parent=context)
    click.echo(context.get_help())
