"""
Groups of commands whose files are imported when they are typed: ``--help`` must not pay for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyCommands(click.Group):
    """
    A group that imports the file of a command when the command is asked for.

    Commands that are made in the group's own file may be added to it as to any other group.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        """
        Args:
            table: Command -> the module of `fleetctl.cli` that has it under that name, and its
                line in the group's help.
        """
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """
        Import a command.

        Raises:
            click.exceptions.NoSuchCommand: There is none; has the near misses.
        """
        if cmd_name not in self._table:
            command = super().get_command(ctx, cmd_name)
            if command is None and not cmd_name.startswith("-"):
                names = self.list_commands(ctx)
                raise click.exceptions.NoSuchCommand(cmd_name, possibilities=names, ctx=ctx)
            return command  # click says what is wrong with an option
        module = importlib.import_module(f"fleetctl.cli.{self._table[cmd_name][0]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        rows = [(name, line) for name, (_, line) in self._table.items()]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            rows.append((name, command.get_short_help_str() if command is not None else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
