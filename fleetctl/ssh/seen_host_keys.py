"""
Which keys each host of an inventory showed, and where, the last time.

known_hosts speaks of addresses. Whoever can write to an inventory can give a name the address of
another host that is known as well, and what is secret to one host would be sent to the other. So a
name that has another address, where another key answers, is noticed here.

Holds names, addresses and fingerprints, never keys.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from fleetctl.model.host import Host
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.line_file import change_lines, read_lines

#: More hosts than all inventories of a user have; those seen longest ago are forgotten.
MAX_HOSTS = 50_000
MAX_FILE_BYTES = 32 * 1024 * 1024
#: Types of host keys there are; a host is not remembered with more.
_MAX_KEYS = 16

log = logging.getLogger(__name__)

#: Absolute path of the file a host's address comes from, and its name: two inventories may use one
#: name for two hosts.
Entry: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    Where a host was, and what it showed there.

    Attributes:
        place: What it is looked up under in known_hosts: ``address``, ``[address]:port`` or an
            alias.
        keys: Key type -> fingerprint.
    """

    place: str
    keys: Mapping[str, str]


class SeenHostKeys:
    """
    The file of one user: one line per host, the latest last.

    Read when first needed, written once at the end and only if something is new.

    Args:
        path: The file; it and its folder are made when needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading: asyncio.Task[dict[Entry, Sighting]] | None = None
        self._seen: dict[Entry, Sighting] = {}
        self._learnt: dict[Entry, Sighting] = {}
        self._scopes: dict[str, str] = {}
        # Made when it is first needed.
        self._holders: dict[tuple[str, str], set[str]] | None = None

    async def load(self) -> None:
        """Read the file, once; all else needs that."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(in_thread(read_sightings, self._path))
        if not self._reading.done():
            await asyncio.shield(self._reading)
        self._seen = self._reading.result()

    def of(self, host: Host) -> Sighting | None:
        """Return how a host was seen the last time, or None if it was not."""
        entry = self._entry(host)
        return None if entry is None else self._learnt.get(entry) or self._seen.get(entry)

    def is_another_hosts(self, host: Host, fingerprint: str) -> bool:
        """Tell whether another host of the same inventory has shown this key."""
        entry = self._entry(host)
        if entry is None:
            return False
        if self._holders is None:
            self._holders = {}
            for (scope, name), sighting in self._seen.items():
                for shown in sighting.keys.values():
                    self._holders.setdefault((scope, shown), set()).add(name)
        scope, name = entry
        return bool(self._holders.get((scope, fingerprint), set()) - {name})

    def learn(self, host: Host, place: str, key_type: str, fingerprint: str) -> None:
        """Note that a host showed a key; what it showed of other types is still its own."""
        entry = self._entry(host)
        if entry is None:
            return
        known = self._learnt.get(entry) or self._seen.get(entry)
        if known is None:
            self._learnt[entry] = Sighting(place, {key_type: fingerprint})
        elif known.place != place or known.keys.get(key_type) != fingerprint:
            self._learnt[entry] = Sighting(place, {**known.keys, key_type: fingerprint})

    async def save(self) -> None:
        """Write what is new. A disk that is full or read-only costs the memory, not the run."""
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._learnt:
            learnt, self._learnt = self._learnt, {}
            try:
                await in_thread(write_sightings, self._path, learnt)
            except OSError as error:
                log.warning("%s: which hosts were seen was not written: %s", self._path, error)

    def _entry(self, host: Host) -> Entry | None:
        return entry_of(host, self._scopes)


def entry_of(host: Host, scopes: dict[str, str] | None = None) -> Entry | None:
    """
    Return what a host is remembered under; None for one whose name is its address.

    Args:
        scopes: Kept from call to call: file as it was named -> absolute path.
    """
    origin = host.settings.origin.get("HostName", "-")
    if origin.startswith("-") or host.name == host.hostname:
        return None  # one that was given on the command line is somebody's own word
    file, _, line = origin.rpartition(":")
    if not file or not line.isdecimal():
        file = origin  # a program has no lines
    scope = None if scopes is None else scopes.get(file)
    if scope is None:
        scope = os.path.abspath(os.path.expanduser(file))
        if scopes is not None:
            scopes[file] = scope
    return scope, host.name


def read_sightings(path: Path) -> dict[Entry, Sighting]:
    """Return how each host was seen; lines that make no sense are left out. Blocks."""
    return _parse(read_lines(path, max_bytes=MAX_FILE_BYTES))


def write_sightings(path: Path, learnt: Mapping[Entry, Sighting]) -> None:
    """
    Add to what the file says now, and replace it in one step. Blocks.

    What another run saw of a host at the same place is kept.

    Raises:
        OSError: It cannot be written; the old file is untouched.
    """

    def change(known: dict[Entry, Sighting]) -> None:
        for entry, sighting in learnt.items():
            other = known.pop(entry, None)  # the latest stand last
            if other is not None and other.place == sighting.place:
                known[entry] = Sighting(sighting.place, {**other.keys, **sighting.keys})
            else:
                known[entry] = sighting

    _change(path, change)


def confirm_sightings(path: Path, confirmed: Iterable[tuple[Host, Sighting]]) -> None:
    """
    Note that somebody vouched for hosts: what was known of them before does not count. Blocks.

    Raises:
        OSError: It cannot be written; the old file is untouched.
    """
    entries = {entry_of(host): sighting for host, sighting in confirmed}

    def change(known: dict[Entry, Sighting]) -> None:
        for entry, sighting in entries.items():
            if entry is not None:
                known.pop(entry, None)
                known[entry] = sighting

    if any(entries):
        _change(path, change)


def forget_hosts(path: Path, hosts: Iterable[Host]) -> None:
    """
    Forget these hosts. Blocks.

    Raises:
        OSError: It cannot be written; the old file is untouched.
    """
    _forget(path, {entry_of(host) for host in hosts}.__contains__)


def forget_inventory(path: Path, inventory: Path) -> None:
    """
    Forget all hosts whose address came from this file. Blocks.

    Raises:
        OSError: It cannot be written; the old file is untouched.
    """
    scopes: Collection[str] = {os.path.abspath(inventory), os.path.realpath(inventory)}
    _forget(path, lambda entry: entry[0] in scopes)


def _forget(path: Path, is_meant: Callable[[Entry], bool]) -> None:
    if not any(map(is_meant, read_sightings(path))):
        return

    def change(known: dict[Entry, Sighting]) -> None:
        for entry in [*filter(is_meant, known)]:
            del known[entry]

    _change(path, change)


def _change(path: Path, change: Callable[[dict[Entry, Sighting]], None]) -> None:
    def rewrite(lines: Sequence[str]) -> Iterable[str]:
        known = _parse(lines)
        change(known)
        kept = [_render(entry, sighting) for entry, sighting in known.items()][-MAX_HOSTS:]
        return [line for line in kept if line]

    change_lines(path, rewrite, max_bytes=MAX_FILE_BYTES)


def _parse(lines: Sequence[str]) -> dict[Entry, Sighting]:
    found = {}
    for line in lines[-MAX_HOSTS:]:
        scope, *rest = line.split("\t")
        if len(rest) < 3 or not all((scope, *rest)):
            continue
        name, place, *shown = rest
        keys = {}
        for pair in shown[:_MAX_KEYS]:
            key_type, separator, fingerprint = pair.partition(" ")
            if separator and fingerprint.startswith("SHA256:"):
                keys[key_type] = fingerprint
        if keys:
            found[scope, name] = Sighting(place, keys)
    return found


def _render(entry: Entry, sighting: Sighting) -> str:
    """Return the line of a host, or nothing if it cannot be one."""
    keys = [f"{key_type} {fingerprint}" for key_type, fingerprint in sighting.keys.items()]
    fields = (*entry, sighting.place, *keys)
    return "\t".join(fields) if all(map(str.isprintable, fields)) else ""
