"""
Which settings files there are, strongest first.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from fleetctl.model.errors import Problem, UsageError

PROJECT_FILE = "fleetctl.yml"
USER_FILE = "config.yml"


@dataclass(frozen=True, slots=True)
class Found:
    """
    What is to be read.

    Attributes:
        files: Strongest first.
        warnings: Why a file that is there is not among them.
    """

    files: tuple[Path, ...]
    warnings: tuple[Problem, ...] = ()


def find_files(*, user_folder: Path, named: str | None) -> Found:
    """
    Find the project's file, in the current folder, and the user's.

    Args:
        user_folder: Where the user's is.
        named: FLEETCTL_CONFIG; if it names a file, that is the only one.

    Raises:
        UsageError: The named file is not there.
    """
    if named:
        path = Path(named).expanduser()
        if not path.exists():
            raise UsageError("there is no such file", file=str(path), hint="unset FLEETCTL_CONFIG")
        return Found((path,))
    own = user_folder / USER_FILE
    files = [own] if own.exists() else []
    project = Path(PROJECT_FILE)
    if not project.exists():
        return Found(tuple(files))
    if project.absolute().parent.stat().st_mode & stat.S_IWOTH:
        # Anybody may have put it there, for whoever comes along.
        warning = Problem(
            "ignored, because everybody can write to this folder",
            PROJECT_FILE,
            hint="chmod o-w . if the folder is yours, or name the file in FLEETCTL_CONFIG",
        )
        return Found(tuple(files), (warning,))
    return Found((project, *files))
