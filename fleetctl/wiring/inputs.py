"""
What decided what a run does: its files, with hashes, for the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from fleetctl.store.facts import InputFile, RunFacts

__all__ = [
    "InputFile",
    "RunFacts",
    "changes_between",
    "file_input",
    "hash_of_inputs",
    "inventory_inputs",
]


def inventory_inputs(sources: Sequence[str]) -> tuple[InputFile, ...]:
    """
    Return the inventories and the folders of variables beside them, as they are now. Blocks.

    Args:
        sources: As of `fleetctl.wiring.Selection`.
    """
    from fleetctl.inventory.content import hash_sources

    return tuple(InputFile(role, path, found) for role, path, found in hash_sources(sources))


def file_input(role: str, path: str) -> InputFile | None:
    """Return a file as it is now; None if it cannot be read. Blocks."""
    try:
        return InputFile(role, path, hashlib.sha256(Path(path).read_bytes()).hexdigest())
    except OSError:
        return None


def hash_of_inputs(inputs: Iterable[InputFile]) -> str:
    """Return one hash over the inventories among these, to notice that they have changed."""
    whole = hashlib.sha256()
    for one in inputs:
        if one.role in ("inventory", "vars"):
            whole.update(f"{one.sha256} {one.role} {one.path}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def changes_between(before: Iterable[InputFile], now: Iterable[InputFile]) -> list[str]:
    """Return what is different, a few words each: ``hosts.yml has changed``."""
    old = {(one.role, one.path): one.sha256 for one in before}
    new = {(one.role, one.path): one.sha256 for one in now}
    gone = [f"{path} is not used any more" for role, path in old if (role, path) not in new]
    changed = [
        f"{key[1]} has changed" for key, found in new.items() if key in old and old[key] != found
    ]
    added = [f"{path} is new" for role, path in new if (role, path) not in old]
    return [*changed, *added, *gone]
