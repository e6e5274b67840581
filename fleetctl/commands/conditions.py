"""
Under which conditions a command runs: its environment, folder, umask and niceness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Conditions:
    """
    What is different for the command from what a login gives.

    Attributes:
        env: Variables, set whatever the server's AcceptEnv says.
        cwd: Folder to run in; ``~`` and ``~name`` at its start are home folders on the host. None
            for the home of who logs in.
        umask: Bits that new files do not get, or None.
        nice: How much nicer than usual, from -20 to 19, or None. Source: nice(1).
    """

    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    umask: int | None = None
    nice: int | None = None

    @property
    def is_usual(self) -> bool:
        """Whether there is nothing to set."""
        return not self.env and self.cwd is None and self.umask is None and self.nice is None


#: As any login has them.
USUAL = Conditions()
