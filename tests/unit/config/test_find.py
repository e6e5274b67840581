"""
Which settings files are read.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetctl.config.find import find_files
from fleetctl.model.errors import UsageError


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """The user's folder; we stand in a project beside it."""
    folder = tmp_path / "config" / "fleetctl"
    folder.mkdir(parents=True)
    (tmp_path / "project").mkdir(mode=0o755)
    monkeypatch.chdir(tmp_path / "project")
    return folder


def test_none_is_found_where_none_is(user_folder):
    """
    Without files there is nothing to read and nothing to warn about.
    """
    found = find_files(user_folder=user_folder / "not" / "there", named=None)
    assert (found.files, found.warnings) == ((), ())


def test_the_projects_file_comes_before_the_users(user_folder):
    """
    The nearer one is stronger.
    """
    (user_folder / "config.yml").touch()
    assert find_files(user_folder=user_folder, named="").files == (user_folder / "config.yml",)
    Path("fleetctl.yml").touch()
    assert find_files(user_folder=user_folder, named=None).files == (
        Path("fleetctl.yml"),
        user_folder / "config.yml",
    )


def test_S26_a_file_where_everybody_can_write_is_ignored_with_a_warning(user_folder):
    """
    In /tmp and the like, anybody can leave a fleetctl.yml for whoever comes along.
    """
    (user_folder / "config.yml").touch()
    Path("fleetctl.yml").touch()
    Path.cwd().chmod(0o1777)
    found = find_files(user_folder=user_folder, named=None)
    assert found.files == (user_folder / "config.yml",)
    (warning,) = found.warnings
    assert str(warning).startswith("fleetctl.yml: ignored, because everybody can write to this")


def test_a_named_file_is_the_only_one(user_folder, tmp_path, monkeypatch):
    """
    FLEETCTL_CONFIG replaces both; a file that is not there is an error.
    """
    (user_folder / "config.yml").touch()
    Path("fleetctl.yml").touch()
    (tmp_path / "mine.yml").touch()
    named = str(tmp_path / "mine.yml")
    assert find_files(user_folder=user_folder, named=named).files == (tmp_path / "mine.yml",)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_files(user_folder=user_folder, named="~/mine.yml").files == (Path(named),)
    with pytest.raises(UsageError, match=r"nope\.yml: there is no such file"):
        find_files(user_folder=user_folder, named="nope.yml")
