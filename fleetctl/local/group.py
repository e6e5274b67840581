"""
A process group: signalled as a whole, gone when nobody in it lives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
#: A process that has ended and waits for its parent to notice. Source: proc(5), /proc/pid/stat.
_ENDED_STATES = (b"Z", b"X")


class ProcessGroup:
    """
    The group whose leader has this process id.

    Its number cannot be taken by another group as long as anybody is in it, the ended ones whom
    nobody has waited for included; once it was seen empty, nothing is sent to it any more.
    """

    def __init__(self, leader_pid: int) -> None:
        self._id = leader_pid
        self._was_empty = False

    def signal(self, number: int) -> bool:
        """
        Send a signal to all members.

        Returns:
            Whether there were any; those of another user, who cannot be signalled, count.

        Source: kill(2).
        """
        if self._was_empty:
            return False
        try:
            os.killpg(self._id, number)
        except ProcessLookupError:
            self._was_empty = True
        except PermissionError:
            pass
        return not self._was_empty

    def has_living_members(self) -> bool:
        """Look whether any member still runs; what has ended counts although nobody waited."""
        if self._was_empty:
            return False
        try:
            os.killpg(self._id, 0)
        except ProcessLookupError:
            self._was_empty = True
            return False
        except PermissionError:
            return True  # nobody but members of other users
        # An orphan that has ended stays a member until init waits for it, which in a container
        # may be never.
        states = list(self._states())
        return not states or any(state not in _ENDED_STATES for state in states)

    def _states(self) -> Iterator[bytes]:
        """Yield the state of every member; nothing where there is no /proc as Linux has it."""
        entries = os.listdir(_PROC) if (_PROC / "self" / "stat").exists() else ()
        for entry in entries:
            # Processes end while they are looked at.
            with suppress(OSError):
                if entry.isdecimal():
                    # The name before it, in parentheses, may hold anything.
                    fields = (_PROC / entry / "stat").read_bytes().rpartition(b")")[2].split()
                    if int(fields[2]) == self._id:
                        yield fields[0]
