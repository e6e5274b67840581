"""
What lies beside an authorized_keys file: its lock, its backups, and what is about to replace it.

The names are the same whether a shell or SFTP does the work, so that both see each other's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from fleetctl.keys.place import BACKUPS_KEPT, Backup
from fleetctl.ssh.sftp import Entry

_MARK = ".fleetctl-"
_TIME = "%Y%m%dT%H%M%SZ"
# A plus sign for each earlier one of the same second.
_BACKUP = re.compile(re.escape(_MARK) + r"(\d{8}T\d{6}Z)-(.+?)\+*")
#: What a run is not called in the name of a file.
_ODD = re.compile(r"[^A-Za-z0-9_.:-]")


def lock_path(path: str) -> str:
    """
    Return the folder that is the lock of a file.

    What a change needs lies in it, so that nothing is left when it is gone.
    """
    return f"{path}{_MARK}lock"


def note_path(path: str) -> str:
    """Return where a lock says who holds it: mark, host, run and time, on one line."""
    return f"{lock_path(path)}/note"


def new_path(path: str) -> str:
    """Return where a new version is written before it takes the file's place."""
    return f"{lock_path(path)}/new"


def gone_path(path: str, mark: str) -> str:
    """Return where a lock is moved to be removed."""
    return f"{path}{_MARK}gone-{mark}"


def backup_path(path: str, at: int, run_id: str) -> str:
    """Return where the old version stays; ``at`` is in seconds since 1970 (UTC)."""
    time = datetime.fromtimestamp(at, UTC).strftime(_TIME)
    return f"{path}{_MARK}{time}-{one_word(run_id)}"


def one_word(text: str) -> str:
    """Return a text as it may stand in the name of a file, or between blanks."""
    return _ODD.sub("_", text) or "-"


def find_backups(path: str, entries: Iterable[Entry]) -> list[Backup]:
    """Return the backups of a file among the entries of its folder, newest first."""
    folder, _, name = path.rpartition("/")
    found = []
    for entry in entries:
        match = _BACKUP.fullmatch(entry.name.removeprefix(name))
        if match is None or not entry.name.startswith(name) or not entry.attributes.is_file:
            continue
        try:
            at = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
        except ValueError:
            continue
        size = entry.attributes.size or 0
        found.append(Backup(f"{folder}/{entry.name}", int(at.timestamp()), match[2], size))
    return sorted(found, key=lambda backup: (backup.at, backup.path), reverse=True)


def find_surplus(path: str, entries: Iterable[Entry]) -> list[str]:
    """Return the backups beyond those that are kept."""
    return [backup.path for backup in find_backups(path, entries)[BACKUPS_KEPT:]]


def find_gone(path: str, entries: Iterable[Entry]) -> list[str]:
    """Return the locks that were moved to be removed, and are still there."""
    folder, _, name = path.rpartition("/")
    start = gone_path(name, "")
    found = [entry for entry in entries if entry.name.startswith(start)]
    return [f"{folder}/{entry.name}" for entry in found if entry.attributes.is_directory]
