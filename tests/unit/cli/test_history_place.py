"""
Where the history is, and how long runs stay in it, as the settings files say.
"""

from __future__ import annotations

import os

from fleetctl.cli.state import config_directory
from tests.unit.cli.fakes import fleetctl

WORDS = ("run", "-i", "web1,", "all", "--", "true")


def write_settings(text):
    """Write the user's own settings file."""
    folder = config_directory(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(text)


def recorded(capsys):
    """Return how many runs the history has."""
    capsys.readouterr()
    assert fleetctl("history", "list", "--format", "json") == 0
    return capsys.readouterr().out.count('"argv"')


def test_no_more_runs_are_kept_than_the_settings_say(capsys):
    """
    At the end of a run the oldest are forgotten.
    """
    write_settings("history_runs: 2\n")
    for _ in range(4):
        assert fleetctl(*WORDS) == 0
    assert recorded(capsys) == 2


def test_the_user_may_keep_no_history(capsys):
    """
    ``history: no`` in the user's own file is --no-history for every run.
    """
    write_settings("history: no\n")
    assert fleetctl(*WORDS) == 0
    assert recorded(capsys) == 0


def test_a_database_that_is_not_there_costs_no_result(capsys):
    """
    The run goes on, says that it could not be recorded, and ends with 6.
    """
    write_settings("history_url: postgresql://nobody@127.0.0.1:1/none\n")
    capsys.readouterr()
    assert fleetctl(*WORDS) == 6
    shown = capsys.readouterr()
    assert "web1" in shown.out
    assert "127.0.0.1" in shown.err
