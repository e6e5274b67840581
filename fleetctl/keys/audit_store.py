"""
Audits that are kept, to see what has changed since the last one and how long a key is there.

One file each, readable by their owner alone, written whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleetctl.keys.audit_content import HostAudit, read_audit
from fleetctl.model.errors import UsageError

#: Older ones are removed.
KEPT = 30
_FORMAT = 1
_NAME = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}\.json")
_MAX_BYTES = 1024 * 1024 * 1024

#: Says what is wrong with a path that others could have written to; None if nothing is.
FindStranger = Callable[[Path], str | None]
#: Whose key: user and fingerprint.
KeyPlace = tuple[str, str]


@dataclass(frozen=True, slots=True)
class KeptHost:
    """
    What is remembered of one host.

    Attributes:
        at: When it was audited last, seconds since 1970 (UTC) by our clock.
        since: When each key that let somebody in was seen first; keys are those of `open_keys`.
    """

    at: int
    audit: HostAudit
    since: Mapping[KeyPlace, int]


class AuditStore:
    """
    The kept audits of one user of this machine.

    The folder is made, for its owner alone, when the first is written. All methods block.
    """

    def __init__(self, folder: Path, *, find_stranger: FindStranger) -> None:
        self._folder = folder
        self._find_stranger = find_stranger

    def last(self, hosts: Collection[str] | None = None) -> dict[str, KeptHost]:
        """
        Return the last audit of each host.

        Args:
            hosts: Only these; None for all that were ever audited.

        Raises:
            UsageError: A file cannot be read, or is damaged.
        """
        found: dict[str, KeptHost] = {}
        for name in self._names():
            if hosts is not None and all(host in found for host in hosts):
                break
            for host, kept in self._read(name, hosts).items():
                found.setdefault(host, kept)
        return found

    def save(self, audits: Sequence[HostAudit], before: Mapping[str, KeptHost], at: int) -> None:
        """
        Keep audits, and remove those that are too old.

        Args:
            before: What `last` returned.
            at: Now, seconds since 1970 (UTC).

        Raises:
            UsageError: They cannot be written, or others can write there.
        """
        hosts = {}
        for audit in audits:
            known = before[audit.host].since if audit.host in before else {}
            since = {place: known.get(place, at) for place in open_keys(audit)}
            if not audit.is_whole:  # what was not seen may be there as before
                since = {**known, **since}
            hosts[audit.host] = {
                "audit": audit.to_json(),
                "since": [[*place, first] for place, first in since.items()],
            }
        text = json.dumps({"version": _FORMAT, "at": at, "hosts": hosts}, separators=(",", ":"))
        try:
            self._make_folder()
            self._refuse_strangers(self._folder)
            self._write(text.encode("ascii"))
            for name in self._names()[KEPT:]:
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            place = error.filename or self._folder
            raise UsageError(
                f"the audit cannot be kept: {error.strerror}", file=str(place)
            ) from None

    def _names(self) -> list[str]:
        """Return the names of the files, newest first."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(
                f"it cannot be read: {error.strerror}", file=str(self._folder)
            ) from None
        return sorted(filter(_NAME.fullmatch, names), reverse=True)

    def _read(self, name: str, hosts: Collection[str] | None) -> dict[str, KeptHost]:
        path = self._folder / name
        self._refuse_strangers(path)
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
                document = json.loads(stream.read(_MAX_BYTES))
            if document["version"] != _FORMAT:
                raise UsageError(
                    f"it is of version {document['version']}, this fleetctl knows {_FORMAT}",
                    file=str(path),
                )
            at = int(document["at"])
            return {
                host: KeptHost(
                    at,
                    read_audit(kept["audit"]),
                    {(user, key): int(first) for user, key, first in kept["since"]},
                )
                for host, kept in document["hosts"].items()
                if hosts is None or host in hosts
            }
        except OSError as error:
            raise UsageError(f"it cannot be read: {error.strerror}", file=str(path)) from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise UsageError(
                "it is damaged", file=str(path), hint=f"remove it and audit again: rm {path}"
            ) from None

    def _write(self, data: bytes) -> None:
        # By the moment of writing: two audits of one second are in order too.
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
        name = f"{stamp}-{secrets.token_hex(4)}.json"
        temporary = self._folder / f".{name}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(fd)
            os.replace(temporary, self._folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _make_folder(self) -> None:
        """Make it and what is missing above it for their owner alone, whatever the umask."""
        missing = [place for place in (self._folder, *self._folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)

    def _refuse_strangers(self, path: Path) -> None:
        stranger = self._find_stranger(path)
        if stranger is not None:
            raise UsageError(
                f"{stranger}, so audits cannot be kept here",
                file=str(path),
                hint="take that away with chmod go-w, or name another folder in FLEETCTL_STATE",
            )


def open_keys(audit: HostAudit) -> Iterable[KeyPlace]:
    """Return user and fingerprint of each key that lets somebody in, once."""
    return dict.fromkeys(
        (user.name, key.fingerprint) for user in audit.users for key in user.keys if key.is_open
    )


@dataclass(frozen=True, slots=True)
class Change:
    """
    What is different from the last audit of a host.

    Attributes:
        what: ``came``, ``went``, or ``options``: it has others.
        before: When the last audit was, seconds since 1970 (UTC).
    """

    what: str
    host: str
    user: str
    fingerprint: str
    comment: str
    before: int


def changes(audits: Iterable[HostAudit], before: Mapping[str, KeptHost]) -> list[Change]:
    """
    Return what has changed since the last audits; nothing is said of hosts without one.

    What could not be seen now or then is not taken for a change.
    """
    found = []
    for audit in audits:
        kept = before.get(audit.host)
        if kept is None or kept.audit.is_whole != audit.is_whole:
            continue
        old, new = _by_place(kept.audit), _by_place(audit)
        for place, (options, comment) in new.items():
            if place not in old:
                found.append(Change("came", audit.host, *place, comment, kept.at))
            elif old[place][0] != options:
                found.append(Change("options", audit.host, *place, comment, kept.at))
        found += [
            Change("went", audit.host, *place, comment, kept.at)
            for place, (_, comment) in old.items()
            if place not in new
        ]
    return found


def _by_place(audit: HostAudit) -> dict[KeyPlace, tuple[frozenset[object], str]]:
    return {
        (user.name, key.fingerprint): (frozenset(key.options), key.comment)
        for user in audit.users
        for key in user.keys
        if key.is_open
    }
