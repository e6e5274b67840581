"""
Groups of commands that are imported when they are typed.
"""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from fleetctl.cli.keys import COMMANDS, keys


def test_the_help_of_a_group_imports_none_of_its_commands():
    """
    ``fleetctl keys --help`` does not pay for what it lists.
    """
    code = (
        "import sys; from fleetctl.cli.main import main; main(['keys', '--help']); "
        "print([name for name in sys.modules if name.startswith('fleetctl.cli.keys_')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_a_command_that_is_not_there_has_near_misses():
    """
    As of the commands of fleetctl itself.
    """
    with pytest.raises(click.exceptions.NoSuchCommand) as caught:
        keys.get_command(click.Context(keys), "depoly")
    assert "deploy" in caught.value.format_message()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name):
    """
    Its module has it under its name.
    """
    command = keys.get_command(click.Context(keys), name)
    assert command is not None
    assert command.name == name
