"""
The files that an Include line names.

Source: ssh_config(5), Include; glob(7).
"""

from __future__ import annotations

import glob
import os
import re

from fleetctl.sshconfig.surroundings import Surroundings

_USER_FOLDER = "~/.ssh"
_SYSTEM_FOLDER = "/etc/ssh"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def find_files(pattern: str, surroundings: Surroundings, *, is_system: bool) -> list[str]:
    """
    Return the paths that exist, sorted by their bytes.

    Args:
        pattern: Path with wildcards as for the shell; a relative one is looked up in ``~/.ssh``,
            or in ``/etc/ssh`` if a file of the system includes it.
        surroundings: For ``~``.
        is_system: Is the including file the system's?

    Raises:
        ValueError: A file of the system names a home directory.
    """
    if pattern.startswith("~"):
        if is_system:
            raise ValueError(f"bad include path {pattern}; a home directory is not possible here")
    elif not pattern.startswith("/"):
        pattern = f"{_SYSTEM_FOLDER if is_system else _USER_FOLDER}/{pattern}"
    return sorted(glob.glob(_for_python(_expand_tilde(pattern, surroundings))), key=os.fsencode)


def _expand_tilde(pattern: str, surroundings: Surroundings) -> str:
    """As glob(3) does it: by ``$HOME``, and a user that does not exist is left alone."""
    if not pattern.startswith("~"):
        return pattern
    user, slash, rest = pattern[1:].partition("/")
    home = surroundings.find_home(user) if user else surroundings.include_home
    return pattern if home is None else glob.escape(home) + slash + rest


def _for_python(pattern: str) -> str:
    """Translate backslash escapes, which Python's glob does not know."""
    return _ESCAPED.sub(lambda found: glob.escape(found[1]), pattern)
