"""
What was trusted: paths with the content they had, in one small file of the state folder.

The file is replaced as a whole under a lock, so a reader sees all of it or the one before. A state
folder that others could have written to is refused: what it says could be theirs.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleetctl.model.errors import UsageError
from fleetctl.trust.permissions import Account, find_stranger

_FORMAT = 1
_NAME = "trust.json"
_LOCK = "trust.lock"
_READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Record:
    """
    One file that was trusted.

    Attributes:
        sha256: Of its content then, in hexadecimal digits.
        at: When, aware.
    """

    sha256: str
    at: datetime


class TrustStore:
    """
    The records, by absolute path without links.

    The folder is made, for its owner alone, when the first record is written.
    """

    def __init__(self, folder: Path, account: Account) -> None:
        self._folder = folder
        self._account = account

    def records(self) -> dict[str, Record]:
        """
        Return what is trusted now.

        Raises:
            UsageError: The file cannot be read, is damaged, or could have been written by others.
        """
        path = self._folder / _NAME
        try:
            with open(os.open(path, _READ_ONLY), "rb") as stream:
                self._refuse_strangers(path)
                data = stream.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"it cannot be read: {error.strerror}", file=str(path)) from None
        return _parse(data, path)

    def add(self, digests: Mapping[str, str], now: datetime) -> None:
        """
        Record files with the content they have now, in place of what was known of them.

        Args:
            digests: Path -> SHA-256.
            now: Aware.

        Raises:
            UsageError: The state folder cannot be written, or others can write to it.
        """
        with self._changing() as records:
            records |= {path: Record(sha256, now) for path, sha256 in digests.items()}

    def remove(self, paths: Iterable[str]) -> list[str]:
        """
        Forget files, and those below folders; they need not exist any more.

        Returns:
            The paths that were known, sorted.

        Raises:
            UsageError: As `add`.
        """
        roots = [path.rstrip("/") or "/" for path in paths]
        with self._changing() as records:
            found = sorted(path for path in records if any(_is_below(path, r) for r in roots))
            for path in found:
                del records[path]
        return found

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Record]]:
        try:
            self._make_folder()
            self._refuse_strangers(self._folder)
            lock = os.open(self._folder / _LOCK, _READ_ONLY | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                records = self.records()
                before = dict(records)
                yield records
                if records != before:
                    self._write(records)
            finally:
                os.close(lock)
        except OSError as error:
            place = error.filename or self._folder
            raise UsageError(f"it cannot be written: {error.strerror}", file=str(place)) from None

    def _make_folder(self) -> None:
        """Make it and what is missing above it for their owner alone, whatever the umask."""
        missing = [place for place in (self._folder, *self._folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)

    def _write(self, records: Mapping[str, Record]) -> None:
        trusted = {
            path: {"sha256": record.sha256, "at": record.at.astimezone(UTC).isoformat()}
            for path, record in sorted(records.items())
        }
        text = json.dumps({"version": _FORMAT, "trusted": trusted}, indent=1) + "\n"
        import tempfile  # takes longer to import than everything else that reading needs

        fd, temporary = tempfile.mkstemp(prefix=f".{_NAME}.", dir=self._folder)
        try:
            with open(fd, "w", encoding="ascii") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(fd)
            os.replace(temporary, self._folder / _NAME)
        except BaseException:
            os.unlink(temporary)
            raise

    def _refuse_strangers(self, path: Path) -> None:
        stranger = find_stranger(path, self._account)
        if stranger is not None:
            raise UsageError(
                f"{stranger}, so what is trusted cannot be kept here",
                file=str(path),
                hint="take that away with chmod go-w, or name another folder in FLEETCTL_STATE",
            )


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root == "/" else f"{root}/")


def _parse(data: bytes, path: Path) -> dict[str, Record]:
    try:
        document = json.loads(data)
        if document["version"] != _FORMAT:
            raise UsageError(
                f"it is of version {document['version']}, this fleetctl knows {_FORMAT}",
                file=str(path),
            )
        return {
            str(name): Record(str(entry["sha256"]), _aware(entry["at"]))
            for name, entry in document["trusted"].items()
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(
            "it is damaged", file=str(path), hint=f"remove it and trust again: rm {path}"
        ) from None


def _aware(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
