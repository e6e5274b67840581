"""
The files that an inventory is read from, each with a hash of what is in it.

To tell later whether an inventory is what it was. A program counts as its file, not as what it
says; the ssh_config beside an inventory is not looked at.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleetctl.inventory.source import list_directory, read_bytes, shown_path
from fleetctl.inventory.vars_files import directories_of
from fleetctl.model.errors import UsageError

_VARS_FOLDERS = ("group_vars", "host_vars")
_MAX_DEPTH = 16


def hash_sources(sources: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """
    Yield ``(role, path, hash)`` of each source and of the folders of variables beside them.

    The role is ``inventory`` or ``vars``, the path as the user would recognise it, the hash SHA-256
    in hexadecimal digits: of a file, of its content; of a folder, of the names and hashes of the
    files in it; of a list of hosts, of its text. What cannot be read is left out.
    """
    for source in sources:
        path = Path(source)
        if "," in source and not os.path.exists(source):
            yield "inventory", source, hashlib.sha256(source.encode(errors="replace")).hexdigest()
        elif (found := _hash(path, 0, is_inventory=True)) is not None:
            yield "inventory", shown_path(path), found
    for directory in directories_of(sources):
        for name in _VARS_FOLDERS:
            folder = directory / name
            found = _hash(folder, 0, is_inventory=False) if folder.is_dir() else None
            if found is not None:
                yield "vars", shown_path(folder), found


def _hash(path: Path, depth: int, *, is_inventory: bool) -> str | None:
    """Return the hash of a file or folder; None if it cannot be read."""
    try:
        if not path.is_dir():
            return hashlib.sha256(read_bytes(path, str(path))).hexdigest()
        if depth > _MAX_DEPTH:
            return None
        names = list_directory(path, str(path), depth) if is_inventory else _visible(path)
    except (OSError, UsageError):
        return None
    whole = hashlib.sha256()
    for name in names or ():
        found = _hash(path / name, depth + 1, is_inventory=is_inventory)
        if found is not None:
            whole.update(f"{found} {name}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _visible(path: Path) -> list[str]:
    return sorted(name for name in os.listdir(path) if not name.startswith("."))
