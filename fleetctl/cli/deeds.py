"""
What a file would be allowed to do if it were trusted: the lines an untrusted one is refused for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from fleetctl.config.find import PROJECT_FILE, USER_FILE
from fleetctl.config.load import demands_of
from fleetctl.model.errors import Problem, UsageError

_REFUSAL = ", which only a trusted file may do"


def deeds_of(file: Path, data: bytes) -> list[Problem]:
    """
    Return the lines that need trust, in order, each with what it does.

    A file of a kind that is not recognised, or that cannot be read as what it seems to be, has
    none.

    Args:
        data: What is to be trusted; the file is not read again, as it could be another by now.
    """
    if data[:2] == b"#!" or os.access(file, os.X_OK):
        return [Problem("it is run as a program where an inventory is expected", str(file), 1)]
    if file.name not in (PROJECT_FILE, USER_FILE):
        return []
    try:
        demands = demands_of(data, str(file))
    except UsageError:
        return []
    return [replace(each, message=each.message.removesuffix(_REFUSAL)) for each in demands]
