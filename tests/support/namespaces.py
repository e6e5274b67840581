"""
A machine of a daemon's own: the same programs, other files.

In its mount namespace ``/etc``, ``/home``, ``/root``, ``/run``, ``/tmp`` and the logs are the
test's. This machine's files are neither changed nor seen.

Processes are found by their namespace, whoever runs them and whatever they have left behind: its
mounts carry the name of the host's directory.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fleetctl.lab.layout import LabError
from fleetctl.lab.processes import reap
from tests.support.patience import PATIENCE_S

#: $1 names the mounts, $2 is the host's directory, the rest the daemon.
_ENTER = """
set -eu
mount -t tmpfs -o mode=755 "$1" /run
mount -t tmpfs -o mode=755 "$1" /var/log
mount -t tmpfs -o mode=700 "$1" /var/lib/sudo
mkdir -m 755 /run/sshd /run/lock
touch /run/utmp /var/log/wtmp /var/log/btmp /var/log/lastlog
mount --bind "$2/root" /root
mount --bind "$2/etc" /etc
mount --bind "$2/home" /home
mount -t tmpfs -o mode=1777 "$1" /var/tmp
mount -t tmpfs -o mode=1777 "$1" /tmp
shift 2
exec "$@"
"""

_UNSHARE = (
    *("/usr/bin/unshare", "--mount", "--propagation", "private"),
    *("sh", "-c", _ENTER, "enter"),
)


def enter_argv(directory: Path) -> list[str]:
    """
    Return what to put before a daemon's command line.

    Args:
        directory: The host's; has ``etc``, ``home`` and ``root``. Its parent's name says which test
            run it is of.
    """
    return [*_UNSHARE, _tag(directory), str(directory)]


def inhabitants(directory: Path) -> set[int]:
    """Return all processes in the namespace of a host, the daemon included."""
    return _with_mount(f" - tmpfs {_tag(directory)} ")


def inhabitants_of_all(directory: Path) -> set[int]:
    """Return the same for all hosts of a test run; ``directory`` is their parent."""
    return _with_mount(f" - tmpfs {directory.name}:")


def _tag(directory: Path) -> str:
    return f"{directory.parent.name}:{directory.name}"


def _with_mount(mark: str) -> set[int]:
    # Source: proc(5), /proc/pid/mountinfo; may be read without the right to trace a process.
    found = set()
    for entry in os.listdir("/proc"):
        # Processes end while they are looked at.
        with suppress(OSError):
            if entry.isdecimal() and mark in Path("/proc", entry, "mountinfo").read_text():
                found.add(int(entry))
    return found


def end(find: Callable[[], set[int]]) -> None:
    """
    Kill the processes that are found, until none is.

    Raises:
        LabError: They do not end.
    """
    until = time.monotonic() + PATIENCE_S
    while pids := find():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap(pids)
        if time.monotonic() > until:
            raise LabError(f"processes do not end: {sorted(pids)}")
        time.sleep(0.01)
