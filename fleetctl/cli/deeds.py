"""
What a file would be allowed to do if it were trusted: the lines an untrusted one is refused for.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from pathlib import Path

from fleetctl.config.find import PROJECT_FILE, USER_FILE
from fleetctl.config.load import demands_of
from fleetctl.model.errors import Problem, UsageError
from fleetctl.wiring import demands_in

_REFUSAL = re.compile(r", which only a [a-z ]+ may do\Z")


def deeds_of(file: Path, data: bytes) -> list[Problem]:
    """
    Return the lines that need trust, in order, each with what it does.

    What a file is used for is not decided by its name: of all that it could be, everything is
    named. A file that cannot be read as any of it has none.

    Args:
        data: What is to be trusted; the file is not read again, as it could be another by now.
    """
    deeds: list[Problem] = []
    if data[:2] == b"#!" or os.access(file, os.X_OK):
        deeds.append(Problem("it is run as a program where an inventory is expected", str(file), 1))
    if file.name in (PROJECT_FILE, USER_FILE):
        with contextlib.suppress(UsageError):
            deeds += demands_of(data, str(file))
    deeds += demands_in(data, str(file))
    return [replace(each, message=_REFUSAL.sub("", each.message)) for each in deeds]
