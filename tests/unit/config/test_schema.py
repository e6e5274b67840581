"""
The settings and the options they stand for are the same things.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

from fleetctl.cli.options import CommandOptions, RunOptions
from fleetctl.config.schema import SettingsFile
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES
from fleetctl.model.run import DEFAULT_FORKS
from fleetctl.model.settings import HostSettings

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "07-settings-file.md"


def test_choices_are_those_of_the_options():
    """
    A format that --format takes can stand in the file, and no other.
    """
    options = get_type_hints(RunOptions)
    for name in ("format", "color"):
        field = SettingsFile.model_fields[name]
        assert get_args(field.annotation) == get_args(options[name])


def test_defaults_are_those_of_the_options():
    """
    Who reads the schema reads the truth.
    """
    defaults = SettingsFile()
    assert defaults.forks == DEFAULT_FORKS
    assert defaults.max_output == DEFAULT_MAX_OUTPUT_BYTES
    assert defaults.connect_timeout == HostSettings().connect_timeout_s


def test_every_setting_does_something_and_is_in_the_guide():
    """
    The guide's table has every setting, and no other.
    """
    rows = re.findall(r"^\| `(\w+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(SettingsFile.model_fields)
    from_options = {*get_type_hints(RunOptions), *get_type_hints(CommandOptions)}
    elsewhere = {"inventory", "connect_timeout", "confirm_above"}
    elsewhere |= {"history", "history_days", "history_runs", "history_size", "history_url"}
    assert set(rows) - elsewhere <= from_options
