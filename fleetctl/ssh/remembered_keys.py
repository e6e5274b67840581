"""
Which key each host took the last time, so that it is offered first the next time.

A hint and nothing more: whoever writes the file can at most make a key that is configured anyway be
offered earlier. Holds fingerprints, never keys.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.line_file import change_lines, read_lines

#: More logins than a fleet has; the oldest are forgotten.
MAX_LOGINS = 20_000
MAX_FILE_BYTES = 4 * 1024 * 1024
_MAX_LINE_LENGTH = 1024


class RememberedKeys:
    """
    The file of one user: one line per login, ``USER@HOST:PORT SHA256:…``, latest last.

    Read when first needed, written once at the end and only if something is new.

    Args:
        path: The file; it and its folder are made when needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading: asyncio.Task[dict[str, str]] | None = None
        self._learnt: dict[str, str] = {}

    async def of(self, login: str) -> str | None:
        """Return the fingerprint of the key that worked, or None if none is known."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(in_thread(read_keys, self._path))
        reading = self._reading
        known = reading.result() if reading.done() else await asyncio.shield(reading)
        return self._learnt.get(login) or known.get(login)

    def learn(self, login: str, fingerprint: str) -> None:
        """Note the key a host took."""
        known = self._reading
        if known is None or not known.done() or known.result().get(login) != fingerprint:
            self._learnt[login] = fingerprint

    async def save(self) -> None:
        """Write what is new. A disk that is full or read-only costs the hint, not the run."""
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._learnt:
            learnt, self._learnt = self._learnt, {}
            with contextlib.suppress(OSError):
                await in_thread(write_keys, self._path, learnt)


def read_keys(path: Path) -> dict[str, str]:
    """Return login -> fingerprint; lines that make no sense are left out. Blocks."""
    return _parse(read_lines(path, max_bytes=MAX_FILE_BYTES))


def write_keys(path: Path, learnt: dict[str, str]) -> None:
    """
    Add to what the file says now, and replace it in one step. Blocks.

    Raises:
        OSError: It cannot be written; the old file is untouched.
    """

    def change(lines: Sequence[str]) -> Iterable[str]:
        known = _parse(lines)
        for login, fingerprint in learnt.items():
            line = f"{login} {fingerprint}"
            if len(line) <= _MAX_LINE_LENGTH and line.isprintable():
                known.pop(login, None)  # the latest stand last
                known[login] = fingerprint
        return [f"{login} {fingerprint}" for login, fingerprint in known.items()][-MAX_LOGINS:]

    change_lines(path, change, max_bytes=MAX_FILE_BYTES)


def _parse(lines: Sequence[str]) -> dict[str, str]:
    found = {}
    for line in lines[-MAX_LOGINS:]:
        login, separator, fingerprint = line.rpartition(" ")
        if separator and login and fingerprint.startswith("SHA256:"):
            found[login] = fingerprint
    return found
